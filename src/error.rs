//! Everything that can go wrong, and the errno that stands for it in C.

use core::fmt;

use errno::Errno;

use crate::refusal::{Place, Refusal, message};
use crate::resolve::Symbol;
use crate::resolve::SyscallName;

/// Why a program could not be attached, pinned or detached.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name is no syscall's: see [`SyscallName`].
    InvalidName,

    /// The running kernel has no function that serves the call: it does not
    /// implement it, this architecture does not have it, or it is no syscall.
    #[non_exhaustive]
    NotFound {
        /// The call.
        name: SyscallName,
        /// The kernel functions that were looked for, one of which would have served it.
        tried: Vec<Symbol>,
    },

    /// perf_event_open(2) refused a probe on the symbol.
    #[non_exhaustive]
    PerfEvent {
        /// The kernel function.
        symbol: Symbol,
        /// Whether a return probe was asked for.
        retprobe: bool,
        /// What the kernel returned.
        errno: Errno,
    },

    /// The kernel can probe the function, but not at its return: it refuses
    /// probes on the first instruction (riscv64 since Linux 6.12, where that is
    /// an ftrace site and there are no kprobes on ftrace).
    #[non_exhaustive]
    NoReturnProbe {
        /// The kernel function.
        symbol: Symbol,
    },

    /// The kernel has no kprobe PMU and its tracefs could not be used instead.
    #[non_exhaustive]
    Tracefs {
        /// What was done.
        step: &'static str,
        /// What the kernel returned.
        errno: Errno,
    },

    /// The kernel has the function, which may be a stub that all calls share that it
    /// was built without, and /proc/kallsyms, which tells, could not be read.
    #[non_exhaustive]
    KernelSymbols {
        /// The kernel function.
        symbol: Symbol,
        /// What the kernel returned; ENODATA if the list is not whole.
        errno: Errno,
    },

    /// `BPF_LINK_CREATE` refused the program.
    #[non_exhaustive]
    LinkCreate {
        /// The kernel function.
        symbol: Symbol,
        /// What the kernel returned.
        errno: Errno,
    },

    /// The kernel has no BPF links of perf events, and
    /// `PERF_EVENT_IOC_SET_BPF` refused the program.
    #[non_exhaustive]
    SetBpf {
        /// The kernel function.
        symbol: Symbol,
        /// What the kernel returned.
        errno: Errno,
    },

    /// A cookie was given to a kernel that has none (before Linux 5.15).
    CookieUnsupported,

    /// `BPF_OBJ_PIN` failed.
    #[non_exhaustive]
    Pin {
        /// What the kernel returned.
        errno: Errno,
    },

    /// The attachment was closed, but the kernel reported a failure.
    #[non_exhaustive]
    Close {
        /// What the kernel returned.
        errno: Errno,
    },
}

impl Error {
    /// The errno of the failure: positive, never 0, from errno(3).
    pub fn errno(&self) -> i32 {
        match self {
            Error::Pin { errno } => errno.0,
            _ => self.refusal().0.errno().0,
        }
    }

    /// The error that a refusal is, there.
    pub(crate) fn new(refusal: Refusal, place: &Place) -> Self {
        let Place { name, symbol, retprobe, .. } = *place;
        match refusal {
            Refusal::InvalidName => Error::InvalidName,
            Refusal::NotFound => Error::NotFound { name, tried: place.tried.as_slice().to_vec() },
            Refusal::Probe(errno) | Refusal::Event(errno) => {
                Error::PerfEvent { symbol, retprobe, errno }
            }
            Refusal::NoReturnProbe => Error::NoReturnProbe { symbol },
            Refusal::Tracefs(step, errno) => Error::Tracefs { step, errno },
            Refusal::KernelSymbols(errno) => Error::KernelSymbols { symbol, errno },
            Refusal::LinkCreate(errno) => Error::LinkCreate { symbol, errno },
            Refusal::SetBpf(errno) => Error::SetBpf { symbol, errno },
            Refusal::CookieUnsupported => Error::CookieUnsupported,
            Refusal::Close(errno) => Error::Close { errno },
        }
    }

    /// What [`Error::new`] was given.
    fn refusal(&self) -> (Refusal, Place) {
        let mut place = Place::of(SyscallName::EMPTY, false);
        let refusal = match *self {
            Error::InvalidName => Refusal::InvalidName,
            Error::NotFound { name, ref tried } => {
                place.name = name;
                tried.iter().for_each(|symbol| _ = place.tried.add(symbol));
                Refusal::NotFound
            }
            Error::PerfEvent { symbol, retprobe, errno } => {
                place = Place { symbol, retprobe, ..place };
                Refusal::Event(errno)
            }
            Error::NoReturnProbe { symbol } => {
                place.symbol = symbol;
                Refusal::NoReturnProbe
            }
            Error::Tracefs { step, errno } => Refusal::Tracefs(step, errno),
            Error::KernelSymbols { symbol, errno } => {
                place.symbol = symbol;
                Refusal::KernelSymbols(errno)
            }
            Error::LinkCreate { symbol, errno } => {
                place.symbol = symbol;
                Refusal::LinkCreate(errno)
            }
            Error::SetBpf { symbol, errno } => {
                place.symbol = symbol;
                Refusal::SetBpf(errno)
            }
            Error::CookieUnsupported => Refusal::CookieUnsupported,
            Error::Close { errno } | Error::Pin { errno } => Refusal::Close(errno),
        };
        (refusal, place)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        let (refusal, place) = self.refusal();
        let mut write = |part: &[u8]| {
            let part = core::str::from_utf8(part).unwrap_or("?");
            result = result.and_then(|()| f.write_str(part));
        };
        if let Error::Pin { errno } = self {
            message::fill(b"bpf(BPF_OBJ_PIN): !", &place, *errno, b"", &mut write);
        } else {
            message::say(refusal, &place, &mut write);
        }
        result
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = std::io::Error::from_raw_os_error(error.errno()).kind();
        std::io::Error::new(kind, error)
    }
}
