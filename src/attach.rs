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
#[cfg(feature = "capi")]
pub(crate) mod requested;
mod search;

use crate::Error;
use crate::attach::attachment::Attachment;
use crate::calls::abi::Abi;
use crate::calls::table::Row;
use crate::calls::{Symbol, SyscallName};
use crate::kernel::Kind;
pub(crate) use search::native_row;

/// Options of an attachment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// The value that `bpf_get_attach_cookie()` returns to the program.
    pub(crate) cookie: u64,
    /// Run the program at the call's return instead of its entry.
    pub(crate) retprobe: bool,
    /// Keep the perf event's descriptor open in addition to the link's descriptor.
    pub(crate) keep_event: bool,
    /// Attach to the function with the call's name even if no system call reaches the function.
    pub(crate) allow_unreached: bool,
    /// Number of in-flight calls that a return probe tracks; 0 selects the kernel's default.
    pub(crate) max_active: u32,
}

impl Options {
    fn kind(&self) -> Kind {
        Kind { retprobe: self.retprobe, max_active: self.max_active }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        /// `KRETPROBE_MAXACTIVE_MAX` in kernel/trace/trace_kprobe.c.
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
    /// Whether the call reaches the function. False only with `allow_unreached`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fake::{Kernel, PMU, refused};

    /// One test runs both searches, because the list of stubs is cached until the process ends.
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
