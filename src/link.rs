//! Defines [`Link`], a program's attachment to one kernel function, which
//! [`crate::Ksyscall::attach`] returns.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use errno::Errno;

use crate::attach::attachment::Attachment;
use crate::{Error, Symbol, sys};

/// A program's attachment to a system call. Dropping the link detaches the program.
///
/// A link owns one file descriptor. A child of fork(2) inherits a copy of the descriptor, and the
/// program stays attached until every copy is closed. A link that was pinned ([`Link::pin`])
/// outlives its descriptors. Detaching takes some 10 to 100 ms, because the kernel waits until no
/// CPU is running the program.
#[doc(alias("bpf_link", "bpf_link__fd"))]
#[derive(Debug)]
#[must_use = "the program is detached when the link is dropped"]
pub struct Link {
    pub(crate) attachment: Attachment,
    pub(crate) symbol: Symbol,
    pub(crate) is_reached: bool,
}

impl Link {
    /// Returns the kernel function that the program is attached to.
    pub fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// Returns whether the call reaches the function that the program is attached to. Returns false
    /// only if the attach succeeded because of
    /// [`Ksyscall::allow_unreached`](crate::Ksyscall::allow_unreached).
    pub fn is_reached(&self) -> bool {
        self.is_reached
    }

    /// Returns how many times the kernel has missed an entry of the function (or, for a return
    /// probe, a return) since the program was attached. Returns `None` if the kernel does not
    /// report the number. Before Linux 6.7, the kernel reports the number only for probes in
    /// tracefs (with [`Ksyscall::max_active`](crate::Ksyscall::max_active), or before Linux 4.17),
    /// and only to a process that may read tracefs.
    ///
    /// The kernel misses a return if too many calls are in progress (see
    /// [`Ksyscall::retprobe`](crate::Ksyscall::retprobe)). It misses an entry if the function is
    /// called while the CPU is running another probe's handler. The kernel counts without a lock,
    /// so the number can be slightly too low. The number does not include calls for which the
    /// kernel skipped the program ([`recursion_misses`](crate::recursion_misses)). On some old
    /// kernels, `kprobe_profile` does not count missed returns; on Debian's 5.10 and 6.1 kernels,
    /// it does.
    ///
    /// Source: `bpf_link_info.perf_event.kprobe.missed` in include/uapi/linux/bpf.h, and
    /// `kprobe_profile` in tracefs (Documentation/trace/kprobetrace.rst, "Event Profiling").
    #[doc(alias = "ksyscall_link__missed")]
    pub fn missed(&self) -> Option<u64> {
        self.attachment.missed()
    }

    /// Detaches the program, as dropping the link does, but also reports any error.
    /// # Errors
    /// Returns [`Error::Close`] or [`Error::Tracefs`]. The descriptor is closed even if an error
    /// occurs.
    #[doc(alias = "bpf_link__destroy")]
    pub fn detach(self) -> Result<(), Error> {
        self.attachment.detach()
    }

    /// Pins the attachment to a path in a BPF filesystem. The attachment then lasts until the path
    /// is unlinked, even if this link is dropped and this process exits.
    ///
    /// ```no_run
    /// # fn load() -> std::os::fd::OwnedFd { unimplemented!() }
    /// # let program = load();
    /// ksyscall::Ksyscall::new("openat")?.attach(&program)?.pin("/sys/fs/bpf/openat")?;
    /// # Ok::<(), ksyscall::Error>(())
    /// ```
    ///
    /// # Errors
    /// Returns [`Error::Pin`]. The error's errno is `EINVAL` if the path contains a NUL byte, or if
    /// the kernel cannot pin attachments (before Linux 5.15). Otherwise, it is an errno that bpf(2)
    /// returns for `BPF_OBJ_PIN`, such as `EEXIST`, `ENOENT`, or `EPERM` for a path outside a BPF
    /// filesystem.
    #[doc(alias("bpf_link__pin", "bpf_obj_pin"))]
    pub fn pin(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        CString::new(path.as_ref().as_os_str().as_bytes())
            .map_err(|_| Errno(libc::EINVAL))
            .and_then(|path| sys::bpf_obj_pin(self.attachment.fd.as_raw(), &path))
            .map_err(|Errno(errno)| Error::Pin { errno })
    }

    /// Leaves the program attached for as long as this process lives.
    #[doc(alias = "bpf_link__disconnect")]
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

/// Borrows the attachment's descriptor, for queries and pinning.
impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.attachment.fd.as_fd()
    }
}

/// Returns the attachment's descriptor. Closing the descriptor detaches the program. The conversion
/// closes the descriptor that [`Ksyscall::keep_event`](crate::Ksyscall::keep_event) kept open.
///
/// On a kernel without a kprobe PMU (before Linux 4.17), or with `max_active`, an unused entry
/// stays in `kprobe_events` in tracefs after the descriptor is closed. The next attach through
/// tracefs removes the entry.
impl From<Link> for OwnedFd {
    fn from(link: Link) -> OwnedFd {
        link.attachment.into_fd().into()
    }
}
