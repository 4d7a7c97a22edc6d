//! The attachment of a program to a probe: a BPF link, or on kernels that have
//! none of perf events (before Linux 5.15) the perf event itself.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::Error;
use crate::candidates::Symbol;
use crate::probe::Event;
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
}

/// Attaches a program to an event.
#[inline(never)]
pub(crate) fn attach(
    program: c_int,
    event: Event,
    symbol: Symbol,
    cookie: u64,
) -> Result<Link, Error> {
    /// Set when a program that could not be attached by a link could be without:
    /// then the kernel has no links of perf events.
    static NO_LINKS: AtomicBool = AtomicBool::new(false);

    // On failure the event is dropped whole, for its parts have an order.
    let no_links = NO_LINKS.load(Ordering::Relaxed);
    if no_links && cookie != 0 {
        return Err(Error::CookieUnsupported);
    }
    if !no_links {
        match sys::bpf_link_create(program, event.fd.as_raw(), cookie) {
            // The link holds the event.
            Ok(fd) => return Ok(Link { fd, entry: event.entry, symbol }),
            Err(errno) if errno.0 != libc::EINVAL || has_links(program) => {
                return Err(Error::LinkCreate { symbol, errno });
            }
            Err(_) => {}
        }
    }
    sys::perf_event_set_bpf(event.fd.as_raw(), program)
        .map_err(|errno| Error::SetBpf { symbol, errno })?;
    NO_LINKS.store(true, Ordering::Relaxed);
    if cookie != 0 {
        return Err(Error::CookieUnsupported);
    }
    Ok(Link { fd: event.fd, entry: event.entry, symbol })
}

/// Ends an attachment, in order: the link or event, then the tracefs entry.
#[inline(never)]
pub(crate) fn detach(fd: Fd, entry: Option<Entry>) -> Result<(), Error> {
    let closed = fd.close().map_err(|errno| Error::Close { errno });
    let removed = entry.map_or(Ok(()), Entry::remove);
    closed.and(removed.map_err(|errno| Error::Tracefs { step: "remove the event", errno }))
}

/// Whether the kernel knows `BPF_LINK_CREATE` of perf events. It looks at the
/// event's fd only if it does and the program is of a type that fits.
fn has_links(program: c_int) -> bool {
    const NO_EVENT: c_int = -1;
    matches!(sys::bpf_link_create(program, NO_EVENT, 0), Err(errno) if errno.0 == libc::EBADF)
}

impl Link {
    /// The kernel function that the program is attached to.
    pub fn symbol(&self) -> &Symbol {
        &self.symbol
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
