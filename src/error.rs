//! Defines the Rust API's errors, which the C API also reports. Each error has a message and an
//! errno.
//!
//! An error owns the data that its message contains. To add an error, add a variant with its
//! message and errno here, and a row to docs/errors.md.

use alloc::vec::Vec;
use core::fmt;

use errno::Errno;

use crate::calls::c_library::Hint;
use crate::calls::table::Column;
use crate::calls::{InvalidName, SubCall, Symbol, SyscallName, suggestions, table};
use crate::sys;

/// Why a program could not be attached, pinned or detached.
///
/// The message reports what failed and at which kernel function, what the kernel returned, and the
/// likely cause. `Debug` prints the same message, for a `main` that returns the error.
///
/// ```no_run
/// # fn load() -> std::os::fd::OwnedFd { unimplemented!() }
/// # let program = load();
/// use ksyscall::{Error, Ksyscall};
///
/// match Ksyscall::new("cachestat")?.attach(&program) {
///     Ok(link) => link.forget(),
///     Err(Error::NotFound { .. }) => eprintln!("this kernel does not have cachestat(2)"),
///     Err(error) => return Err(error), // such as EPERM, with the missing capability
/// }
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name is not a valid syscall name.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),

    /// The running kernel has no function that serves the call: the kernel does not implement the
    /// call, this architecture does not have the call, or no call has that name.
    #[error(fmt = not_found)]
    #[non_exhaustive]
    NotFound {
        /// The call.
        name: SyscallName,
        /// The kernel functions that were tried.
        tried: Vec<Symbol>,
    },

    /// perf_event_open(2) refused a probe on the symbol.
    #[error(
        "perf_event_open of a {} on {symbol}: {}{}",
        if *retprobe { "kretprobe" } else { "kprobe" }, Errno(*errno), probe_hint(*errno)
    )]
    #[non_exhaustive]
    PerfEvent {
        /// The kernel function.
        symbol: Symbol,
        /// Whether the probe was a return probe.
        retprobe: bool,
        /// What the kernel returned.
        errno: i32,
    },

    /// The kernel refuses a probe on the function's first instruction, which a return probe
    /// requires. Entry probes still work, because they can be placed two instructions later. This
    /// error occurs on riscv64 with Linux 6.12: the first instruction is an ftrace site, and the
    /// kernel does not support kprobes on ftrace sites.
    #[error(
        "{symbol}: this kernel does not allow return probes on functions that ftrace can trace"
    )]
    #[non_exhaustive]
    NoReturnProbe {
        /// The kernel function.
        symbol: Symbol,
    },

    /// The probe requires tracefs, which could not be used. Before Linux 4.17, every probe requires
    /// tracefs, because the kernel has no kprobe PMU. On later kernels, only `max_active` requires
    /// tracefs.
    #[error("tracefs: {step}: {}{}", Errno(*errno), tracefs_hint(step, *errno))]
    #[non_exhaustive]
    Tracefs {
        /// The step that failed.
        step: &'static str,
        /// What the kernel returned.
        errno: i32,
    },

    /// /proc/kallsyms could not be read. The file shows whether a function is the shared stub for
    /// all calls that the kernel was built without, and which functions a kprobe.multi link can
    /// attach to.
    #[error("cannot read the kernel's list of functions, /proc/kallsyms: {}", Errno(*errno))]
    #[non_exhaustive]
    KernelSymbols {
        /// The errno that the kernel returned; ENODATA if the list is incomplete.
        errno: i32,
    },

    /// `BPF_LINK_CREATE` refused the program.
    #[error("bpf(BPF_LINK_CREATE) of the probe on {symbol}: {}{}", Errno(*errno), program_hint(*errno))]
    #[non_exhaustive]
    LinkCreate {
        /// The kernel function.
        symbol: Symbol,
        /// What the kernel returned.
        errno: i32,
    },

    /// The kernel does not support BPF links for perf events, and `PERF_EVENT_IOC_SET_BPF` refused
    /// the program.
    #[error(
        "ioctl(PERF_EVENT_IOC_SET_BPF) of the probe on {symbol}: {}{}",
        Errno(*errno), program_hint(*errno)
    )]
    #[non_exhaustive]
    SetBpf {
        /// The kernel function.
        symbol: Symbol,
        /// What the kernel returned.
        errno: i32,
    },

    /// A cookie was set, but the kernel does not support cookies (before Linux 5.15).
    #[error("a BPF cookie requires Linux 5.15")]
    CookieUnsupported,

    /// The kernel refused to create a kprobe.multi link to a batch's functions (`BPF_LINK_CREATE`).
    #[error("bpf(BPF_LINK_CREATE) of a kprobe.multi link: {}{}", Errno(*errno), multi_hint(*errno))]
    #[non_exhaustive]
    MultiLink {
        /// What the kernel returned.
        errno: i32,
    },

    /// ftrace cannot trace the function. A kprobe.multi program can be attached only to functions
    /// that ftrace can trace.
    #[error("ftrace cannot trace {symbol}, which a program for kprobe.multi requires")]
    #[non_exhaustive]
    NotTraceable {
        /// The kernel function.
        symbol: Symbol,
    },

    /// The function also serves an earlier call in the batch, and that call has a different cookie.
    /// The program is attached to the function only once, so that it does not run twice for one
    /// call.
    #[error("{symbol} also serves an earlier call of the list, which has another cookie")]
    #[non_exhaustive]
    SameFunction {
        /// The kernel function.
        symbol: Symbol,
    },

    /// A batch requires more file descriptors than this process can open (`RLIMIT_NOFILE` in
    /// getrlimit(2)). Nothing was attached.
    #[error(
        "requires {needed} file descriptors, but this process can open only {free} more \
         (RLIMIT_NOFILE is {}; a program loaded for kprobe.multi requires only one)",
        sys::descriptor_limit()
    )]
    #[non_exhaustive]
    Descriptors {
        /// The number of descriptors that the batch requires.
        needed: usize,
        /// The number of descriptors that the process can still open.
        free: usize,
    },

    /// Memory ran out.
    #[error("out of memory")]
    NoMemory,

    /// [`Ksyscall::max_active`](crate::Ksyscall::max_active) was set to a number that is not valid,
    /// or was set for an entry probe or a kprobe.multi program.
    #[error("max_active must be 1 to 4096, and only return probes by perf events support it")]
    MaxActive,

    /// [`Ksyscall::max_active`](crate::Ksyscall::max_active) was set, but the kernel may not
    /// support it: the kernel is older than Linux 4.17, or sysfs is not mounted.
    #[error("max_active requires Linux 4.17 and sysfs: there is no kprobe PMU")]
    MaxActiveUnsupported,

    /// The functions that serve the call for native callers and for 32-bit callers may be one
    /// function with two names. The addresses in /proc/kallsyms would show this, but the file could
    /// not be read or hides addresses (seeing them requires `CAP_SYSLOG` while
    /// `kernel.kptr_restrict` is at most 1).
    #[error(
        "cannot tell whether {symbol} also serves other callers: /proc/kallsyms: {}{}",
        Errno(*errno), addresses_hint(*errno)
    )]
    #[non_exhaustive]
    Addresses {
        /// One of the names.
        symbol: Symbol,
        /// The errno that the kernel returned; EPERM if the file hides addresses.
        errno: i32,
    },

    /// [`Callers`](crate::Callers) other than native callers were requested, but the tables do not
    /// contain the functions that serve these callers on this architecture.
    #[error("cannot tell which functions serve 32-bit callers on this architecture")]
    CallersUnknown,

    /// The running kernel serves no 32-bit callers.
    #[error(fmt = no_compat_callers)]
    #[non_exhaustive]
    NoCompatCallers {
        /// A function that exists in every kernel that serves 32-bit callers.
        symbol: Symbol,
        /// True if the kernel was booted with `ia32_emulation=0`; false if it was built without
        /// `CONFIG_IA32_EMULATION` or `CONFIG_COMPAT`.
        is_off: bool,
    },

    /// 32-bit callers do not have the call: their system call table has no function for it.
    #[error(fmt = no_compat_call)]
    #[non_exhaustive]
    NoCompatCall {
        /// The call.
        name: SyscallName,
    },

    /// A stable update of this version of Linux changed the function that serves the call for
    /// 32-bit callers, and it is not known whether the running kernel includes this change.
    #[error(
        "cannot tell which function serves {name} of 32-bit callers: a stable update of this \
         version of Linux changed it, and it is not known whether this kernel includes that update"
    )]
    #[non_exhaustive]
    UpdateUnknown {
        /// The call.
        name: SyscallName,
    },

    /// `BPF_OBJ_PIN` failed.
    #[error("bpf(BPF_OBJ_PIN): {}", Errno(*errno))]
    #[non_exhaustive]
    Pin {
        /// What the kernel returned.
        errno: i32,
    },

    /// The attachment was closed, but the kernel reported an error.
    #[error("close of the attachment: {}", Errno(*errno))]
    #[non_exhaustive]
    Close {
        /// What the kernel returned.
        errno: i32,
    },
}

impl Error {
    /// Returns the error's errno, which is always a positive number; see errno(3).
    pub fn errno(&self) -> i32 {
        match *self {
            Error::PerfEvent { errno, .. }
            | Error::Tracefs { errno, .. }
            | Error::KernelSymbols { errno }
            | Error::LinkCreate { errno, .. }
            | Error::SetBpf { errno, .. }
            | Error::MultiLink { errno }
            | Error::Addresses { errno, .. }
            | Error::Pin { errno }
            | Error::Close { errno } => errno,
            Error::InvalidName(_) | Error::MaxActive => libc::EINVAL,
            Error::NotFound { .. } | Error::NoCompatCall { .. } => libc::ENOENT,
            Error::SameFunction { .. } => libc::EEXIST,
            Error::Descriptors { .. } => libc::EMFILE,
            Error::NoMemory => libc::ENOMEM,
            Error::NoReturnProbe { .. }
            | Error::CookieUnsupported
            | Error::NotTraceable { .. }
            | Error::MaxActiveUnsupported
            | Error::CallersUnknown
            | Error::NoCompatCallers { .. }
            | Error::UpdateUnknown { .. } => libc::EOPNOTSUPP,
        }
    }

    /// Extends this error's list of tried symbols with the list in `other`.
    pub(crate) fn with_tried_of(mut self, other: Error) -> Self {
        if let (Error::NotFound { tried, .. }, Error::NotFound { tried: more, .. }) =
            (&mut self, other)
        {
            // If memory runs out, the message lists fewer symbols.
            if tried.try_reserve(more.len()).is_ok() {
                tried.extend(more);
            }
        }
        self
    }

    /// Returns whether the error means that one kind of caller does not have the call. Attaching
    /// can still succeed if another kind of caller has the call.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(
            self,
            Error::NotFound { .. } | Error::NoCompatCallers { .. } | Error::NoCompatCall { .. }
        )
    }
}

fn not_found(name: &SyscallName, tried: &[Symbol], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "no system call {name}: ")?;
    if tried.is_empty() {
        f.write_str("this architecture's system call table has no function for it")?;
    }
    for (index, symbol) in tried.iter().enumerate() {
        let lead = if index == 0 { "this kernel does not have it: tried " } else { ", " };
        write!(f, "{lead}{symbol}")?;
    }
    let row = table::row(name);
    if let Some(sub_call) = SubCall::of_table(table::TABLE, Column::Native, name) {
        return write!(f, "; it is made through {0}: attach to {0}", sub_call.multiplexer);
    }
    if row.is_known && !row.since.is_empty() {
        write!(f, "; the call was added in Linux {}", row.since)?;
    }
    let hint = Hint(name.as_str());
    write!(f, "{hint}")?;
    if row.is_known || hint.is_listed() {
        Ok(())
    } else {
        let mut nearest = suggestions::nearest(table::TABLE, name.as_str());
        let Some(first) = nearest.next() else { return Ok(()) };
        write!(f, "; did you mean {first}")?;
        for near in nearest {
            write!(f, ", {near}")?;
        }
        f.write_str("?")
    }
}

fn no_compat_call(name: &SyscallName, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let table = "their system call table has no function for it";
    write!(f, "no system call {name} of 32-bit callers: {table}")?;
    match SubCall::of_table(table::COMPAT_TABLE, Column::Compat, name) {
        Some(SubCall { multiplexer, .. }) => {
            write!(f, "; they make it through {multiplexer}: attach to {multiplexer}")
        }
        None => Ok(()),
    }
}

fn no_compat_callers(symbol: &Symbol, is_off: &bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if *is_off {
        f.write_str("this kernel was booted without 32-bit system calls (ia32_emulation=0)")
    } else {
        write!(f, "this kernel was built without 32-bit system calls: it has no {symbol}")
    }
}

fn probe_hint(errno: i32) -> &'static str {
    match errno {
        libc::EPERM | libc::EACCES => {
            " (requires CAP_SYS_ADMIN, or CAP_PERFMON if kernel.perf_event_paranoid is below 3; \
             lockdown and seccomp can forbid it)"
        }
        libc::EADDRNOTAVAIL => " (the kernel has several functions of this name)",
        libc::ENODEV => " (ftrace has shut itself down until a reboot)",
        libc::ENOSYS => " (no perf events, or a seccomp filter)",
        libc::EINVAL => " (the kernel allows no probe there; its log may say why)",
        _ => "",
    }
}

fn tracefs_hint(step: &str, errno: i32) -> &'static str {
    match (step, errno) {
        ("open kprobe_events", libc::ENOENT) => {
            " (mount tracefs; without max_active, Linux 4.17 and later require only /sys)"
        }
        _ => "",
    }
}

fn program_hint(errno: i32) -> &'static str {
    match errno {
        libc::EINVAL => {
            " (the program must be of type BPF_PROG_TYPE_KPROBE; it must not be sleepable, be \
             loaded for kprobe.multi, kprobe.session or uprobes, or use bpf_override_return() here)"
        }
        libc::EBADF => " (the program's fd is not open)",
        _ => "",
    }
}

fn multi_hint(errno: i32) -> &'static str {
    match errno {
        libc::ESRCH => " (ftrace cannot trace one of the functions, or its name is not unique)",
        libc::EOPNOTSUPP => " (the kernel was built without CONFIG_FPROBE, or is a 32-bit kernel)",
        errno => probe_hint(errno),
    }
}

fn addresses_hint(errno: i32) -> &'static str {
    match errno {
        libc::EPERM => {
            " (the kernel hides addresses: requires CAP_SYSLOG, and kernel.kptr_restrict below 2)"
        }
        _ => "",
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "std")]
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = std::io::Error::from_raw_os_error(error.errno()).kind();
        std::io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::sys::fake::Kernel;

    /// Returns one sample of each variant, and of each message that depends on the errno.
    fn samples() -> Vec<Error> {
        use libc::*;
        let symbol = Symbol::new(b"__x64_sys_openat", b"", b"");
        let name = |name| SyscallName::new(name).unwrap();
        let step = "write kprobe_events";
        let mut all = vec![
            SyscallName::new("get pgid\n").unwrap_err().into(),
            SyscallName::new(&"x".repeat(80)).unwrap_err().into(),
            Error::NotFound { name: name("opnat"), tried: vec![symbol, symbol] },
            Error::NotFound { name: name("socketcall"), tried: Vec::new() },
            Error::NotFound { name: name("frobnicate"), tried: vec![symbol] },
            Error::NotFound { name: name("getxattrat"), tried: vec![symbol] },
            Error::PerfEvent { symbol, retprobe: false, errno: ENOENT },
            Error::NoReturnProbe { symbol },
            Error::Tracefs { step, errno: EACCES },
            Error::Tracefs { step: "open kprobe_events", errno: ENOENT },
            Error::Tracefs { step: "read the event's id", errno: ENOENT },
            Error::KernelSymbols { errno: EACCES },
            Error::CookieUnsupported,
            Error::NotTraceable { symbol },
            Error::SameFunction { symbol },
            Error::Descriptors { needed: 6, free: 5 },
            Error::NoMemory,
            Error::MaxActive,
            Error::MaxActiveUnsupported,
            Error::CallersUnknown,
            Error::NoCompatCallers { symbol, is_off: true },
            Error::NoCompatCallers { symbol, is_off: false },
            Error::NoCompatCall { name: name("vm86") },
            Error::Pin { errno: EEXIST },
            Error::Close { errno: EBADF },
        ];
        let retprobe = true;
        let probes = [EPERM, EACCES, EADDRNOTAVAIL, ENODEV, ENOSYS, EINVAL];
        all.extend(probes.map(|errno| Error::PerfEvent { symbol, retprobe, errno }));
        for errno in [EINVAL, EBADF, EPERM] {
            all.push(Error::LinkCreate { symbol, errno });
            all.push(Error::SetBpf { symbol, errno });
        }
        all.extend([ESRCH, EOPNOTSUPP, EPERM, EINVAL].map(|errno| Error::MultiLink { errno }));
        all.extend([EPERM, ENODATA].map(|errno| Error::Addresses { symbol, errno }));
        all
    }

    /// If a message changes, run `INSTA_UPDATE=always cargo test --lib error` and check the diff.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn messages() {
        let (text, _) = Kernel::new().run(|| {
            let line = |error: Error| format!("{:3} {error}\n", error.errno());
            samples().into_iter().map(line).collect::<String>()
        });
        insta::assert_snapshot!(text);
    }

    #[test]
    fn main_prints_the_message() {
        for error in samples() {
            assert_eq!(format!("{error:?}"), error.to_string());
        }
    }
}
