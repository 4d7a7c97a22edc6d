//! Everything that can go wrong, and the errno that stands for it in C.

use core::fmt;

use errno::Errno;

use crate::candidates::{CONVENTIONS, Conventions, Symbol};
use crate::name::SyscallName;
use crate::{sys, table};

/// Why a program could not be attached, pinned or detached.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name is no syscall's: see [`SyscallName`].
    #[error("a syscall's name is 1 to 64 of a-z, 0-9 and _")]
    InvalidName,

    /// The running kernel has no function that serves the call: it does not
    /// implement it, this architecture does not have it, or it is no syscall.
    #[error("{}", NotFound { name, tried: *tried })]
    #[non_exhaustive]
    NotFound {
        /// The call.
        name: SyscallName,
        /// Whose symbols were asked for.
        tried: TriedConventions,
    },

    /// perf_event_open(2) refused a probe on the symbol.
    #[error("{}", Step { what: perf_event_open(*retprobe), symbol: symbol.as_str(), errno: *errno, hint: perf_event_hint(*errno) })]
    #[non_exhaustive]
    PerfEvent {
        /// The kernel function.
        symbol: Symbol,
        /// Whether a return probe was asked for.
        retprobe: bool,
        /// What the kernel answered.
        errno: Errno,
    },

    /// The kernel can probe the function, but not at its return: it refuses
    /// probes on the first instruction (riscv64 since Linux 6.12, where that is
    /// an ftrace site and there are no kprobes on ftrace).
    #[error("{symbol}: this kernel allows no return probe on functions that ftrace can trace")]
    #[non_exhaustive]
    NoReturnProbe {
        /// The kernel function.
        symbol: Symbol,
    },

    /// The kernel has no kprobe PMU and its tracefs could not be used instead.
    #[error("{}", Step { what: "tracefs: ", symbol: step, errno: *errno, hint: "" })]
    #[non_exhaustive]
    Tracefs {
        /// What was done.
        step: &'static str,
        /// What the kernel answered.
        errno: Errno,
    },

    /// `BPF_LINK_CREATE` refused the program.
    #[error("{}", Step { what: "bpf(BPF_LINK_CREATE) of the probe on ", symbol: symbol.as_str(), errno: *errno, hint: program_hint(*errno) })]
    #[non_exhaustive]
    LinkCreate {
        /// The kernel function.
        symbol: Symbol,
        /// What the kernel answered.
        errno: Errno,
    },

    /// The kernel has no BPF links of perf events, and
    /// `PERF_EVENT_IOC_SET_BPF` refused the program.
    #[error("{}", Step { what: "ioctl(PERF_EVENT_IOC_SET_BPF) of the probe on ", symbol: symbol.as_str(), errno: *errno, hint: program_hint(*errno) })]
    #[non_exhaustive]
    SetBpf {
        /// The kernel function.
        symbol: Symbol,
        /// What the kernel answered.
        errno: Errno,
    },

    /// A cookie was given to a kernel that has none (before Linux 5.15).
    #[error("a BPF cookie needs a kernel with BPF links of perf events (Linux 5.15)")]
    CookieUnsupported,

    /// `BPF_OBJ_PIN` failed.
    #[error("{}", Step { what: "bpf(BPF_OBJ_PIN)", symbol: "", errno: *errno, hint: "" })]
    #[non_exhaustive]
    Pin {
        /// What the kernel answered.
        errno: Errno,
    },

    /// The attachment was closed, but the kernel reported a failure.
    #[error("{}", Step { what: "close of the attachment", symbol: "", errno: *errno, hint: "" })]
    #[non_exhaustive]
    Close {
        /// What the kernel answered.
        errno: Errno,
    },
}

impl Error {
    /// The errno of the failure: positive, never 0, from errno(3).
    pub fn errno(&self) -> i32 {
        match self {
            Error::InvalidName => libc::EINVAL,
            Error::NotFound { .. } => libc::ENOENT,
            Error::NoReturnProbe { .. } | Error::CookieUnsupported => libc::EOPNOTSUPP,
            Error::PerfEvent { errno, .. }
            | Error::Tracefs { errno, .. }
            | Error::LinkCreate { errno, .. }
            | Error::SetBpf { errno, .. }
            | Error::Pin { errno }
            | Error::Close { errno } => errno.0,
        }
    }
}

#[cfg(feature = "std")]
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = std::io::Error::from_raw_os_error(error.errno()).kind();
        std::io::Error::new(kind, error)
    }
}

/// The naming conventions whose symbols were asked for; [`Error::NotFound`]
/// shows the symbols.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TriedConventions(pub(crate) Conventions);

/// The text of [`Error::NotFound`].
struct NotFound<'a> {
    name: &'a SyscallName,
    tried: TriedConventions,
}

impl fmt::Display for NotFound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no system call ")?;
        f.write_str(self.name.as_str())?;
        f.write_str(": ")?;
        let row = table::row(self.name);
        let mut lead = "this kernel does not have it: tried ";
        let mut shown = Conventions::NONE;
        for (index, convention) in CONVENTIONS.iter().enumerate() {
            if self.tried.0.contains(index) {
                for symbol in convention.symbols(&row) {
                    if shown.that_have(&symbol, &row).is_empty() {
                        f.write_str(lead)?;
                        f.write_str(symbol.as_str())?;
                        lead = ", ";
                    }
                }
                shown = shown.with(index);
            }
        }
        if lead != ", " {
            f.write_str("this architecture does not have it")?;
        }
        lead = "; did you mean ";
        for near in table::nearest(self.name).into_iter().flatten() {
            if near != self.name.as_str() {
                f.write_str(lead)?;
                f.write_str(near)?;
                lead = ", ";
            }
        }
        f.write_str(if lead == ", " { "?" } else { "" })
    }
}

/// The text of a step that failed. Written piece by piece: each piece of a format
/// is a relocation of the library.
struct Step<'a> {
    what: &'a str,
    /// What it was done to.
    symbol: &'a str,
    errno: Errno,
    hint: &'a str,
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; 128];
        f.write_str(self.what)?;
        f.write_str(self.symbol)?;
        f.write_str(": ")?;
        f.write_str(sys::strerror(self.errno, &mut buffer))?;
        f.write_str(self.hint)
    }
}

fn perf_event_open(retprobe: bool) -> &'static str {
    if retprobe { "perf_event_open of a kretprobe on " } else { "perf_event_open of a kprobe on " }
}

/// What an errno of perf_event_open means for a probe.
fn perf_event_hint(errno: Errno) -> &'static str {
    match errno.0 {
        libc::EPERM | libc::EACCES => " (it takes CAP_PERFMON or CAP_SYS_ADMIN)",
        libc::EINVAL => " (the kernel allows no probe there; its log may say why)",
        _ => "",
    }
}

/// What an errno of an attachment means for the program.
fn program_hint(errno: Errno) -> &'static str {
    match errno.0 {
        libc::EINVAL => " (is the program of type BPF_PROG_TYPE_KPROBE?)",
        libc::EBADF => " (the program's fd is not open)",
        _ => "",
    }
}
