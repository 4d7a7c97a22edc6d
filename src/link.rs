//! What the Rust API returns: a program's attachment.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use errno::Errno;

use crate::Error;
use crate::attach::many::Many;
use crate::attachment::Attachment;
use crate::attachments::Attachments;
use crate::refusal::{Place, Refusal};
use crate::resolve::{Symbol, SyscallName};
use crate::sys::{self, Fd};

/// A program's attachment to a system call. Dropping it detaches the program.
///
/// It is one file descriptor, which a child process made by fork(2) shares: the
/// program stays attached until every copy is closed, or after [`Link::pin`]. Only with
/// [`Ksyscall::callers`](crate::Ksyscall::callers) other than native ones it may be one for
/// each of a few functions, unless the program was loaded for kprobe.multi; they are closed
/// together, and what takes one descriptor is [`Error::Several`].
/// Detaching waits until no CPU runs the program any more, which takes the
/// kernel some 10 to 100 ms.
#[derive(Debug)]
#[must_use = "the program is detached when the link is dropped"]
pub struct Link {
    // Closed first, for a tracefs entry in use cannot be removed.
    kept_events: Vec<Fd>,
    /// One at least.
    attachments: Attachments,
    /// The same.
    symbols: Vec<Symbol>,
    is_reached: bool,
}

impl Link {
    pub(crate) fn new(
        kept_event: Option<Fd>,
        attachment: Attachment,
        symbol: Symbol,
        is_reached: bool,
    ) -> Self {
        Self {
            kept_events: kept_event.into_iter().collect(),
            attachments: attachment.into(),
            symbols: vec![symbol],
            is_reached,
        }
    }

    /// That of the only call of a batch, which is attached to.
    pub(crate) fn of_many(many: Many) -> Self {
        let symbols = many.functions(0).collect();
        let (attachments, kept_events) = many.into_all();
        Self { kept_events, attachments, symbols, is_reached: true }
    }

    /// The kernel function that the program is attached to; of several the first.
    pub fn symbol(&self) -> &Symbol {
        self.symbols.first().unwrap_or(&Symbol::EMPTY)
    }

    /// All of them: that of native callers comes before that of 32-bit ones, and that of x32's.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// Whether calls reach that function: false only where
    /// [`Ksyscall::allow_unreached`](crate::Ksyscall::allow_unreached) was needed.
    pub fn is_reached(&self) -> bool {
        self.is_reached
    }

    /// How many of the function's entries, or returns, the kernel missed since the program
    /// was attached. None if it does not say so: before Linux 6.7 it does only with
    /// [`Ksyscall::max_active`](crate::Ksyscall::max_active), and to who may read tracefs.
    ///
    /// A return is missed if too many calls are in progress (see
    /// [`Ksyscall::retprobe`](crate::Ksyscall::retprobe)), an entry if another probe's handler
    /// makes the call. The kernel counts without a lock, so a few may be missing in the
    /// number. Not in it are runs that the kernel leaves out because another BPF program
    /// runs on the same CPU (`recursion_misses` of `struct bpf_prog_info`), nor returns where
    /// an old kernel's `kprobe_profile` tells (Debian's 5.10 and 6.1 have them there).
    ///
    /// Source: `bpf_link_info.perf_event.kprobe.missed` of include/uapi/linux/bpf.h, and
    /// tracefs's `kprobe_profile` (Documentation/trace/kprobetrace.rst, "Event Profiling").
    pub fn missed(&self) -> Option<u64> {
        self.attachments.as_slice().iter().map(Attachment::missed).sum()
    }

    /// Detaches the program, like dropping, and says whether that went well.
    ///
    /// # Errors
    /// [`Error::Close`], [`Error::Tracefs`]. The descriptor is closed in any case.
    pub fn detach(self) -> Result<(), Error> {
        let Self { kept_events, mut attachments, symbols, .. } = self;
        drop(kept_events);
        let symbol = symbols.first().copied().unwrap_or(Symbol::EMPTY);
        let place = Place { symbol, ..Place::of(SyscallName::EMPTY, false) };
        attachments.close_all().map_err(|refusal| Error::new(refusal, &place))
    }

    /// The descriptor of the attachment, which a pin or a query takes.
    ///
    /// # Errors
    /// [`Error::Several`] if there is more than one: [`Link::fds`].
    pub fn fd(&self) -> Result<BorrowedFd<'_>, Error> {
        self.attachment().map(|attachment| attachment.fd.as_fd())
    }

    /// The descriptors: one, or one for each function.
    pub fn fds(&self) -> impl ExactSizeIterator<Item = BorrowedFd<'_>> {
        self.attachments.as_slice().iter().map(|attachment| attachment.fd.as_fd())
    }

    fn attachment(&self) -> Result<&Attachment, Error> {
        match self.attachments.as_slice() {
            [attachment] => Ok(attachment),
            several => Err(several_of(several.len())),
        }
    }

    /// Pins the attachment to a path in a BPF filesystem: it then outlives
    /// this link and process, until the path is unlinked.
    ///
    /// # Errors
    /// [`Error::Several`]: a pin would hold one of the functions. [`Error::Pin`] with `EINVAL`
    /// before Linux 5.15, whose attachments cannot be pinned, and for a path with a NUL byte;
    /// otherwise as bpf(2) says of `BPF_OBJ_PIN`: `EEXIST`, `ENOENT`, `EPERM` for a path that
    /// is not in a BPF filesystem.
    pub fn pin(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let fd = self.attachment()?.fd.as_raw();
        CString::new(path.as_ref().as_os_str().as_bytes())
            .map_err(|_| Errno(libc::EINVAL))
            .and_then(|path| sys::bpf_obj_pin(fd, &path))
            .map_err(|errno| Error::Pin { errno: errno.0 })
    }

    /// Leaves the program attached for as long as this process lives.
    pub fn forget(mut self) {
        for event in self.kept_events.drain(..) {
            let _ = event.into_raw();
        }
        for attachment in self.attachments.take() {
            std::mem::forget(OwnedFd::from(attachment));
        }
    }
}

fn several_of(count: usize) -> Error {
    Error::new(Refusal::Several { count }, &Place::of(SyscallName::EMPTY, false))
}

/// The descriptor of the attachment; the program is detached when it is closed. One that
/// was kept by [`Ksyscall::keep_event`](crate::Ksyscall::keep_event) is closed now.
///
/// On a kernel without a kprobe PMU (before Linux 4.17), or with `max_active`, an entry then
/// stays in tracefs's `kprobe_events` after the descriptor is closed. It is inert, and the next
/// attach by tracefs removes it.
///
/// # Errors
/// [`Error::Several`] if there is more than one. The program is then detached.
impl TryFrom<Link> for OwnedFd {
    type Error = Error;

    fn try_from(mut link: Link) -> Result<OwnedFd, Error> {
        // Before a tracefs entry, which cannot be removed while it is in use.
        link.kept_events.clear();
        let count = link.attachments.as_slice().len();
        match link.attachments.take().next().filter(|_| count == 1) {
            Some(attachment) => Ok(attachment.into()),
            None => Err(several_of(count)),
        }
    }
}

/// The descriptor, which holds it; its tracefs entry is left.
impl From<Attachment> for OwnedFd {
    fn from(attachment: Attachment) -> OwnedFd {
        let Attachment { fd, entry } = attachment;
        if let Some(entry) = entry {
            entry.leave();
        }
        fd.into()
    }
}
