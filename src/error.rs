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
    InvalidName,

    /// The running kernel has no function that serves the call: it does not
    /// implement it, this architecture does not have it, or it is no syscall.
    #[non_exhaustive]
    NotFound {
        /// The call.
        name: SyscallName,
        /// Whose symbols were asked for.
        tried: TriedConventions,
    },

    /// perf_event_open(2) refused a probe on the symbol.
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
        /// What the kernel answered.
        errno: Errno,
    },

    /// `BPF_LINK_CREATE` refused the program.
    #[non_exhaustive]
    LinkCreate {
        /// The kernel function.
        symbol: Symbol,
        /// What the kernel answered.
        errno: Errno,
    },

    /// The kernel has no BPF links of perf events, and
    /// `PERF_EVENT_IOC_SET_BPF` refused the program.
    #[non_exhaustive]
    SetBpf {
        /// The kernel function.
        symbol: Symbol,
        /// What the kernel answered.
        errno: Errno,
    },

    /// A cookie was given to a kernel that has none (before Linux 5.15).
    CookieUnsupported,

    /// `BPF_OBJ_PIN` failed.
    #[non_exhaustive]
    Pin {
        /// What the kernel answered.
        errno: Errno,
    },

    /// The attachment was closed, but the kernel reported a failure.
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

    /// Says what went wrong, in pieces. The C library has no other way to make
    /// text: what a format needs would be a tenth of its code.
    pub(crate) fn say(&self, out: &mut dyn FnMut(&str)) {
        match self {
            Error::InvalidName => out("a syscall's name is 1 to 64 of a-z, 0-9 and _"),
            Error::NotFound { name, tried } => say_not_found(name, *tried, out),
            Error::PerfEvent { symbol, retprobe, errno } => {
                out("perf_event_open of a ");
                out(if *retprobe { "kretprobe on " } else { "kprobe on " });
                say_failure(symbol.as_str(), *errno, perf_event_hint(*errno), out);
            }
            Error::NoReturnProbe { symbol } => {
                out(symbol.as_str());
                out(": this kernel allows no return probe on functions that ftrace can trace");
            }
            Error::Tracefs { step, errno } => {
                out("tracefs: ");
                say_failure(step, *errno, "", out);
            }
            Error::LinkCreate { symbol, errno } => {
                out("bpf(BPF_LINK_CREATE) of the probe on ");
                say_failure(symbol.as_str(), *errno, program_hint(*errno), out);
            }
            Error::SetBpf { symbol, errno } => {
                out("ioctl(PERF_EVENT_IOC_SET_BPF) of the probe on ");
                say_failure(symbol.as_str(), *errno, program_hint(*errno), out);
            }
            Error::CookieUnsupported => {
                out("a BPF cookie needs a kernel with BPF links of perf events (Linux 5.15)")
            }
            Error::Pin { errno } => say_failure("bpf(BPF_OBJ_PIN)", *errno, "", out),
            Error::Close { errno } => say_failure("close of the attachment", *errno, "", out),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        self.say(&mut |part| result = result.and_then(|()| f.write_str(part)));
        result
    }
}

#[cfg(feature = "std")]
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = std::io::Error::from_raw_os_error(error.errno()).kind();
        std::io::Error::new(kind, error)
    }
}

/// The naming conventions whose symbols were asked for; the text of
/// [`Error::NotFound`] has the symbols.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TriedConventions(pub(crate) Conventions);

fn say_not_found(name: &SyscallName, tried: TriedConventions, out: &mut dyn FnMut(&str)) {
    out("no system call ");
    out(name.as_str());
    out(": ");
    let row = table::row(name);
    let mut lead = "this kernel does not have it: tried ";
    let mut shown = Conventions::NONE;
    for (index, convention) in CONVENTIONS.iter().enumerate() {
        if tried.0.contains(index) {
            for symbol in convention.symbols(&row) {
                if shown.that_have(&symbol, &row).is_empty() {
                    out(lead);
                    out(symbol.as_str());
                    lead = ", ";
                }
            }
            shown = shown.with(index);
        }
    }
    if lead != ", " {
        out("no entry of this architecture's system call table leads to it");
    }
    if row.is_known {
        if !row.since().is_empty() {
            out("; it exists since Linux ");
            out(row.since());
        }
        return;
    }
    lead = "; did you mean ";
    for near in table::nearest(name).iter().flatten() {
        out(lead);
        out(near.as_str());
        lead = ", ";
    }
    if lead == ", " {
        out("?");
    }
}

/// Says what failed, what the kernel answered, and what that may mean.
fn say_failure(what: &str, errno: Errno, hint: &str, out: &mut dyn FnMut(&str)) {
    let mut buffer = [0; 128];
    out(what);
    out(": ");
    out(sys::strerror(errno, &mut buffer));
    out(hint);
}

/// What an errno of perf_event_open means for a probe.
fn perf_event_hint(errno: Errno) -> &'static str {
    match errno.0 {
        libc::EPERM | libc::EACCES => {
            " (it takes CAP_SYS_ADMIN, or CAP_PERFMON with kernel.perf_event_paranoid below 3)"
        }
        libc::EINVAL => " (the kernel allows no probe there; its log may say why)",
        _ => "",
    }
}

/// What an errno of an attachment means for the program.
fn program_hint(errno: Errno) -> &'static str {
    match errno.0 {
        libc::EINVAL => {
            " (it must be of type BPF_PROG_TYPE_KPROBE, not sleepable, not loaded for kprobe.multi, \
             kprobe.session or uprobes, and call bpf_override_return() only where that is allowed)"
        }
        libc::EBADF => " (the program's fd is not open)",
        _ => "",
    }
}
