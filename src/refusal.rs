//! Why something failed, as all steps hand it on: small, and without the symbol that
//! it failed at. [`Place`] has that, and [`Error`](crate::Error) puts the two together.

use errno::Errno;

use crate::candidates::{Conventions, Symbol};
use crate::name::SyscallName;

/// What failed, and what the kernel answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// It is no syscall's name.
    InvalidName,
    /// The kernel has none of the symbols of these conventions.
    NotFound(Conventions),
    /// It does not take the probe: a symbol that it does not have, or a place where it
    /// allows none.
    Probe(Errno),
    /// It takes one on the function, but not on its return.
    NoReturnProbe,
    /// Anything else that perf_event_open(2) says of a probe.
    Event(Errno),
    /// A step in tracefs.
    Tracefs(&'static str, Errno),
    /// Reading /proc/kallsyms, on which it depended whether the symbol is a stub.
    KernelSymbols(Errno),
    /// `BPF_LINK_CREATE`.
    LinkCreate(Errno),
    /// `PERF_EVENT_IOC_SET_BPF`.
    SetBpf(Errno),
    /// A cookie, on a kernel that has none.
    CookieUnsupported,
    /// The attachment's close(2).
    Close(Errno),
}

/// Where it failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) name: SyscallName,
    /// The symbol that was tried last.
    pub(crate) symbol: Symbol,
    pub(crate) retprobe: bool,
}

impl Place {
    /// Before any symbol was tried.
    pub(crate) const fn of(name: SyscallName, retprobe: bool) -> Self {
        Self { name, symbol: Symbol::EMPTY, retprobe }
    }
}

impl Refusal {
    /// The errno that stands for it: positive, never 0, from errno(3).
    pub(crate) fn errno(self) -> Errno {
        match self {
            Refusal::InvalidName => Errno(libc::EINVAL),
            Refusal::NotFound(_) => Errno(libc::ENOENT),
            Refusal::NoReturnProbe | Refusal::CookieUnsupported => Errno(libc::EOPNOTSUPP),
            Refusal::Probe(errno)
            | Refusal::Event(errno)
            | Refusal::Tracefs(_, errno)
            | Refusal::KernelSymbols(errno)
            | Refusal::LinkCreate(errno)
            | Refusal::SetBpf(errno)
            | Refusal::Close(errno) => errno,
        }
    }
}
