//! Why something failed, as all steps hand it on: small, and without the symbol that
//! it failed at. [`Place`] has that, and [`Error`](crate::Error) puts the two together.

pub(crate) mod message;

use errno::Errno;

use crate::resolve::{Symbol, SyscallName};

/// What failed, with the errno that the kernel returned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// It is no syscall's name.
    InvalidName,
    /// The kernel has none of the symbols that were tried.
    NotFound,
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
    /// `BPF_LINK_CREATE` of a kprobe.multi link.
    MultiLink(Errno),
    /// A function that ftrace cannot trace, for a kprobe.multi link.
    NotTraceable,
    /// Another cookie for a function that another call of the list has.
    SameFunction,
    /// Fewer descriptors can be opened than it takes.
    Descriptors {
        needed: usize,
        free: usize,
    },
    NoMemory,
    /// A number of calls to watch that no probe takes.
    MaxActive,
    /// A number of calls to watch, on a kernel that may not know of it.
    MaxActiveUnsupported,
    /// Callers other than native ones, on an architecture of which their functions are not known.
    CallersUnknown,
    /// Reading addresses of /proc/kallsyms, on which it depended whether two symbols are of one
    /// function.
    Addresses(Errno),
    /// The kernel serves no 32-bit callers: it was built without, or booted with that off.
    NoCompatCallers {
        is_off: bool,
    },
    /// 32-bit callers have no such call.
    NoCompatCall,
    /// It takes one descriptor, and the attachment has several.
    #[cfg(feature = "std")]
    Several {
        count: usize,
    },
    /// `BPF_OBJ_PIN`.
    #[cfg(feature = "std")]
    Pin(Errno),
    /// The attachment's close(2).
    Close(Errno),
}

/// Where it failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) name: SyscallName,
    /// The symbol that was tried last, which may be a convention's anchor.
    pub(crate) symbol: Symbol,
    /// Those that could have served the call.
    pub(crate) tried: Tried,
    pub(crate) retprobe: bool,
}

/// The first symbols that were tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried {
    symbols: [Symbol; Self::MOST],
    count: usize,
}

impl Tried {
    /// As many as an architecture's conventions can have of a line of its table.
    const MOST: usize = 12;

    pub(crate) const NONE: Self = Self { symbols: [Symbol::EMPTY; Self::MOST], count: 0 };

    /// Adds a symbol, and says whether it was not there before.
    pub(crate) fn add(&mut self, symbol: &Symbol) -> bool {
        let is_new = !self.as_slice().contains(symbol);
        if let Some(place) = self.symbols.get_mut(self.count).filter(|_| is_new) {
            *place = *symbol;
            self.count += 1;
        }
        is_new
    }

    pub(crate) fn as_slice(&self) -> &[Symbol] {
        self.symbols.get(..self.count).unwrap_or_default()
    }
}

impl Place {
    /// Before any symbol was tried.
    pub(crate) const fn of(name: SyscallName, retprobe: bool) -> Self {
        Self { name, symbol: Symbol::EMPTY, tried: Tried::NONE, retprobe }
    }
}

impl Refusal {
    /// The errno that stands for it: positive, never 0, from errno(3).
    pub(crate) fn errno(self) -> Errno {
        match self {
            Refusal::InvalidName | Refusal::MaxActive => Errno(libc::EINVAL),
            Refusal::NotFound | Refusal::NoCompatCall => Errno(libc::ENOENT),
            Refusal::NoReturnProbe
            | Refusal::CookieUnsupported
            | Refusal::NotTraceable
            | Refusal::MaxActiveUnsupported
            | Refusal::CallersUnknown
            | Refusal::NoCompatCallers { .. } => Errno(libc::EOPNOTSUPP),
            Refusal::Probe(errno)
            | Refusal::Event(errno)
            | Refusal::Tracefs(_, errno)
            | Refusal::KernelSymbols(errno)
            | Refusal::LinkCreate(errno)
            | Refusal::SetBpf(errno)
            | Refusal::MultiLink(errno)
            | Refusal::Addresses(errno)
            | Refusal::Close(errno) => errno,
            Refusal::SameFunction => Errno(libc::EEXIST),
            Refusal::Descriptors { .. } => Errno(libc::EMFILE),
            Refusal::NoMemory => Errno(libc::ENOMEM),
            #[cfg(feature = "std")]
            Refusal::Several { .. } => Errno(libc::EOPNOTSUPP),
            #[cfg(feature = "std")]
            Refusal::Pin(errno) => errno,
        }
    }

    /// Whether it says that there is nothing to attach to, which is no failure as long as
    /// other callers have the call.
    pub(crate) fn is_absence(self) -> bool {
        matches!(self, Refusal::NotFound | Refusal::NoCompatCallers { .. } | Refusal::NoCompatCall)
    }
}
