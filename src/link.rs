//! The attachment of a program to a probe: a BPF link, or on kernels that have
//! none of perf events (before Linux 5.15) the perf event itself.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::Error;
use crate::attach::Target;
use crate::candidates::Symbol;
use crate::sys::{self, Fd};
use crate::tracefs::Entry;

/// A program's attachment to a system call. Dropping it detaches the program.
///
/// It is one file descriptor, which a child process made by fork(2) shares: the
/// program stays attached until every copy is closed, or after [`Link::pin`].
/// Detaching waits until no CPU runs the program any more, which takes the
/// kernel some 10 to 100 ms.
#[derive(Debug)]
#[must_use = "the program is detached when the link is dropped"]
pub struct Link {
    // Closed before the entry is removed: fields are dropped in this order.
    fd: Fd,
    entry: Option<Entry>,
    symbol: Symbol,
    #[cfg_attr(not(feature = "std"), allow(dead_code))]
    is_reached: bool,
}

/// Attaches a program to an event.
#[inline(never)]
pub(crate) fn attach(program: c_int, target: Target, cookie: u64) -> Result<Link, Error> {
    let Target { symbol, event, is_reached } = target;
    // On failure the event is dropped whole, for its parts have an order.
    match sys::bpf_link_create(program, event.fd.as_raw(), cookie) {
        // The link holds the event.
        Ok(fd) => return Ok(Link { fd, entry: event.entry, symbol, is_reached }),
        Err(errno) if errno.0 != libc::EINVAL || always_has_links() => {
            return Err(Error::LinkCreate { symbol, errno });
        }
        Err(_) => {}
    }
    sys::perf_event_set_bpf(event.fd.as_raw(), program)
        .map_err(|errno| Error::SetBpf { symbol, errno })?;
    if cookie != 0 {
        return Err(Error::CookieUnsupported);
    }
    Ok(Link { fd: event.fd, entry: event.entry, symbol, is_reached })
}

/// Whether the kernel surely has links of perf events, so that its EINVAL is about
/// the program. The ioctl must not be tried then: it does not look at what a program
/// was loaded for, and one for kprobe.multi can crash the kernel when it runs.
///
/// What tells is not the program but whether the kernel knows kprobe.multi (5.18),
/// which is newer than the links (5.15). A kernel between the two checks programs by
/// the same function for both (`perf_event_set_bpf_prog()` of kernel/events/core.c),
/// so there the ioctl refuses what the link has refused.
fn always_has_links() -> bool {
    static MAY_HAVE_NONE: AtomicBool = AtomicBool::new(false);
    if !MAY_HAVE_NONE.load(Ordering::Relaxed) {
        let answer = sys::bpf_link_create_multi_without_program().0;
        // EBADF says yes. What else there is, a filter of the process's calls, say, is no
        // answer, and is not kept.
        if !matches!(answer, libc::EINVAL | libc::E2BIG) {
            return true;
        }
        MAY_HAVE_NONE.store(true, Ordering::Relaxed);
    }
    false
}

/// Ends an attachment, in order: the link or event, then the tracefs entry.
#[inline(never)]
pub(crate) fn detach(fd: Fd, entry: Option<Entry>) -> Result<(), Error> {
    let closed = fd.close().map_err(|errno| Error::Close { errno });
    let removed = entry.map_or(Ok(()), Entry::remove);
    closed.and(removed.map_err(|errno| Error::Tracefs { step: "remove the event", errno }))
}

impl Link {
    /// The kernel function that the program is attached to.
    pub fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// Whether calls reach that function: false only where
    /// [`Ksyscall::allow_unreached`](crate::Ksyscall::allow_unreached) was needed.
    #[cfg(feature = "std")]
    pub fn is_reached(&self) -> bool {
        self.is_reached
    }

    /// Detaches the program, like dropping, and says whether that went well.
    ///
    /// # Errors
    /// [`Error::Close`], [`Error::Tracefs`]. The descriptor is closed in any case.
    pub fn detach(self) -> Result<(), Error> {
        detach(self.fd, self.entry)
    }

    /// What the C side keeps.
    #[cfg(feature = "capi")]
    pub(crate) fn into_parts(self) -> (Fd, Option<Entry>) {
        (self.fd, self.entry)
    }
}

#[cfg(feature = "std")]
mod std_only {
    use std::ffi::CString;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use errno::Errno;

    use super::{Error, Link, sys};

    impl Link {
        /// Pins the attachment to a path in a BPF filesystem: it then outlives
        /// this link and process, until the path is unlinked.
        ///
        /// # Errors
        /// [`Error::Pin`] with `EINVAL` before Linux 5.15, whose attachments
        /// cannot be pinned; otherwise as bpf(2) says of `BPF_OBJ_PIN`: `EEXIST`,
        /// `ENOENT`, `EPERM` for a path that is not in a BPF filesystem.
        pub fn pin(&self, path: impl AsRef<Path>) -> Result<(), Error> {
            CString::new(path.as_ref().as_os_str().as_bytes())
                .map_err(|_| Errno(libc::EINVAL))
                .and_then(|path| sys::bpf_obj_pin(self.fd.as_raw(), &path))
                .map_err(|errno| Error::Pin { errno })
        }

        /// Leaves the program attached for as long as this process lives.
        pub fn forget(self) {
            let _ = self.fd.into_raw();
            if let Some(entry) = self.entry {
                entry.leave();
            }
        }
    }

    impl AsFd for Link {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.fd.as_fd()
        }
    }

    impl AsRawFd for Link {
        fn as_raw_fd(&self) -> RawFd {
            self.fd.as_raw()
        }
    }

    /// The descriptor of the attachment; the program is detached when it is closed.
    ///
    /// On a kernel without a kprobe PMU (before Linux 4.17) an inert line then
    /// stays in tracefs's `kprobe_events`, which the next attach removes once
    /// this process has ended.
    impl From<Link> for OwnedFd {
        fn from(link: Link) -> OwnedFd {
            if let Some(entry) = link.entry {
                entry.leave();
            }
            link.fd.into()
        }
    }
}
