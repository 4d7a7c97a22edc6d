//! Opens a perf event on a kernel symbol: through the kprobe PMU, or through a tracepoint created
//! in tracefs if the kernel has no kprobe PMU.
//!
//! The errnos for "no such symbol" and "cannot probe here" differ between the two interfaces and
//! between kernel versions. `explain` tells the two cases apart.

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

/// Offset of the probe, in bytes, if the kernel refuses a probe on the first instruction.
///
/// On riscv64, the first two instructions (4 bytes each) are an ftrace site (`MCOUNT_INSN_SIZE` in
/// arch/riscv/include/asm/ftrace.h), and Linux 6.12 does not allow kprobes on ftrace sites. After
/// these instructions, the arguments are still in their registers.
const AFTER_FTRACE_SITE: Option<u64> = if cfg!(target_arch = "riscv64") { Some(8) } else { None };

/// Opens an event on the function that serves the call in `row` for callers that use `abi`.
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

/// Opens an event on the entry or the return of the function `symbol`. Returns None if the kernel
/// does not have the symbol.
pub(super) fn probe_symbol(symbol: &Symbol, kind: Kind) -> Result<Option<Attachment>, Error> {
    let backend = Backend::find(kind)?;
    match backend.open(symbol, 0, kind) {
        Err(error @ Error::PerfEvent { errno: libc::EINVAL, .. }) => {
            explain(backend, symbol, kind, error)
        }
        opened => opened,
    }
}

/// Determines what EINVAL means. For return probes up to Linux 5.10, and in tracefs since 6.11,
/// EINVAL can mean that the symbol is missing. Otherwise, EINVAL means that the kernel does not
/// allow a probe on the symbol.
fn explain(
    backend: Backend,
    symbol: &Symbol,
    kind: Kind,
    error: Error,
) -> Result<Option<Attachment>, Error> {
    if kind.retprobe {
        match backend.open(symbol, 0, Kind::ENTRY) {
            Ok(Some(_)) => return Err(error),
            Err(Error::PerfEvent { errno: libc::EINVAL, .. }) => {}
            missing_or_failed => return missing_or_failed,
        }
    }
    if let Some(offset) = AFTER_FTRACE_SITE {
        match backend.open(symbol, offset, Kind::ENTRY) {
            Ok(Some(_)) if kind.retprobe => {
                return Err(Error::NoReturnProbe { symbol: *symbol });
            }
            Err(Error::PerfEvent { errno: libc::EINVAL, .. }) => {}
            opened => return opened,
        }
    }
    match (backend, Pmu::find()) {
        (Backend::Pmu(_), _) => Err(error),
        (Backend::Tracefs, None) => Ok(None),
        // The PMU has separate errnos for the two cases.
        (Backend::Tracefs, Some(pmu)) => match Backend::Pmu(pmu).open(symbol, 0, Kind::ENTRY) {
            Ok(None) => Ok(None),
            _ => Err(error),
        },
    }
}

/// The kernel interface that creates the probe.
#[derive(Clone, Copy)]
enum Backend {
    Pmu(Pmu),
    Tracefs,
}

impl Backend {
    /// Selects the backend that supports `kind`. The number of calls that a return probe tracks can
    /// be set only through tracefs, and only on Linux 4.12 and later. An older kernel would create
    /// an event with a different name. The kprobe PMU (Linux 4.17) is therefore required, because
    /// its presence proves that the kernel is new enough.
    fn find(kind: Kind) -> Result<Self, Error> {
        match Pmu::find() {
            Some(pmu) if kind.max_active == 0 => Ok(Backend::Pmu(pmu)),
            None if kind.max_active != 0 => Err(Error::MaxActiveUnsupported),
            _ => Ok(Backend::Tracefs),
        }
    }

    /// Returns None if the kernel says that it does not have the symbol.
    fn open(self, symbol: &Symbol, offset: u64, kind: Kind) -> Result<Option<Attachment>, Error> {
        let retprobe = kind.retprobe;
        let opened = match self {
            Backend::Pmu(pmu) => {
                let config = pmu.config(retprobe);
                sys::perf_event_open_kprobe(pmu.kind, config, symbol.as_c_str(), offset)
                    .map(|fd| Attachment::new(fd, None))
                    .map_err(|Errno(errno)| Error::PerfEvent { symbol: *symbol, retprobe, errno })
            }
            // Do not try to probe this symbol: the kernel would log the warning "Could not insert
            // probe".
            Backend::Tracefs if symbol.as_bytes().starts_with(b"__") && has_no_wrappers() => {
                return Ok(None);
            }
            Backend::Tracefs => tracefs::Entry::open(symbol, offset, kind)
                .map(|(fd, entry)| Attachment::new(fd, Some(entry))),
        };
        match opened {
            Err(Error::PerfEvent { errno: libc::ENOENT, .. }) => Ok(None),
            opened => opened.map(Some),
        }
    }
}

/// Returns whether the kernel predates syscall functions whose names begin with `__`. Linux 4.17
/// added `__x64_sys_openat`, `__se_sys_openat` and the kprobe PMU; other prefixes came later.
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

    /// Returns the event's fd, if any, and all system calls except those that find the PMU.
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
    fn an_event_is_opened_with_one_system_call() {
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

    /// Linux 5.10 returns EINVAL for a return probe on a missing symbol.
    #[test]
    fn einval_of_a_return_probe_is_explained() {
        let missing =
            |_: &str, is_return, _| refused(if is_return { libc::EINVAL } else { libc::ENOENT });
        let (opened, calls) = probe(missing, true);
        assert_eq!((opened.unwrap(), calls.len()), (None, 2));
        // The kernel allows a probe on the function's entry. The event on the entry is then closed.
        let (opened, calls) =
            probe(|_, is_return, _| if is_return { refused(libc::EINVAL) } else { Ok(11) }, true);
        assert!(matches!(opened, Err(Error::PerfEvent { errno: libc::EINVAL, .. })));
        assert_eq!(calls.last().unwrap(), "close 11");
    }

    #[test]
    fn another_cpu_is_used_if_cpu_0_is_offline() {
        let (opened, calls) =
            probe(|_, _, cpu| if cpu == 0 { refused(libc::ENODEV) } else { Ok(10) }, false);
        assert_eq!(opened.unwrap(), Some(10));
        assert_eq!(calls[1..], ["getcpu".to_owned(), format!("kprobe {} on 1", symbol())]);
        // If the event cannot be opened on the current CPU either, the error is returned.
        let (opened, calls) = probe(|_, _, _| refused(libc::ENODEV), false);
        assert!(matches!(opened, Err(Error::PerfEvent { errno: libc::ENODEV, .. })));
        assert_eq!(calls.len(), 3);
    }

    const MANY: Kind = Kind { retprobe: true, max_active: 100 };

    #[test]
    fn max_active_uses_tracefs() {
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

    /// Linux 6.11 and later return EINVAL from tracefs for a missing symbol. Linux 5.10 returns
    /// EINVAL for `__x64_sys_perf_event_open`, which it has but cannot probe.
    #[test]
    fn the_pmu_explains_einval_from_tracefs() {
        const FILES: &[(&str, &str)] =
            &[PMU[0], PMU[1], ("/sys/kernel/tracing/kprobe_events", ""), ("*/id", "7\n")];
        let probe = |kprobe| {
            let kernel = Kernel { files: FILES, kprobe, ..Kernel::new() };
            kernel.run(|| super::probe_symbol(&symbol(), MANY).map(|event| event.is_some())).0
        };
        let forbidden = probe(|_, _, _| refused(libc::EINVAL));
        assert!(matches!(forbidden, Err(Error::PerfEvent { errno: libc::EINVAL, .. })));
        let missing = probe(|_, _, _| {
            thread_local!(static ASKED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });
            ASKED.set(ASKED.get() + 1);
            // Tracefs is asked for the return and for the entry, and then the PMU for the entry.
            refused(if ASKED.get() < 3 { libc::EINVAL } else { libc::ENOENT })
        });
        assert!(!missing.unwrap());
    }

    /// A kernel before Linux 4.12 would create an event with a different name.
    #[test]
    fn max_active_is_refused_if_the_kernel_may_not_support_it() {
        let find = |kind| Kernel { files: &[], ..Kernel::new() }.run(|| Backend::find(kind)).0;
        assert!(matches!(find(MANY), Err(Error::MaxActiveUnsupported)));
        assert!(matches!(find(Kind::ENTRY), Ok(Backend::Tracefs)));
    }

    /// The kernel would log a warning for each symbol that begins with `__`, even though the attach
    /// succeeds.
    #[test]
    fn kernels_before_4_17_are_not_asked_for_wrappers() {
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
                let (is_open, calls) = kernel
                    .run(|| Backend::Tracefs.open(&symbol, 0, Kind::ENTRY).unwrap().is_some());
                let is_asked = calls.iter().any(|call| call.starts_with("write p:"));
                assert_eq!(is_open, is_asked, "{symbol}");
                asked.extend(is_asked.then(|| symbol.to_string()));
            }
            asked
        };
        assert_eq!(written("4.16.18\n"), ["sys_getpid"]);
        assert_eq!(written("4.17.0\n").len(), 3);
    }
}
