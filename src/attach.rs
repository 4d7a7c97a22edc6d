//! Attaches a program to a call: finds the function that serves it, opens a perf event there, and
//! makes a BPF link of both.

pub(crate) mod attachment;
pub(crate) mod attachments;
#[cfg(test)]
mod faults;
pub(crate) mod many;
pub(crate) mod perf_link;
pub(crate) mod plan;
mod probe;
mod search;

use crate::Error;
use crate::attach::attachment::Attachment;
use crate::calls::abi::Abi;
#[cfg(feature = "capi")]
use crate::calls::conventions::Form;
use crate::calls::table::Row;
use crate::calls::{Symbol, SyscallName};
use crate::kernel::Kind;
pub(crate) use search::native_row;

/// How a program is to be attached.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// What the program's `bpf_get_attach_cookie()` returns.
    pub(crate) cookie: u64,
    /// Run at the call's return, not at its entry.
    pub(crate) retprobe: bool,
    /// Keep the perf event's descriptor open beside the link's.
    pub(crate) keep_event: bool,
    /// Take a function of the call's name though no call reaches it.
    pub(crate) allow_unreached: bool,
    /// How many calls a return probe watches at a time; 0 is the kernel's default.
    pub(crate) max_active: u32,
}

impl Options {
    fn kind(&self) -> Kind {
        Kind { retprobe: self.retprobe, max_active: self.max_active }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        /// `KRETPROBE_MAXACTIVE_MAX` of kernel/trace/trace_kprobe.c.
        const MOST: u32 = 4096;
        match self.max_active {
            0 => Ok(()),
            1..=MOST if self.retprobe => Ok(()),
            _ => Err(Error::MaxActive),
        }
    }
}

/// An event on the function that serves a call.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) event: Attachment,
    pub(crate) symbol: Symbol,
    /// False only if that was allowed.
    pub(crate) is_reached: bool,
}

/// Opens an event on the function that serves the call, whose [`native_row`] is `row`.
pub(crate) fn probe_call(
    name: &SyscallName,
    mut row: Row<'_>,
    options: Options,
) -> Result<Target, Error> {
    options.check()?;
    let is_reached = row.is_served();
    if options.allow_unreached {
        row.use_own_name();
    }
    let (symbol, event) = probe::probe_function(Abi::Native, name, &row, options.kind())?;
    Ok(Target { event, symbol, is_reached })
}

/// What the tables know of a kernel function that a loader has asked for.
#[cfg(feature = "capi")]
pub(crate) enum Serving {
    /// A call leads to it, if the kernel has it.
    Itself,
    /// No call leads to it, but the call that it is named after leads to another one.
    Another,
    /// The call that it is named after does not exist here.
    None,
}

#[cfg(feature = "capi")]
pub(crate) fn serving(form: &Form) -> Serving {
    // Of a 32-bit process the convention says which kernel it runs on, and that says which
    // functions its calls lead to.
    if cfg!(target_pointer_width = "32") && !search::is_convention_known() {
        let _ = SyscallName::new("ioctl")
            .map(|ioctl| probe_call(&ioctl, native_row(&ioctl), Options::default()));
    }
    let row = search::native_row(&form.call);
    if !row.is_known || search::may_be_reached(form) {
        Serving::Itself
    } else if row.is_served() {
        Serving::Another
    } else {
        Serving::None
    }
}

/// Finds the function that serves the call to native processes. `probe` tells whether the kernel has
/// a function; the last one that it was asked for and has is the result.
#[cfg(feature = "capi")]
pub(crate) fn find_function(
    name: &SyscallName,
    probe: &mut dyn FnMut(&Symbol) -> Result<bool, Error>,
) -> Result<Symbol, Error> {
    search::find_function(Abi::Native, name, &search::native_row(name), probe)
}

/// Whether the kernel has the function, where it has refused a return probe with EINVAL: up to
/// Linux 5.10 that may mean either.
#[cfg(feature = "capi")]
pub(crate) fn has_function(symbol: &Symbol) -> bool {
    let kind = Kind { retprobe: true, ..Kind::ENTRY };
    !matches!(probe::probe_symbol(symbol, kind), Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fake::{Kernel, PMU, refused};

    /// In one test, for what is learnt of the kernel stays.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_stub_is_told_by_the_list_of_symbols_and_then_without_an_event() {
        const SYMBOLS: &str = "c0100000 T sys_getpid\nc0112358 W sys_mbind\n";
        let probed = || {
            let files = [PMU, &[("/proc/kallsyms", SYMBOLS)]].concat().leak();
            let kprobe = |symbol: &str, _, _| {
                if SYMBOLS.contains(&format!(" {symbol}\n")) {
                    Ok(10)
                } else {
                    refused(libc::ENOENT)
                }
            };
            let (probed, calls) = Kernel { files, kprobe, ..Kernel::new() }.run(|| {
                let name = SyscallName::new("mbind").unwrap();
                probe_call(&name, native_row(&name), Options::default()).map(|_| ())
            });
            assert!(matches!(probed, Err(Error::NotFound { .. })), "{probed:?}");
            calls.iter().filter(|call| *call == "kprobe sys_mbind on 0").count()
        };
        assert_eq!([probed(), probed()], [1, 0]);
    }

    #[test]
    fn a_number_of_calls_is_of_return_probes_and_within_the_kernels_limits() {
        let check = |retprobe, max_active| {
            let options = Options { retprobe, max_active, ..Options::default() };
            options.check().map_err(|error| error.errno())
        };
        for (retprobe, max_active) in [(false, 0), (true, 0), (true, 1), (true, 4096)] {
            assert_eq!(check(retprobe, max_active), Ok(()), "{retprobe} {max_active}");
        }
        for (retprobe, max_active) in [(true, 4097), (true, u32::MAX), (false, 1), (false, 4097)] {
            assert_eq!(check(retprobe, max_active), Err(libc::EINVAL), "{retprobe} {max_active}");
        }
    }
}
