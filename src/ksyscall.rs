//! The safe Rust API: a builder for one attachment.

use std::os::fd::{AsFd, AsRawFd};

use crate::attach::callers;
use crate::attach::many::Call;
use crate::attach::{self, Options};
use crate::{Callers, Error, Link, SyscallName};

/// A system call to attach programs to, and how.
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
    callers: Callers,
}

impl Ksyscall {
    /// Names the call as its man page does (`openat`, `stat`, `umount2`). The
    /// spellings `__NR_openat`, `SYS_openat` and `sys_openat` stand for the same.
    ///
    /// # Errors
    /// [`Error::InvalidName`]. Whether there is such a call shows in
    /// [`Ksyscall::attach`].
    pub fn new(name: &str) -> Result<Self, Error> {
        let name = SyscallName::new(name).map_err(|error| error.of_name(name))?;
        Ok(Self { name, options: Options::default(), callers: Callers::Native })
    }

    /// Whether the program runs at the call's return instead of its entry.
    ///
    /// The kernel keeps return addresses for a limited number of calls in progress
    /// at a time: 10, or two for each CPU if that is more; before Linux 6.2 one for each CPU in
    /// kernels without preemption (`register_kretprobe()` in kernel/kprobes.c). Returns beyond
    /// that are not seen. [`Ksyscall::max_active`] makes
    /// it more, and [`Link::missed`] counts them.
    pub const fn retprobe(mut self, retprobe: bool) -> Self {
        self.options.retprobe = retprobe;
        self
    }

    /// How many calls in progress at a time a return probe watches: 1 to 4096
    /// (`KRETPROBE_MAXACTIVE_MAX` of kernel/trace/trace_kprobe.c), or 0 for the kernel's own
    /// number, which is the default.
    ///
    /// Each takes 64 bytes of kernel memory on x86_64 for as long as the program is attached
    /// (docs/returns.md). Such a probe can only be had from tracefs, of Linux 4.17 and later,
    /// which takes root in most systems. An entry of `kprobe_events` goes with it: dropping or
    /// detaching the link removes it; of a link that was pinned, forgotten or turned into a
    /// descriptor it is removed by the next such attach once this process has ended and
    /// nothing is attached to it any more.
    pub const fn max_active(mut self, calls: u32) -> Self {
        self.options.max_active = calls;
        self
    }

    /// What the program's `bpf_get_attach_cookie()` returns, 0 if never set.
    /// Any other than 0 needs Linux 5.15.
    pub const fn cookie(mut self, cookie: u64) -> Self {
        self.options.cookie = cookie;
        self
    }

    /// Whether the perf event's file descriptor stays open beside the link's.
    ///
    /// The link alone keeps the event alive. But what asks for the function by the
    /// event's descriptor, such as `bpftool perf show` (`BPF_TASK_FD_QUERY` of bpf(2)),
    /// finds it only so on Linux 5.15 and later.
    pub const fn keep_event(mut self, keep: bool) -> Self {
        self.options.keep_event = keep;
        self
    }

    /// Whether a function of the call's name is taken though no call reaches it, as
    /// libbpf takes it: `sys_uselib` on x86_64, of which the kernel has the function
    /// but no entry in its table. The program then never runs. By default this is
    /// [`Error::NotFound`]. It is for native callers alone.
    pub const fn allow_unreached(mut self, allow: bool) -> Self {
        self.options.allow_unreached = allow;
        self
    }

    /// Whose calls the program runs for; native ones, if never set.
    ///
    /// With others the program is attached to each function that serves the call to one of
    /// them, once: by one BPF link if it was loaded for kprobe.multi (see
    /// [`Batch`](crate::Batch)), else by a perf event each, which are one [`Link`] all the
    /// same, but one that cannot be pinned. Callers that do not have the call are passed
    /// over, unless none has it.
    ///
    /// ```no_run
    /// # fn load() -> std::os::fd::OwnedFd { unimplemented!() }
    /// # let program = load();
    /// use ksyscall::{Callers, Ksyscall};
    ///
    /// // Also of 32-bit processes, and by `int $0x80`.
    /// let link = Ksyscall::new("execve")?.callers(Callers::All).attach(&program)?;
    /// // ["__x64_sys_execve", "__ia32_compat_sys_execve"]
    /// println!("{:?}", link.symbols());
    /// // Of 32-bit processes alone: 64-bit ones have no such call.
    /// let link = Ksyscall::new("socketcall")?.callers(Callers::Compat).attach(&program)?;
    /// # Ok::<(), ksyscall::Error>(())
    /// ```
    pub const fn callers(mut self, callers: Callers) -> Self {
        self.callers = callers;
        self
    }

    /// Attaches a loaded program of type `BPF_PROG_TYPE_KPROBE`.
    ///
    /// # Errors
    /// - [`Error::NotFound`]: the kernel does not have the call;
    /// - [`Error::PerfEvent`], [`Error::Tracefs`]: it allows no probe there, or
    ///   not to this process;
    /// - [`Error::KernelSymbols`]: whether the function is the call's own could not be read;
    /// - [`Error::NoReturnProbe`]: it allows none at the function's return;
    /// - [`Error::LinkCreate`], [`Error::SetBpf`]: it does not take the program;
    /// - [`Error::CookieUnsupported`]: a cookie, before Linux 5.15;
    /// - [`Error::MaxActive`], [`Error::MaxActiveUnsupported`]: a number that
    ///   [`Ksyscall::max_active`] does not take, or not there.
    ///
    /// With other callers than native ones also:
    /// - [`Error::NoCompatCall`]: 32-bit ones do not have the call, and no others were asked
    ///   for;
    /// - [`Error::NoCompatCallers`]: the kernel serves no 32-bit ones, and the same;
    /// - [`Error::CallersUnknown`]: which functions serve them is not known here;
    /// - [`Error::Addresses`]: whether two functions are one could not be read;
    /// - what [`Batch::attaching`](crate::Batch::attaching) says.
    ///
    /// Nothing is left attached or open.
    pub fn attach(&self, program: impl AsFd) -> Result<Link, Error> {
        let program_fd = program.as_fd().as_raw_fd();
        let Self { name, options, callers } = *self;
        if callers == Callers::Native {
            return attach::attach(program_fd, &name, options);
        }
        callers::attach(program_fd, Call { name, cookie: options.cookie, callers }, options)
    }
}
