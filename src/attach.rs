//! The way of one call: the name's candidates are probed for, and the program is
//! attached to the first that the kernel has.

use core::ffi::c_int;

use crate::candidates::Symbol;
use crate::link::Link;
use crate::name::SyscallName;
use crate::probe::{self, Event};
use crate::search::{Learnt, search};
use crate::{Error, link, stub};

/// How a program is to be attached.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// What the program's `bpf_get_attach_cookie()` returns.
    pub(crate) cookie: u64,
    /// Run at the call's return, not at its entry.
    pub(crate) retprobe: bool,
}

/// Attaches the loaded program behind the fd `program`.
#[inline(never)]
pub(crate) fn attach(program: c_int, name: &SyscallName, options: Options) -> Result<Link, Error> {
    let (symbol, event) = open(name, options.retprobe)?;
    link::attach(program, event, symbol, options.cookie)
}

/// Opens an event on the function that serves the call.
#[inline(never)]
pub(crate) fn open(name: &SyscallName, retprobe: bool) -> Result<(Symbol, Event), Error> {
    static LEARNT: Learnt = Learnt::nothing();
    search(name, &LEARNT, |symbol, may_be_shared_stub| {
        let event = probe::open(symbol, retprobe)?;
        let event = event.filter(|_| !(may_be_shared_stub && stub::is_stub(symbol)));
        Ok(event.map(|event| (*symbol, event)))
    })
}
