//! Attaches a BPF program to one system call: finds the kernel function that serves the call, opens
//! a perf event on the function and links the program to the event.

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

/// Options of an attachment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// What the program's `bpf_get_attach_cookie()` returns.
    pub(crate) cookie: u64,
    /// Run the program at the call's return instead of its entry.
    pub(crate) retprobe: bool,
    /// Keep the perf event's descriptor open in addition to the link's.
    pub(crate) keep_event: bool,
    /// Accept a function that has the call's name even if no system call reaches it.
    pub(crate) allow_unreached: bool,
    /// Number of in-flight calls that a return probe tracks; 0 selects the kernel's default.
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

/// A perf event on the function that serves a call.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) event: Attachment,
    pub(crate) symbol: Symbol,
    /// False only with `allow_unreached`.
    pub(crate) is_reached: bool,
}

/// Opens a perf event on the function that serves the call. `row` is the call's [`native_row`].
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

/// What the tables say about a kernel function that a loader asks for.
#[cfg(feature = "capi")]
pub(crate) enum Serving {
    /// A system call reaches the function, if the kernel has the function.
    Itself,
    /// No system call reaches the function. The call of its name reaches another function.
    Another,
    /// The call of its name does not exist on this kernel.
    None,
}

#[cfg(feature = "capi")]
pub(crate) fn serving(form: &Form) -> Serving {
    // In a 32-bit process, the naming convention shows whether the kernel is 32-bit or 64-bit, and
    // thus which functions the process's calls reach.
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

/// Finds the function that serves the call for native callers. `probe` reports whether the kernel
/// has a symbol. The result is the last symbol passed to `probe`.
#[cfg(feature = "capi")]
pub(crate) fn find_function(
    name: &SyscallName,
    probe: &mut dyn FnMut(&Symbol) -> Result<bool, Error>,
) -> Result<Symbol, Error> {
    search::find_function(Abi::Native, name, &search::native_row(name), probe)
}

/// Whether the kernel has the function, after a return probe failed with EINVAL. Up to Linux 5.10,
/// EINVAL can also mean that the function does not exist.
#[cfg(feature = "capi")]
pub(crate) fn has_function(symbol: &Symbol) -> bool {
    let kind = Kind { retprobe: true, ..Kind::ENTRY };
    !matches!(probe::probe_symbol(symbol, kind), Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fake::{Kernel, PMU, refused};

    /// One test, because the list of stubs stays cached for the whole process.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn stubs_are_recognised_in_kallsyms_and_then_from_the_cache() {
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
    fn max_active_requires_a_return_probe_and_at_most_4096() {
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
