//! Defines [`Batch`], the builder that attaches one program to many calls, and [`Attaching`], an
//! attach in progress.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd};

use crate::attach::Options;
use crate::attach::many::Many;
use crate::attach::plan::BatchCall;
use crate::calls::abi;
use crate::links::{Failure, Links};
use crate::{Callers, Error, Symbol, SyscallName};

/// A list of system calls, and the options for attaching one program to them.
///
/// ```no_run
/// # fn load() -> std::os::fd::OwnedFd { unimplemented!() }
/// # let program = load();
/// use ksyscall::Batch;
///
/// // All or nothing.
/// let links = Batch::new(["openat", "close", "read"])?.attach(&program)?;
/// links.detach()?;
///
/// // All calls that this kernel has, told apart by their cookies.
/// let links = Batch::all().cookies(|index, _name| index as u64).attach_each(&program)?;
/// for failure in links.failures() {
///     eprintln!("{failure}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # How it attaches
/// A program loaded for kprobe.multi (`expected_attach_type` `BPF_TRACE_KPROBE_MULTI`, Linux 5.18;
/// libbpf's `SEC("kprobe.multi")`) or kprobe.session (Linux 6.10) is attached by one BPF link with
/// one file descriptor, in a fraction of a second. Any other program is attached through a separate
/// perf event for each function, one function after another. Each event uses a descriptor, and
/// closing the event takes some 10 to 100 ms.
///
/// The first attempt to create a kprobe.multi link assumes that the kernel has all of the calls. If
/// the kernel lacks some of them, the crate looks up the functions in /proc/kallsyms. The lookup
/// takes longer than creating the link. If a function serves several calls in the list, the program
/// is attached to the function once.
#[doc(alias("bpf_program__attach_kprobe_multi_opts", "ksyscall_links_opts"))]
#[derive(Clone, Debug)]
#[must_use = "nothing is attached before `attach`"]
pub struct Batch {
    calls: Vec<BatchCall>,
    options: Options,
    threads: Option<usize>,
}

impl Batch {
    /// Creates a batch of the calls with these names. [`Ksyscall::new`](crate::Ksyscall::new)
    /// describes which names are accepted.
    ///
    /// # Errors
    /// [`Error::InvalidName`] for the first name that is not valid.
    pub fn new<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Result<Self, Error> {
        let call = |name: N| {
            let name = name.as_ref();
            Ok(BatchCall::new(SyscallName::new(name)?, Callers::Native))
        };
        names.into_iter().map(call).collect::<Result<_, _>>().map(Self::of)
    }

    /// Creates a batch of every system call that this architecture has in any kernel version, in
    /// alphabetical order. No kernel has all of these calls, so attach the batch with
    /// [`Batch::attach_each`].
    #[doc(alias = "ksyscall__name")]
    pub fn all() -> Self {
        Self::all_of(Callers::Native)
    }

    /// Creates a batch of every system call that these callers can make on any kernel version, in
    /// alphabetical order. The batch attaches to each call only for those callers that can make the
    /// call.
    ///
    /// ```no_run
    /// # fn load() -> std::os::fd::OwnedFd { unimplemented!() }
    /// # let program = load();
    /// use ksyscall::{Batch, Callers};
    ///
    /// // Every system call, whoever makes it.
    /// let links = Batch::all_of(Callers::All).attach_each(&program)?;
    /// # Ok::<(), ksyscall::Error>(())
    /// ```
    pub fn all_of(callers: Callers) -> Self {
        let calls = abi::calls(callers).into_iter();
        Self::of(calls.map(|(name, callers)| BatchCall::new(name, callers)).collect())
    }

    fn of(calls: Vec<BatchCall>) -> Self {
        Self { calls, options: Options::default(), threads: None }
    }

    /// Returns the names of the calls.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &SyscallName> {
        self.calls.iter().map(|call| &call.name)
    }

    /// Sets, for every call in the batch, which callers the program runs for. The default is
    /// [`Callers::Native`].
    ///
    /// The program is attached once to each function that serves the call for any of the callers.
    /// Callers that do not have the call are skipped. It is an error if none of the callers has the
    /// call.
    ///
    /// With [`Callers::All`], if some callers can make the call only through socketcall(2) or
    /// ipc(2), the program is also attached to that multiplexer, and runs for every call made
    /// through it. [`Links::attached`] lists the multiplexer's function for the call. The
    /// multiplexer has only one cookie. If the batch names the multiplexer, the cookie is the
    /// multiplexer's own; otherwise, it is the cookie of the first call made through the
    /// multiplexer.
    ///
    /// ```no_run
    /// # fn load() -> std::os::fd::OwnedFd { unimplemented!() }
    /// # let program = load();
    /// use ksyscall::{Batch, Callers};
    ///
    /// // Includes 32-bit processes and `int $0x80`: __x64_sys_execve, __ia32_compat_sys_execve.
    /// let links = Batch::new(["execve"])?.callers(Callers::All).attach(&program)?;
    /// // Only 32-bit processes: 64-bit processes have no such call.
    /// let links = Batch::new(["socketcall"])?.callers(Callers::Compat).attach(&program)?;
    /// # Ok::<(), ksyscall::Error>(())
    /// ```
    pub fn callers(mut self, callers: Callers) -> Self {
        self.calls.iter_mut().for_each(|call| call.callers = callers);
        self
    }

    /// Sets whether the program runs at the calls' returns instead of their entries. A program for
    /// kprobe.session always runs at both entry and return.
    pub const fn retprobe(mut self, retprobe: bool) -> Self {
        self.options.retprobe = retprobe;
        self
    }

    /// Sets how many calls in progress each return probe tracks; see
    /// [`Ksyscall::max_active`](crate::Ksyscall::max_active). A kprobe.multi link does not support
    /// this option.
    pub const fn max_active(mut self, calls: u32) -> Self {
        self.options.max_active = calls;
        self
    }

    /// Sets whether the perf events' file descriptors stay open in addition to the links'
    /// descriptors; see [`Ksyscall::keep_event`](crate::Ksyscall::keep_event).
    pub const fn keep_event(mut self, keep: bool) -> Self {
        self.options.keep_event = keep;
        self
    }

    /// Sets each call's cookie to the value that the function returns for the call's index and
    /// name. With perf events, any cookie other than 0 requires Linux 5.15.
    pub fn cookies(mut self, mut cookie: impl FnMut(usize, &SyscallName) -> u64) -> Self {
        for (index, call) in self.calls.iter_mut().enumerate() {
            call.cookie = cookie(index, &call.name);
        }
        self
    }

    /// Sets how many threads close perf events concurrently: 1 to 64, 8 by default. For each event,
    /// the kernel waits until no CPU is running the program, and the threads wait in parallel. The
    /// threads exist only while events are being closed.
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Attaches the program to all calls.
    ///
    /// # Errors
    /// Returns the error from the first call that fails, or an error that affects the whole batch.
    /// [`Batch::attaching`] lists both kinds. If an error occurs, nothing stays attached or open.
    #[doc(alias = "ksyscall_links__attach")]
    pub fn attach(&self, program: impl AsFd) -> Result<Links, Error> {
        let mut attaching = self.start(program, false)?;
        for (_, result) in attaching.by_ref() {
            result?;
        }
        Ok(attaching.finish())
    }

    /// Attaches the program to as many of the calls as possible. [`Links::failures`] lists the
    /// calls that failed. With several kinds of [`Callers`], a call is listed as failed even if the
    /// program was attached to some, but not all, of the call's functions.
    ///
    /// # Errors
    /// The same as for [`Batch::attaching`]. It is not an error if every call fails.
    #[doc(alias = "best_effort")]
    pub fn attach_each(&self, program: impl AsFd) -> Result<Links, Error> {
        Ok(self.attaching(program)?.finish())
    }

    /// Starts to attach the program to as many of the calls as possible. Each item of the iterator
    /// pairs a call with its function (the first, if several functions serve the call's
    /// [`Callers`]) or with an error. The caller can thus report progress or stop early: dropping
    /// the iterator detaches the program.
    ///
    /// ```no_run
    /// # fn load() -> std::os::fd::OwnedFd { unimplemented!() }
    /// # let program = load();
    /// let mut attaching = ksyscall::Batch::all().attaching(&program)?;
    /// while let Some((name, result)) = attaching.next() {
    ///     eprint!("\r{} left, {name}", attaching.len());
    /// }
    /// let links = attaching.finish();
    /// # Ok::<(), ksyscall::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`Error::Descriptors`]: the batch needs more descriptors than the process can open;
    /// - [`Error::MultiLink`]: the kernel refuses a kprobe.multi link;
    /// - [`Error::KernelSymbols`]: /proc/kallsyms, which a kprobe.multi link may require, cannot be
    ///   read;
    /// - [`Error::MaxActive`]: [`Batch::max_active`] was set to a number that is not valid, or was
    ///   set for a kprobe.multi program;
    /// - [`Error::NoMemory`].
    ///
    /// A single call can fail with an error from [`Ksyscall::attach`](crate::Ksyscall::attach),
    /// [`Error::SameFunction`] or [`Error::NotTraceable`]. Unless [`Batch::callers`] is
    /// [`Callers::Native`], a call can also fail with [`Error::CallersUnknown`],
    /// [`Error::NoCompatCallers`], [`Error::NoCompatCall`], [`Error::UpdateUnknown`] or
    /// [`Error::Addresses`].
    pub fn attaching<P: AsFd>(&self, program: P) -> Result<Attaching<P>, Error> {
        self.start(program, true)
    }

    fn start<P: AsFd>(&self, program: P, best_effort: bool) -> Result<Attaching<P>, Error> {
        let program_fd = program.as_fd().as_raw_fd();
        let mut many = Many::start(program_fd, self.options, &self.calls, best_effort)?;
        if let Some(threads) = self.threads {
            many.attachments.threads = threads;
        }
        let calls = self.calls.clone();
        Ok(Attaching { program, calls, many, attached: Vec::new(), failures: Vec::new() })
    }
}

/// An iterator that attaches a program to many calls; see [`Batch::attaching`].
///
/// This iterator borrows or owns the BPF program, so the program stays open until it is attached to
/// the last call:
///
/// ```compile_fail,E0505
/// # fn load() -> std::os::fd::OwnedFd { unimplemented!() }
/// let program = load();
/// let attaching = ksyscall::Batch::all().attaching(&program)?;
/// drop(program);
/// let links = attaching.finish();
/// # Ok::<(), ksyscall::Error>(())
/// ```
#[must_use = "what was attached is detached when this is dropped"]
pub struct Attaching<P: AsFd> {
    program: P,
    calls: Vec<BatchCall>,
    many: Many,
    attached: Vec<(SyscallName, Symbol)>,
    failures: Vec<Failure>,
}

impl<P: AsFd> Attaching<P> {
    /// Attaches the program to the remaining calls, and returns the links for all calls.
    pub fn finish(mut self) -> Links {
        self.by_ref().for_each(drop);
        let Self { many, attached, failures, .. } = self;
        Links { attachments: many.attachments, attached, failures }
    }
}

// `Debug` is not derived, because `P` need not implement it.
impl<P: AsFd> fmt::Debug for Attaching<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attaching")
            .field("program", &self.program.as_fd())
            .field("calls", &self.calls)
            .field("many", &self.many)
            .field("attached", &self.attached)
            .field("failures", &self.failures)
            .finish()
    }
}

impl<P: AsFd> Iterator for Attaching<P> {
    type Item = (SyscallName, Result<Symbol, Error>);

    fn next(&mut self) -> Option<Self::Item> {
        let (index, result) = self.many.next(self.program.as_fd().as_raw_fd())?;
        let name = self.calls[index].name;
        self.attached.extend(self.many.functions(index).map(|symbol| (name, symbol)));
        if let Err(error) = &result {
            self.failures.push(Failure { name, error: error.clone() });
        }
        Some((name, result))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.many.left();
        (left, Some(left))
    }
}

impl<P: AsFd> ExactSizeIterator for Attaching<P> {}

#[cfg(all(test, target_arch = "x86_64"))]
#[allow(unsafe_code)]
mod tests {
    use super::*;
    use crate::sys::fake::{Kernel, refused};
    use std::os::fd::OwnedFd;

    /// Creates a fake kernel that accepts a program only if the program's number is an open
    /// descriptor of this process.
    fn kernel() -> Kernel {
        Kernel {
            kprobe: |symbol, _, _| {
                if symbol.starts_with("sys_") { Ok(10) } else { refused(libc::ENOENT) }
            },
            link_create: |fd| {
                // SAFETY: fcntl(2) receives no pointers.
                let is_open = unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
                if is_open { Ok(20) } else { refused(libc::EBADF) }
            },
            ..Kernel::new()
        }
    }

    fn program() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn a_program_passed_by_value_stays_open_until_it_is_attached() {
        let batch = Batch::new(["openat", "close"]).unwrap().threads(1);
        let attached = |attach: &dyn Fn() -> Links| kernel().run(|| attach().attached().len()).0;
        assert_eq!(attached(&|| batch.attach(program()).unwrap()), 2);
        assert_eq!(attached(&|| batch.attach_each(program()).unwrap()), 2);
        assert_eq!(attached(&|| batch.attaching(program()).unwrap().finish()), 2);
    }
}
