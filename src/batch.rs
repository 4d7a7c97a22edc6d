//! Attaches one program to many calls: the builder, and the attachment in the making.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd};

use crate::attach::Options;
use crate::attach::many::Many;
use crate::attach::plan::BatchCall;
use crate::calls::abi;
use crate::links::{Failure, Links};
use crate::{Callers, Error, Symbol, SyscallName};

/// System calls to attach one program to, together.
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
/// // Every call that this kernel has, told apart by their cookies.
/// let links = Batch::all().cookies(|index, _name| index as u64).attach_each(&program)?;
/// for failure in links.failures() {
///     eprintln!("{failure}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # How it attaches
/// A program that was loaded for kprobe.multi (`expected_attach_type`
/// `BPF_TRACE_KPROBE_MULTI`, Linux 5.18; `SEC("kprobe.multi")` of libbpf) or
/// kprobe.session (6.10) is attached by one BPF link, with one file descriptor, in a fraction of a
/// second. Any other is attached by a perf event for each function, one after the other; each takes
/// the kernel some 10 to 100 ms, and a descriptor.
///
/// A kprobe.multi link is first tried on the functions of a kernel that has all of the calls. If
/// this kernel does not, they are looked up in /proc/kallsyms, which takes longer than the link
/// itself. If one function serves several calls of the list, the program is attached to it once.
#[derive(Clone, Debug)]
#[must_use = "nothing is attached before `attach`"]
pub struct Batch {
    calls: Vec<BatchCall>,
    options: Options,
    threads: Option<usize>,
}

impl Batch {
    /// Names the calls, as [`Ksyscall::new`](crate::Ksyscall::new) does.
    ///
    /// # Errors
    /// [`Error::InvalidName`] for the first that is none.
    pub fn new<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Result<Self, Error> {
        let call = |name: N| {
            let name = name.as_ref();
            Ok(BatchCall::new(SyscallName::new(name)?, Callers::Native))
        };
        names.into_iter().map(call).collect::<Result<_, _>>().map(Self::of)
    }

    /// Every system call that this architecture has in any version of the kernel, in
    /// alphabetical order. No kernel has them all, so this is for [`Batch::attach_each`].
    pub fn all() -> Self {
        Self::all_of(Callers::Native)
    }

    /// Every system call that these callers have in any version of the kernel, in
    /// alphabetical order, each for those of them that have it under that name.
    ///
    /// ```no_run
    /// # fn load() -> std::os::fd::OwnedFd { unimplemented!() }
    /// # let program = load();
    /// use ksyscall::{Batch, Callers};
    ///
    /// // No system call unseen, whoever makes it.
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

    /// The calls.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &SyscallName> {
        self.calls.iter().map(|call| &call.name)
    }

    /// Whose calls the program runs for, of every call of the batch; native ones, if never set.
    ///
    /// The program is attached to each function that serves the call to one of the callers, once.
    /// Callers that do not have the call are skipped, unless none has it. For [`Callers::All`] that
    /// includes socketcall(2) and ipc(2), if some callers make the call through these alone;
    /// [`Links::attached`] then lists their functions for the call. The program runs for every call
    /// through them. Such a function has one cookie: that of socketcall or ipc if it is in the
    /// batch, else that of the first call that is made through it.
    ///
    /// ```no_run
    /// # fn load() -> std::os::fd::OwnedFd { unimplemented!() }
    /// # let program = load();
    /// use ksyscall::{Batch, Callers};
    ///
    /// // Also of 32-bit processes, and by `int $0x80`: __x64_sys_execve, __ia32_compat_sys_execve.
    /// let links = Batch::new(["execve"])?.callers(Callers::All).attach(&program)?;
    /// // Of 32-bit processes alone: 64-bit ones have no such call.
    /// let links = Batch::new(["socketcall"])?.callers(Callers::Compat).attach(&program)?;
    /// # Ok::<(), ksyscall::Error>(())
    /// ```
    pub fn callers(mut self, callers: Callers) -> Self {
        self.calls.iter_mut().for_each(|call| call.callers = callers);
        self
    }

    /// Whether the program runs at the calls' returns instead of their entries. One for
    /// kprobe.session runs at both in any case.
    pub const fn retprobe(mut self, retprobe: bool) -> Self {
        self.options.retprobe = retprobe;
        self
    }

    /// How many calls in progress at a time each return probe watches; see
    /// [`Ksyscall::max_active`](crate::Ksyscall::max_active). It is for perf events: a
    /// kprobe.multi link has no such number.
    pub const fn max_active(mut self, calls: u32) -> Self {
        self.options.max_active = calls;
        self
    }

    /// Whether the perf events' file descriptors stay open beside the links'; see
    /// [`Ksyscall::keep_event`](crate::Ksyscall::keep_event).
    pub const fn keep_event(mut self, keep: bool) -> Self {
        self.options.keep_event = keep;
        self
    }

    /// Gives each call a cookie, by its number and name. With perf events any other than 0
    /// requires Linux 5.15.
    pub fn cookies(mut self, mut cookie: impl FnMut(usize, &SyscallName) -> u64) -> Self {
        for (index, call) in self.calls.iter_mut().enumerate() {
            call.cookie = cookie(index, &call.name);
        }
        self
    }

    /// How many threads close perf events at the same time: 1 to 64, 8 if never set. For each event
    /// the kernel waits until no CPU runs the program any more; the threads wait at the same time.
    /// They live only while something is closed.
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Attaches the program to all calls.
    ///
    /// # Errors
    /// The first call that fails, with an error of [`Ksyscall::attach`]; or those of
    /// [`Batch::attaching`]. Nothing is left attached or open.
    ///
    /// [`Ksyscall::attach`]: crate::Ksyscall::attach
    pub fn attach(&self, program: impl AsFd) -> Result<Links, Error> {
        let mut attaching = self.start(program, false)?;
        for (_, result) in attaching.by_ref() {
            result?;
        }
        Ok(attaching.finish())
    }

    /// Attaches the program to all calls that it can be attached to. [`Links::failures`] lists the
    /// others. It also lists a call if one of its functions failed, although the program is attached
    /// to it for other [`Callers`].
    ///
    /// # Errors
    /// Those of [`Batch::attaching`]. It is no error if every call failed.
    pub fn attach_each(&self, program: impl AsFd) -> Result<Links, Error> {
        Ok(self.attaching(program)?.finish())
    }

    /// Begins to attach the program to all calls that it can be attached to. Each item of the
    /// iterator is a call with its function (the first, if its [`Callers`] have several), or an
    /// error. So a program can report progress, or stop early: dropping the iterator detaches.
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
    /// - [`Error::Descriptors`]: it needs more than the process can open;
    /// - [`Error::MultiLink`]: the kernel refuses a kprobe.multi link;
    /// - [`Error::KernelSymbols`]: /proc/kallsyms, which a kprobe.multi link requires, cannot be
    ///   read;
    /// - [`Error::MaxActive`]: a number that [`Batch::max_active`] does not accept, or one for
    ///   a program for kprobe.multi;
    /// - [`Error::NoMemory`].
    ///
    /// The error of one call is one of [`Ksyscall::attach`](crate::Ksyscall::attach), or
    /// [`Error::SameFunction`] or [`Error::NotTraceable`], or for other callers than native ones
    /// [`Error::CallersUnknown`], [`Error::NoCompatCallers`], [`Error::NoCompatCall`] or
    /// [`Error::Addresses`].
    pub fn attaching<P: AsFd>(&self, program: P) -> Result<Attaching<P>, Error> {
        self.start(program, true)
    }

    fn start<P: AsFd>(&self, program: P, best_effort: bool) -> Result<Attaching<P>, Error> {
        let program_fd = program.as_fd().as_raw_fd();
        let mut many = Many::start(program_fd, self.options, &self.calls, best_effort)?;
        if let Some(threads) = self.threads {
            many.set_threads(threads);
        }
        let calls = self.calls.clone();
        Ok(Attaching { program, calls, many, attached: Vec::new(), failures: Vec::new() })
    }
}

/// An attachment to many calls in the making; see [`Batch::attaching`].
///
/// It borrows the BPF program, or owns it, so the program stays open until the last call is
/// attached to:
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
    /// Attaches to the rest of the calls, and returns all.
    pub fn finish(mut self) -> Links {
        self.by_ref().for_each(drop);
        let Self { many, attached, failures, .. } = self;
        Links::new(many.into_attachments(), attached, failures)
    }
}

// Not derived: `P` need not be `Debug`.
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

    /// Takes the program only if that number is an open descriptor of this process.
    fn kernel() -> Kernel {
        Kernel {
            kprobe: |symbol, _, _| {
                if symbol.starts_with("sys_") { Ok(10) } else { refused(libc::ENOENT) }
            },
            link_create: |fd| {
                // SAFETY: it has no pointers.
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
    fn a_program_that_is_given_away_stays_open_until_it_is_attached() {
        let batch = Batch::new(["openat", "close"]).unwrap().threads(1);
        let attached = |attach: &dyn Fn() -> Links| kernel().run(|| attach().attached().len()).0;
        assert_eq!(attached(&|| batch.attach(program()).unwrap()), 2);
        assert_eq!(attached(&|| batch.attach_each(program()).unwrap()), 2);
        assert_eq!(attached(&|| batch.attaching(program()).unwrap().finish()), 2);
    }
}
