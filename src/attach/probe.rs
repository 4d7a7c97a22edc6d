//! Opens a perf event on a kernel symbol: by the kprobe PMU, or where the kernel has none by a
//! tracepoint made in tracefs.
//!
//! The two, and the kernel's versions, report "no such symbol" and "no probe there" by different
//! errnos; `explain` tells them apart.

use alloc::vec::Vec;

use errno::Errno;

use super::search::find_function;
use crate::Error;
use crate::attach::attachment::Attachment;
use crate::calls::abi::Abi;
use crate::calls::table::Row;
use crate::calls::{Symbol, SyscallName};
use crate::kernel::pmu::Pmu;
use crate::kernel::version::version;
use crate::kernel::{Kind, tracefs};
use crate::sys;

/// How far after a function's first instruction a probe goes where the kernel
/// refuses that one.
///
/// On riscv64 the first two instructions, of 4 bytes each, are an ftrace site
/// (arch/riscv/include/asm/ftrace.h, `MCOUNT_INSN_SIZE`), and Linux 6.12 has no
/// kprobes on ftrace sites. The arguments are still in their registers after it.
const AFTER_FTRACE_SITE: Option<u64> = if cfg!(target_arch = "riscv64") { Some(8) } else { None };

/// Opens an event on the function that serves the call of the row to callers of that ABI.
pub(super) fn probe_function(
    abi: Abi,
    name: &SyscallName,
    row: &Row,
    kind: Kind,
) -> Result<(Symbol, Attachment), Error> {
    let mut event = None;
    let symbol = find_function(abi, name, row, &mut |symbol| {
        event = probe_symbol(symbol, kind)?;
        Ok(event.is_some())
    })?;
    // The function is the last symbol that was probed.
    let event = event.ok_or(Error::NotFound { name: *name, tried: Vec::new() })?;
    Ok((symbol, event))
}

/// Opens an event on entry to the function `symbol`, or on its return. None if
/// the kernel does not have the symbol.
pub(super) fn probe_symbol(symbol: &Symbol, kind: Kind) -> Result<Option<Attachment>, Error> {
    let backend = Backend::find().that_has(kind)?;
    match backend.open(symbol, 0, kind) {
        Ok(event) => Ok(Some(event)),
        Err(Error::PerfEvent { errno: libc::ENOENT, .. }) => Ok(None),
        Err(error @ Error::PerfEvent { errno: libc::EINVAL, .. }) => {
            explain(backend, symbol, kind, error)
        }
        Err(error) => Err(error),
    }
}

/// Finds out what EINVAL means, which reports a missing symbol for a return probe up to Linux
/// 5.10 and in tracefs since 6.11, and otherwise a place where the kernel allows no probe.
fn explain(
    backend: Backend,
    symbol: &Symbol,
    kind: Kind,
    error: Error,
) -> Result<Option<Attachment>, Error> {
    if kind.retprobe {
        match backend.open(symbol, 0, Kind::ENTRY) {
            Ok(_) => return Err(error),
            Err(Error::PerfEvent { errno: libc::EINVAL, .. }) => {}
            Err(Error::PerfEvent { errno: libc::ENOENT, .. }) => return Ok(None),
            Err(other) => return Err(other),
        }
    }
    if let Some(offset) = AFTER_FTRACE_SITE {
        match backend.open(symbol, offset, Kind::ENTRY) {
            Ok(_) if kind.retprobe => return Err(Error::NoReturnProbe { symbol: *symbol }),
            Ok(event) => return Ok(Some(event)),
            Err(Error::PerfEvent { errno: libc::ENOENT, .. }) => return Ok(None),
            Err(Error::PerfEvent { errno: libc::EINVAL, .. }) => {}
            Err(other) => return Err(other),
        }
    }
    match backend {
        Backend::Pmu(_) => Err(error),
        Backend::Tracefs => Ok(None),
    }
}

/// What makes the running kernel probe a symbol.
#[derive(Clone, Copy)]
enum Backend {
    Pmu(Pmu),
    Tracefs,
}

impl Backend {
    fn find() -> Self {
        Pmu::find().map_or(Backend::Tracefs, Backend::Pmu)
    }

    /// Only tracefs lets say how many calls a return probe watches, since Linux 4.12. Before,
    /// it makes another entry of such a line; kernels with a PMU (4.17) are newer.
    fn that_has(self, kind: Kind) -> Result<Self, Error> {
        match self {
            _ if kind.max_active == 0 => Ok(self),
            Backend::Pmu(_) => Ok(Backend::Tracefs),
            Backend::Tracefs => Err(Error::MaxActiveUnsupported),
        }
    }

    fn open(self, symbol: &Symbol, offset: u64, kind: Kind) -> Result<Attachment, Error> {
        match self {
            Backend::Pmu(pmu) => {
                let config = pmu.config(kind.retprobe);
                match sys::perf_event_open_kprobe(pmu.kind, config, symbol.as_c_str(), offset) {
                    Ok(fd) => Ok(Attachment::new(fd, None)),
                    Err(Errno(errno)) => {
                        Err(Error::PerfEvent { symbol: *symbol, retprobe: kind.retprobe, errno })
                    }
                }
            }
            // The kernel would log a warning, "Could not insert probe".
            Backend::Tracefs if symbol.as_bytes().starts_with(b"__") && has_no_wrappers() => {
                let retprobe = kind.retprobe;
                Err(Error::PerfEvent { symbol: *symbol, retprobe, errno: libc::ENOENT })
            }
            Backend::Tracefs => {
                let (fd, entry) = tracefs::Entry::open(symbol, offset, kind)?;
                Ok(Attachment::new(fd, Some(entry)))
            }
        }
    }
}

/// Whether the kernel is older than the functions of calls that begin with `__`: `__x64_sys_openat`
/// and `__se_sys_openat` came with Linux 4.17, as the kprobe PMU did, others later.
fn has_no_wrappers() -> bool {
    version().is_some_and(|version| version < (4, 17))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::SyscallName;
    use crate::calls::conventions::CONVENTIONS;
    use crate::calls::table;
    use crate::sys::fake::{Answer, Kernel, PMU, refused};

    fn symbol() -> Symbol {
        let name = SyscallName::new("openat").unwrap();
        CONVENTIONS[0].symbol(&table::row(&name), 0).unwrap()
    }

    /// The fd, if there is an event, and the calls but for those that find the PMU.
    fn probe(
        kprobe: fn(&str, bool, usize) -> Answer,
        retprobe: bool,
    ) -> (Result<Option<i32>, Error>, Vec<String>) {
        let (opened, calls) = Kernel { kprobe, ..Kernel::new() }.run(|| {
            let opened = super::probe_symbol(&symbol(), Kind { retprobe, ..Kind::ENTRY });
            opened.map(|event| event.map(|event| event.fd.into_raw()))
        });
        let is_probe =
            |call: &String| !matches!(&call[..], "open" | "read" | "close 100" | "close 101");
        (opened, calls.into_iter().filter(is_probe).collect())
    }

    #[test]
    fn an_event_is_opened_by_one_call() {
        let (opened, calls) = probe(|_, _, _| Ok(10), false);
        assert_eq!(opened.unwrap(), Some(10));
        assert_eq!(calls, [format!("kprobe {} on 0", symbol())]);
    }

    #[test]
    fn a_missing_symbol_is_none() {
        for retprobe in [false, true] {
            let (opened, calls) = probe(|_, _, _| refused(libc::ENOENT), retprobe);
            assert_eq!((opened.unwrap(), calls.len()), (None, 1));
        }
    }

    /// Linux 5.10 says EINVAL of a return probe on a symbol that it does not have.
    #[test]
    fn a_return_probes_einval_is_looked_into() {
        let missing =
            |_: &str, is_return, _| refused(if is_return { libc::EINVAL } else { libc::ENOENT });
        let (opened, calls) = probe(missing, true);
        assert_eq!((opened.unwrap(), calls.len()), (None, 2));
        // The entry can be probed: that event is not left open.
        let (opened, calls) =
            probe(|_, is_return, _| if is_return { refused(libc::EINVAL) } else { Ok(11) }, true);
        assert!(matches!(opened, Err(Error::PerfEvent { errno: libc::EINVAL, .. })));
        assert_eq!(calls.last().unwrap(), "close 11");
    }

    #[test]
    fn another_refusal_is_an_error() {
        let (opened, calls) = probe(|_, _, _| refused(libc::EPERM), true);
        assert!(matches!(opened, Err(Error::PerfEvent { errno: libc::EPERM, .. })));
        assert_eq!(calls.len(), 1);
    }

    #[test]
    fn where_cpu_0_is_offline_another_is_taken() {
        let (opened, calls) =
            probe(|_, _, cpu| if cpu == 0 { refused(libc::ENODEV) } else { Ok(10) }, false);
        assert_eq!(opened.unwrap(), Some(10));
        assert_eq!(calls[1..], ["getcpu".to_owned(), format!("kprobe {} on 1", symbol())]);
        // And if none is any use, that is an error, and the end.
        let (opened, calls) = probe(|_, _, _| refused(libc::ENODEV), false);
        assert!(matches!(opened, Err(Error::PerfEvent { errno: libc::ENODEV, .. })));
        assert_eq!(calls.len(), 3);
    }

    const MANY: Kind = Kind { retprobe: true, max_active: 100 };

    #[test]
    fn many_returns_are_watched_by_tracefs() {
        const FILES: &[(&str, &str)] =
            &[PMU[0], PMU[1], ("/sys/kernel/tracing/kprobe_events", ""), ("*/id", "7\n")];
        let (opened, calls) = Kernel { files: FILES, kprobe: |_, _, _| Ok(10), ..Kernel::new() }
            .run(|| super::probe_symbol(&symbol(), MANY).unwrap().unwrap().into_fd().into_raw());
        assert_eq!(opened, 10);
        let line = calls.iter().find(|call| call.starts_with("write ")).unwrap();
        assert!(line.starts_with("write r100:ksyscall/p"), "{line}");
        assert!(line.ends_with(&format!(" {}\n", symbol())), "{line}");
        assert_eq!(calls.iter().filter(|call| call.starts_with("tracepoint ")).count(), 1);
        assert!(!calls.iter().any(|call| call.starts_with("kretprobe ")), "{calls:?}");
    }

    /// An old kernel would make an entry of another name.
    #[test]
    fn many_returns_are_not_asked_of_a_kernel_that_may_not_know_it() {
        let refused = Backend::Tracefs.that_has(MANY);
        assert!(matches!(refused, Err(Error::MaxActiveUnsupported)));
        assert!(matches!(Backend::Tracefs.that_has(Kind::ENTRY), Ok(Backend::Tracefs)));
    }

    /// Each such line would be in the kernel's log, though the call can be attached to.
    #[test]
    fn a_kernel_before_the_pmu_is_not_asked_for_what_came_with_it() {
        let written = |release| {
            let files = vec![
                ("/sys/kernel/tracing/kprobe_events", ""),
                ("*/id", "7\n"),
                ("/proc/sys/kernel/osrelease", release),
            ];
            let mut asked = Vec::new();
            for symbol in ["__x64_sys_getpid", "__se_sys_getpid", "sys_getpid"] {
                let symbol = Symbol::new(symbol.as_bytes(), b"", b"");
                let files = files.clone().leak();
                let kernel = Kernel { files, kprobe: |_, _, _| Ok(10), ..Kernel::new() };
                let (opened, calls) =
                    kernel.run(|| Backend::Tracefs.open(&symbol, 0, Kind::ENTRY).map(drop));
                let is_asked = calls.iter().any(|call| call.starts_with("write p:"));
                assert_eq!(opened.is_ok(), is_asked, "{symbol}");
                asked.extend(is_asked.then(|| symbol.to_string()));
            }
            asked
        };
        assert_eq!(written("4.16.18\n"), ["sys_getpid"]);
        assert_eq!(written("4.17.0\n").len(), 3);
    }
}
