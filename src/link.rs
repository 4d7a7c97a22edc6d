//! Holds a program's attachment to one kernel function, which the Rust API returns for one call.

use std::ffi::{CString, c_int};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use errno::Errno;

use crate::attach::attachment::Attachment;
use crate::attach::{self, Options, Target, perf_link};
use crate::{Error, Symbol, SyscallName, sys};

/// A program's attachment to a system call. Dropping it detaches the program.
///
/// A link is one file descriptor, which a child process made by fork(2) shares: the program
/// stays attached until every copy is closed, or after [`Link::pin`]. Detaching waits until no
/// CPU runs the program any more, which takes the kernel some 10 to 100 ms.
#[derive(Debug)]
#[must_use = "the program is detached when the link is dropped"]
pub struct Link {
    attachment: Attachment,
    symbol: Symbol,
    is_reached: bool,
}

impl Link {
    /// Attaches the loaded program to the function that serves the call to native callers.
    pub(crate) fn attach(
        program_fd: c_int,
        name: &SyscallName,
        options: Options,
    ) -> Result<Self, Error> {
        let Target { event, symbol, is_reached } =
            attach::probe_call(name, attach::native_row(name), options)?;
        let attachment = perf_link::join(program_fd, event, &symbol, options)?;
        Ok(Self { attachment, symbol, is_reached })
    }

    /// The kernel function that the program is attached to.
    pub fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// Whether calls reach that function: false only where
    /// [`Ksyscall::allow_unreached`](crate::Ksyscall::allow_unreached) was needed.
    pub fn is_reached(&self) -> bool {
        self.is_reached
    }

    /// How many of the function's entries, or returns, the kernel missed since the program
    /// was attached. None if the kernel does not report it: before Linux 6.7 it does so only with
    /// [`Ksyscall::max_active`](crate::Ksyscall::max_active), and only if the process may read
    /// tracefs.
    ///
    /// A return is missed if too many calls are in progress (see
    /// [`Ksyscall::retprobe`](crate::Ksyscall::retprobe)), an entry if another probe's handler
    /// makes the call. The kernel counts without a lock, so a few may be missing in the
    /// number. Not in it are calls at which the kernel skipped the program
    /// ([`recursion_misses`](crate::recursion_misses)), nor returns where an old kernel's
    /// `kprobe_profile` tells (Debian's 5.10 and 6.1 have them there).
    ///
    /// Source: `bpf_link_info.perf_event.kprobe.missed` of include/uapi/linux/bpf.h, and
    /// tracefs's `kprobe_profile` (Documentation/trace/kprobetrace.rst, "Event Profiling").
    pub fn missed(&self) -> Option<u64> {
        self.attachment.missed()
    }

    /// Detaches the program, as dropping does, and reports what failed.
    ///
    /// # Errors
    /// [`Error::Close`], [`Error::Tracefs`]. The descriptor is closed in any case.
    pub fn detach(self) -> Result<(), Error> {
        self.attachment.detach()
    }

    /// Pins the attachment to a path in a BPF filesystem: it then outlives
    /// this link and process, until the path is unlinked.
    ///
    /// # Errors
    /// [`Error::Pin`] with `EINVAL` before Linux 5.15, whose attachments cannot be pinned, and for
    /// a path with a NUL byte; otherwise with the errno of bpf(2) for `BPF_OBJ_PIN`: `EEXIST`,
    /// `ENOENT`, `EPERM` for a path that is not in a BPF filesystem.
    pub fn pin(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        CString::new(path.as_ref().as_os_str().as_bytes())
            .map_err(|_| Errno(libc::EINVAL))
            .and_then(|path| sys::bpf_obj_pin(self.attachment.fd.as_raw(), &path))
            .map_err(|Errno(errno)| Error::Pin { errno })
    }

    /// Leaves the program attached for as long as this process lives.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

/// The descriptor of the attachment, for a query or a pin.
impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.attachment.fd.as_fd()
    }
}

/// The descriptor of the attachment; the program is detached when it is closed. One that
/// was kept by [`Ksyscall::keep_event`](crate::Ksyscall::keep_event) is closed now.
///
/// On a kernel without a kprobe PMU (before Linux 4.17), or with `max_active`, an entry then
/// stays in tracefs's `kprobe_events` after the descriptor is closed. It is inert, and the next
/// attach by tracefs removes it.
impl From<Link> for OwnedFd {
    fn from(link: Link) -> OwnedFd {
        link.attachment.into_fd().into()
    }
}
