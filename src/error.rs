//! Everything that can go wrong, and the errno that stands for it in C.

use core::fmt;

use errno::Errno;

use crate::refusal::{Place, Refusal, message};
use crate::resolve::{Symbol, SyscallName};

/// Why a program could not be attached, pinned or detached.
///
/// Its text says what failed, at which kernel function, what the kernel returned, and
/// what that may mean. The `Debug` of it is the same, for a `main` that returns it.
#[derive(Clone, thiserror::Error)]
#[error("{}", Text(self))]
#[non_exhaustive]
pub enum Error {
    /// The name has not the form of a system call's: see [`SyscallName`].
    #[non_exhaustive]
    InvalidName {
        /// What was given as one; empty from [`SyscallName`]'s own functions, which are
        /// `const`.
        name: String,
    },

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
        errno: i32,
    },

    /// The kernel can probe the function, but not at its return: it refuses
    /// probes on the first instruction (riscv64, Linux 6.12, where that is
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
        errno: i32,
    },

    /// The kernel has the function, which may be a stub that all calls share that it
    /// was built without, and /proc/kallsyms, which tells, could not be read.
    #[non_exhaustive]
    KernelSymbols {
        /// The kernel function.
        symbol: Symbol,
        /// What the kernel returned; ENODATA if the list is not whole.
        errno: i32,
    },

    /// `BPF_LINK_CREATE` refused the program.
    #[non_exhaustive]
    LinkCreate {
        /// The kernel function.
        symbol: Symbol,
        /// What the kernel returned.
        errno: i32,
    },

    /// The kernel has no BPF links of perf events, and
    /// `PERF_EVENT_IOC_SET_BPF` refused the program.
    #[non_exhaustive]
    SetBpf {
        /// The kernel function.
        symbol: Symbol,
        /// What the kernel returned.
        errno: i32,
    },

    /// A cookie was given to a kernel that has none (before Linux 5.15).
    CookieUnsupported,

    /// `BPF_LINK_CREATE` refused a kprobe.multi link on the functions of a batch.
    #[non_exhaustive]
    MultiLink {
        /// What the kernel returned.
        errno: i32,
    },

    /// ftrace cannot trace the function, which a program for kprobe.multi needs.
    #[non_exhaustive]
    NotTraceable {
        /// The kernel function.
        symbol: Symbol,
    },

    /// The function serves an earlier call of the batch too, which has another cookie. It is
    /// attached to once, so that the program does not run twice for one call.
    #[non_exhaustive]
    SameFunction {
        /// The kernel function.
        symbol: Symbol,
    },

    /// A batch takes more file descriptors than this process can open (`RLIMIT_NOFILE` of
    /// getrlimit(2)). Nothing was attached.
    #[non_exhaustive]
    Descriptors {
        /// How many it takes.
        needed: usize,
        /// How many can be opened.
        free: usize,
    },

    /// There is no memory for a batch.
    NoMemory,
    /// A number that [`Ksyscall::max_active`](crate::Ksyscall::max_active) does not take,
    /// or one for a probe that is no return probe.
    MaxActive,

    /// A number of active calls was given to a kernel that may not know of it (before Linux
    /// 4.17, or sysfs is not mounted).
    MaxActiveUnsupported,

    /// `BPF_OBJ_PIN` failed.
    #[non_exhaustive]
    Pin {
        /// What the kernel returned.
        errno: i32,
    },

    /// The attachment was closed, but the kernel reported a failure.
    #[non_exhaustive]
    Close {
        /// What the kernel returned.
        errno: i32,
    },
}

impl Error {
    /// The same, and which name it is, if it is not known.
    pub(crate) fn of_name(mut self, name: &str) -> Self {
        if let Error::InvalidName { name: unknown } = &mut self {
            name.clone_into(unknown);
        }
        self
    }

    /// The errno of the failure: positive, never 0, from errno(3).
    pub fn errno(&self) -> i32 {
        self.refusal().0.errno().0
    }

    /// The error that a refusal is, there.
    pub(crate) fn new(refusal: Refusal, place: &Place) -> Self {
        let Place { name, symbol, retprobe, .. } = *place;
        let errno = refusal.errno().0;
        match refusal {
            Refusal::InvalidName => Error::InvalidName { name: name.as_str().to_owned() },
            Refusal::NotFound => Error::NotFound { name, tried: place.tried.as_slice().to_vec() },
            Refusal::Probe(_) | Refusal::Event(_) => Error::PerfEvent { symbol, retprobe, errno },
            Refusal::NoReturnProbe => Error::NoReturnProbe { symbol },
            Refusal::Tracefs(step, _) => Error::Tracefs { step, errno },
            Refusal::KernelSymbols(_) => Error::KernelSymbols { symbol, errno },
            Refusal::LinkCreate(_) => Error::LinkCreate { symbol, errno },
            Refusal::SetBpf(_) => Error::SetBpf { symbol, errno },
            Refusal::CookieUnsupported => Error::CookieUnsupported,
            Refusal::MultiLink(_) => Error::MultiLink { errno },
            Refusal::NotTraceable => Error::NotTraceable { symbol },
            Refusal::SameFunction => Error::SameFunction { symbol },
            Refusal::Descriptors { needed, free } => Error::Descriptors { needed, free },
            Refusal::NoMemory => Error::NoMemory,
            Refusal::MaxActive => Error::MaxActive,
            Refusal::MaxActiveUnsupported => Error::MaxActiveUnsupported,
            Refusal::Pin(_) => Error::Pin { errno },
            Refusal::Close(_) => Error::Close { errno },
        }
    }

    /// What [`Error::new`] was given.
    fn refusal(&self) -> (Refusal, Place) {
        let mut place = Place::of(SyscallName::EMPTY, false);
        if let Error::PerfEvent { symbol, .. }
        | Error::NoReturnProbe { symbol }
        | Error::KernelSymbols { symbol, .. }
        | Error::LinkCreate { symbol, .. }
        | Error::SetBpf { symbol, .. }
        | Error::NotTraceable { symbol }
        | Error::SameFunction { symbol } = self
        {
            place.symbol = *symbol;
        }
        let refusal = match *self {
            Error::InvalidName { .. } => Refusal::InvalidName,
            Error::NotFound { name, ref tried } => {
                place.name = name;
                tried.iter().for_each(|symbol| _ = place.tried.add(symbol));
                Refusal::NotFound
            }
            Error::PerfEvent { retprobe, errno, .. } => {
                place.retprobe = retprobe;
                Refusal::Event(Errno(errno))
            }
            Error::NoReturnProbe { .. } => Refusal::NoReturnProbe,
            Error::Tracefs { step, errno } => Refusal::Tracefs(step, Errno(errno)),
            Error::KernelSymbols { errno, .. } => Refusal::KernelSymbols(Errno(errno)),
            Error::LinkCreate { errno, .. } => Refusal::LinkCreate(Errno(errno)),
            Error::SetBpf { errno, .. } => Refusal::SetBpf(Errno(errno)),
            Error::CookieUnsupported => Refusal::CookieUnsupported,
            Error::MultiLink { errno } => Refusal::MultiLink(Errno(errno)),
            Error::NotTraceable { .. } => Refusal::NotTraceable,
            Error::SameFunction { .. } => Refusal::SameFunction,
            Error::Descriptors { needed, free } => Refusal::Descriptors { needed, free },
            Error::NoMemory => Refusal::NoMemory,
            Error::MaxActive => Refusal::MaxActive,
            Error::MaxActiveUnsupported => Refusal::MaxActiveUnsupported,
            Error::Pin { errno } => Refusal::Pin(Errno(errno)),
            Error::Close { errno } => Refusal::Close(Errno(errno)),
        };
        (refusal, place)
    }
}

/// What is said of an error.
struct Text<'a>(&'a Error);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (refusal, place) = self.0.refusal();
        let mut result = match self.0 {
            // Shown as a name is that C gives, in one line.
            Error::InvalidName { name } if !name.is_empty() => {
                write!(f, "'{}': ", name.escape_debug())
            }
            _ => Ok(()),
        };
        message::say(refusal, &place, &mut |part| {
            let part = String::from_utf8_lossy(part);
            result = result.and_then(|()| f.write_str(&part));
        });
        result
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = std::io::Error::from_raw_os_error(error.errno()).kind();
        std::io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn main_prints_a_sentence() {
        let error = Error::Pin { errno: libc::EEXIST };
        assert_eq!(format!("{error:?}"), "bpf(BPF_OBJ_PIN): File exists");
        assert_eq!(error.to_string(), format!("{error:?}"));
        assert_eq!(error.errno(), libc::EEXIST);
    }
}
