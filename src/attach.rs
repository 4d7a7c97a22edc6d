//! The way of one call: the name's candidates are probed for, and the program is
//! attached to the first that the kernel has.

#[cfg(feature = "std")]
use core::ffi::c_int;

use crate::candidates::Symbol;
#[cfg(feature = "std")]
use crate::link::{self, Link};
use crate::name::SyscallName;
use crate::probe::{self, Event};
use crate::search::{Learnt, search};
use crate::{Error, stub, table};

/// How a program is to be attached.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// What the program's `bpf_get_attach_cookie()` returns.
    pub(crate) cookie: u64,
    /// Run at the call's return, not at its entry.
    pub(crate) retprobe: bool,
    /// Take a function of the call's name though no call reaches it.
    pub(crate) allow_unreached: bool,
}

/// An event on the function that serves a call.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) symbol: Symbol,
    pub(crate) event: Event,
    /// False only if that was allowed.
    pub(crate) is_reached: bool,
}

/// Attaches the loaded program behind the fd `program`.
#[cfg(feature = "std")]
pub(crate) fn attach(program: c_int, name: &SyscallName, options: Options) -> Result<Link, Error> {
    link::attach(program, open(name, options)?, options.cookie)
}

/// Opens an event on the function that serves the call.
#[inline(never)]
pub(crate) fn open(name: &SyscallName, options: Options) -> Result<Target, Error> {
    static LEARNT: Learnt = Learnt::nothing();
    let row = table::row(name);
    let is_reached = row.is_served();
    let row = if options.allow_unreached { row.or_its_name() } else { row };
    search(name, &row, &LEARNT, |symbol, may_be_shared_stub| {
        let event = probe::open(symbol, options.retprobe)?;
        let event = event.filter(|_| !(may_be_shared_stub && stub::is_stub(symbol)));
        Ok(event.map(|event| Target { symbol: *symbol, event, is_reached }))
    })
}
