//! Attaches a program to one call: the builder.

use std::os::fd::{AsFd, AsRawFd};

use crate::attach::Options;
use crate::{Error, Link, SyscallName};

/// A system call to attach programs to, and how.
///
/// The program runs for the calls of processes of this architecture. For those of 32-bit processes
/// see [`Batch::callers`](crate::Batch::callers).
///
/// One `Ksyscall` can attach any number of programs, or one program more than
/// once, told apart by their cookies.
///
/// ```no_run
/// # fn load() -> std::os::fd::OwnedFd { unimplemented!() }
/// # let program = load();
/// let stat = ksyscall::Ksyscall::new("stat")?;
/// let entry = stat.cookie(1).attach(&program)?;
/// let exit = stat.cookie(2).retprobe(true).attach(&program)?;
/// # Ok::<(), ksyscall::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is attached before `attach`"]
pub struct Ksyscall {
    name: SyscallName,
    options: Options,
}

impl Ksyscall {
    /// Names the call as its man page does (`openat`, `stat`, `umount2`). The
    /// spellings `__NR_openat`, `SYS_openat` and `sys_openat` stand for the same.
    ///
    /// # Errors
    /// [`Error::InvalidName`]. Whether there is such a call shows in
    /// [`Ksyscall::attach`].
    pub fn new(name: &str) -> Result<Self, Error> {
        Ok(Self { name: SyscallName::new(name)?, options: Options::default() })
    }

    /// Whether the program runs at the call's return instead of its entry.
    ///
    /// The kernel keeps return addresses for a limited number of calls in progress
    /// at a time: 10, or two for each CPU if that is more; before Linux 6.2 one for each CPU in
    /// kernels without preemption (`register_kretprobe()` in kernel/kprobes.c). It misses returns
    /// beyond that. [`Ksyscall::max_active`] raises the number, and [`Link::missed`] counts missed
    /// returns.
    pub const fn retprobe(mut self, retprobe: bool) -> Self {
        self.options.retprobe = retprobe;
        self
    }

    /// How many calls in progress at a time a return probe watches: 1 to 4096
    /// (`KRETPROBE_MAXACTIVE_MAX` of kernel/trace/trace_kprobe.c), or 0 for the kernel's own
    /// number, which is the default.
    ///
    /// Each takes 64 bytes of kernel memory on x86_64 for as long as the program is attached
    /// (docs/returns.md). Such a probe requires tracefs and Linux 4.17, and on most systems root.
    /// It has an entry in `kprobe_events`: dropping or detaching the link removes the entry. If the
    /// link was pinned, forgotten or turned into a descriptor, the next such attach removes the
    /// entry once this process has ended and nothing is attached to it any more.
    pub const fn max_active(mut self, calls: u32) -> Self {
        self.options.max_active = calls;
        self
    }

    /// What the program's `bpf_get_attach_cookie()` returns, 0 if never set.
    /// Any other than 0 requires Linux 5.15.
    pub const fn cookie(mut self, cookie: u64) -> Self {
        self.options.cookie = cookie;
        self
    }

    /// Whether the perf event's file descriptor stays open beside the link's.
    ///
    /// The link alone keeps the event alive. But on Linux 5.15 and later a tool that asks for the
    /// function by the event's descriptor, such as `bpftool perf show` (`BPF_TASK_FD_QUERY` of
    /// bpf(2)), finds it only if that descriptor is open.
    pub const fn keep_event(mut self, keep: bool) -> Self {
        self.options.keep_event = keep;
        self
    }

    /// Whether to attach, as libbpf does, to a function of the call's name that no call reaches:
    /// on x86_64 the kernel has the function `sys_uselib`, but no entry in its table. The program
    /// then never runs. By default this is [`Error::NotFound`].
    pub const fn allow_unreached(mut self, allow: bool) -> Self {
        self.options.allow_unreached = allow;
        self
    }

    /// Attaches a loaded program of type `BPF_PROG_TYPE_KPROBE`.
    ///
    /// # Errors
    /// - [`Error::NotFound`]: the kernel does not have the call;
    /// - [`Error::PerfEvent`], [`Error::Tracefs`]: the kernel allows no probe there, or not to
    ///   this process;
    /// - [`Error::KernelSymbols`]: /proc/kallsyms, which tells whether the function is the call's
    ///   own, could not be read;
    /// - [`Error::NoReturnProbe`]: the kernel allows no probe at the function's return;
    /// - [`Error::LinkCreate`], [`Error::SetBpf`]: the kernel refuses the program;
    /// - [`Error::CookieUnsupported`]: a cookie, before Linux 5.15;
    /// - [`Error::MaxActive`], [`Error::MaxActiveUnsupported`]: a number that
    ///   [`Ksyscall::max_active`] does not accept, or that this kernel does not support;
    /// - [`Error::NoMemory`].
    ///
    /// Nothing is left attached or open.
    pub fn attach(&self, program: impl AsFd) -> Result<Link, Error> {
        Link::attach(program.as_fd().as_raw_fd(), &self.name, self.options)
    }
}
