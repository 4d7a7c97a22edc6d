//! The way of one call: the name's candidates are probed for, and the program is
//! attached to the first that the kernel has.

#[cfg(feature = "more")]
pub(crate) mod callers;
#[cfg(feature = "more")]
pub(crate) mod many;
#[cfg(feature = "more")]
mod multi_link;
pub(crate) mod perf_link;
mod probe;

#[cfg(feature = "std")]
use core::ffi::c_int;

use crate::attachment::Attachment;
use crate::kernel::version::version;
use crate::kernel::{Kind, LEARNT, stubs, tracefs};
use crate::refusal::{Place, Refusal};
use crate::resolve::Symbol;
use crate::resolve::conventions::Doubt;
use crate::resolve::search::search;
use crate::resolve::table::{self, Row};
#[cfg(feature = "std")]
use crate::{Error, link::Link, resolve::SyscallName};

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
    #[cfg(feature = "more")]
    pub(crate) max_active: u32,
}

impl Options {
    fn kind(&self) -> Kind {
        Kind {
            retprobe: self.retprobe,
            #[cfg(feature = "more")]
            max_active: self.max_active,
        }
    }

    #[cfg(feature = "more")]
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        /// `KRETPROBE_MAXACTIVE_MAX` of kernel/trace/trace_kprobe.c.
        const MOST: u32 = 4096;
        match self.max_active {
            0 => Ok(()),
            1..=MOST if self.retprobe => Ok(()),
            _ => Err(Refusal::MaxActive),
        }
    }
}

/// An event on the function that serves a call.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) event: Attachment,
    /// False only if that was allowed.
    pub(crate) is_reached: bool,
}

/// Attaches the loaded program.
#[cfg(feature = "std")]
pub(crate) fn attach(
    program_fd: c_int,
    name: &SyscallName,
    options: Options,
) -> Result<Link, Error> {
    let mut place = Place::of(*name, options.retprobe);
    let target = probe_call(&mut place, options);
    let attached = target.and_then(|Target { event, is_reached }| {
        let (attachment, kept) = perf_link::join(program_fd, event, options)?;
        Ok(Link::new(kept, attachment, place.symbol, is_reached))
    });
    attached.map_err(|refusal| Error::new(refusal, &place))
}

/// Opens an event on the function that serves the call of `place`, which gets its symbol.
pub(crate) fn probe_call(place: &mut Place, options: Options) -> Result<Target, Refusal> {
    #[cfg(feature = "more")]
    options.check()?;
    let mut row = table::row(&place.name).in_version(version);
    let is_reached = row.is_served();
    if options.allow_unreached {
        row.take_its_name();
    }
    let event = search(&row, &LEARNT.conventions, place, |symbol, doubt| {
        if doubt == Doubt::MayBeStub && stubs::is_known_stub(symbol) {
            return Ok(None);
        }
        let Some(event) = probe::probe_symbol(symbol, options.kind())? else {
            return Ok(None);
        };
        Ok((!is_right(doubt, symbol, &row)?).then_some(event))
    })?;
    Ok(Target { event, is_reached })
}

/// Whether a doubt about a symbol that the kernel has is right: then it does not serve
/// the call of the row.
pub(crate) fn is_right(doubt: Doubt, symbol: &Symbol, row: &Row) -> Result<bool, Refusal> {
    Ok(match doubt {
        Doubt::None => false,
        Doubt::MayBeStub => stubs::is_stub(symbol).map_err(Refusal::KernelSymbols)?,
        Doubt::MayBeNoCall => !tracefs::has_tracepoint_of_call(row.name()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::SyscallName;
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
                let mut place = Place::of(SyscallName::new("mbind").unwrap(), false);
                probe_call(&mut place, Options::default()).map(|_| ())
            });
            assert!(matches!(probed, Err(Refusal::NotFound)), "{probed:?}");
            calls.iter().filter(|call| *call == "kprobe sys_mbind on 0").count()
        };
        assert_eq!([probed(), probed()], [1, 0]);
    }

    #[test]
    fn a_number_of_calls_is_of_return_probes_and_within_the_kernels_limits() {
        let check = |retprobe, max_active| {
            let options = Options { retprobe, max_active, ..Options::default() };
            options.check().map_err(|refusal| refusal.errno().0)
        };
        for (retprobe, max_active) in [(false, 0), (true, 0), (true, 1), (true, 4096)] {
            assert_eq!(check(retprobe, max_active), Ok(()), "{retprobe} {max_active}");
        }
        for (retprobe, max_active) in [(true, 4097), (true, u32::MAX), (false, 1), (false, 4097)] {
            assert_eq!(check(retprobe, max_active), Err(libc::EINVAL), "{retprobe} {max_active}");
        }
    }
}
