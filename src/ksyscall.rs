//! Defines [`Ksyscall`], the builder that attaches a program to one call.

use std::os::fd::{AsFd, AsRawFd};

use crate::attach::{self, Options, Target, perf_link};
use crate::{Error, Link, SyscallName};

/// A system call, and the options for attaching programs to it.
///
/// The program runs for calls by processes of this architecture. To include 32-bit processes, use
/// [`Batch::callers`](crate::Batch::callers).
///
/// One `Ksyscall` can attach several programs, or one program several times. Use cookies to
/// distinguish the attachments.
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
#[doc(alias = "bpf_ksyscall_opts")]
#[must_use = "nothing is attached before `attach`"]
pub struct Ksyscall {
    name: SyscallName,
    options: Options,
}

impl Ksyscall {
    /// Creates a `Ksyscall` from the name that the call's man page uses (`openat`, `stat`,
    /// `umount2`). `__NR_openat`, `SYS_openat` and `sys_openat` are also accepted and mean
    /// `openat`.
    ///
    /// # Errors
    /// [`Error::InvalidName`]. Only [`Ksyscall::attach`] checks that the call exists.
    pub fn new(name: &str) -> Result<Self, Error> {
        Ok(Self { name: SyscallName::new(name)?, options: Options::default() })
    }

    /// Sets whether the program runs at the call's return instead of its entry.
    ///
    /// The kernel tracks a limited number of calls in progress: 10 or twice the number of CPUs,
    /// whichever is greater. Before Linux 6.2, kernels without preemption track only as many calls
    /// as there are CPUs (`register_kretprobe()` in kernel/kprobes.c). The kernel misses the
    /// returns of any further calls. [`Ksyscall::max_active`] raises the limit, and
    /// [`Link::missed`] counts missed returns.
    pub const fn retprobe(mut self, retprobe: bool) -> Self {
        self.options.retprobe = retprobe;
        self
    }

    /// Sets how many calls in progress a return probe tracks: 1 to 4096 (`KRETPROBE_MAXACTIVE_MAX`
    /// in kernel/trace/trace_kprobe.c), or 0, the default, for the kernel's own limit.
    ///
    /// Each call that the probe can track uses 64 bytes of kernel memory on x86_64 for as long as
    /// the program is attached (docs/returns.md). A nonzero limit requires Linux 4.17, tracefs and,
    /// on most systems, root. The probe has an entry in `kprobe_events`. Dropping or detaching the
    /// link removes the entry. If the link was pinned, forgotten or turned into a descriptor, the
    /// entry stays. A later attach with `max_active` removes the entry once this process has ended
    /// and nothing uses the entry any more.
    ///
    /// ```no_run
    /// # fn load() -> std::os::fd::OwnedFd { unimplemented!() }
    /// # let program = load();
    /// let ppoll = ksyscall::Ksyscall::new("ppoll")?.retprobe(true).max_active(1000);
    /// let link = ppoll.attach(&program)?;
    /// println!("missed returns: {:?}", link.missed());
    /// # Ok::<(), ksyscall::Error>(())
    /// ```
    pub const fn max_active(mut self, calls: u32) -> Self {
        self.options.max_active = calls;
        self
    }

    /// Sets the value that `bpf_get_attach_cookie()` returns in the program. The default is 0. A
    /// cookie other than 0 requires Linux 5.15.
    #[doc(alias = "bpf_cookie")]
    pub const fn cookie(mut self, cookie: u64) -> Self {
        self.options.cookie = cookie;
        self
    }

    /// Sets whether the perf event's file descriptor stays open in addition to the link's
    /// descriptor.
    ///
    /// The link alone keeps the event alive. However, tools such as `bpftool perf show` find the
    /// probed function through the event's descriptor (`BPF_TASK_FD_QUERY` in bpf(2)). On Linux
    /// 5.15 and later, these tools therefore find the function only if the event's descriptor is
    /// open.
    pub const fn keep_event(mut self, keep: bool) -> Self {
        self.options.keep_event = keep;
        self
    }

    /// Sets whether to attach, as libbpf does, to a function with the call's name even if no call
    /// reaches the function. In that case, the program never runs. For example, x86_64 kernels have
    /// the function `sys_uselib`, but no entry for it in their syscall table. By default, `attach`
    /// returns [`Error::NotFound`] if no call reaches the function.
    pub const fn allow_unreached(mut self, allow: bool) -> Self {
        self.options.allow_unreached = allow;
        self
    }

    /// Attaches a loaded program of type `BPF_PROG_TYPE_KPROBE`.
    ///
    /// # Errors
    /// - [`Error::NotFound`]: the kernel does not have the call;
    /// - [`Error::PerfEvent`], [`Error::Tracefs`]: the kernel does not allow the probe, or does not
    ///   allow this process to create it;
    /// - [`Error::KernelSymbols`]: /proc/kallsyms, which shows whether the function is a stub,
    ///   could not be read;
    /// - [`Error::NoReturnProbe`]: the kernel does not allow a probe at the function's return;
    /// - [`Error::LinkCreate`], [`Error::SetBpf`]: the kernel refuses the program;
    /// - [`Error::CookieUnsupported`]: a cookie was set, but the kernel is older than Linux 5.15;
    /// - [`Error::MaxActive`], [`Error::MaxActiveUnsupported`]: [`Ksyscall::max_active`] was set to
    ///   a number that is not valid, or the kernel does not support it;
    /// - [`Error::NoMemory`].
    ///
    /// If an error occurs, nothing stays attached or open.
    #[doc(alias = "bpf_program__attach_ksyscall")]
    pub fn attach(&self, program: impl AsFd) -> Result<Link, Error> {
        let row = attach::native_row(&self.name);
        let Target { event, symbol, is_reached } =
            attach::probe_call(&self.name, row, self.options)?;
        let program_fd = program.as_fd().as_raw_fd();
        let attachment = perf_link::join(program_fd, event, &symbol, self.options)?;
        Ok(Link { attachment, symbol, is_reached })
    }
}
