//! Attaches a program to a perf event: by a BPF link, or on a kernel that has no links of perf
//! events (before Linux 5.15) directly.

use core::ffi::c_int;

use errno::Errno;

use crate::Error;
use crate::attach::Options;
use crate::attach::attachment::Attachment;
use crate::calls::Symbol;
use crate::kernel::perf_links::always_has_links;
use crate::sys;

/// Joins a program and an event on `symbol`. The attachment is a link that holds the event, or
/// the event itself.
pub(crate) fn join(
    program_fd: c_int,
    event: Attachment,
    symbol: &Symbol,
    options: Options,
) -> Result<Attachment, Error> {
    let symbol = *symbol;
    match sys::bpf_link_create(program_fd, event.fd.as_raw(), options.cookie) {
        Ok(link) => return Ok(event.into_link(link, options.keep_event)),
        Err(Errno(errno)) if errno != libc::EINVAL || always_has_links() => {
            return Err(Error::LinkCreate { symbol, errno });
        }
        Err(_) => {}
    }
    sys::perf_event_set_bpf(event.fd.as_raw(), program_fd)
        .map_err(|Errno(errno)| Error::SetBpf { symbol, errno })?;
    if options.cookie != 0 {
        return Err(Error::CookieUnsupported);
    }
    Ok(event)
}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use super::*;
    use crate::sys::Fd;
    use crate::sys::fake::{Kernel, refused};

    const PROGRAM_FD: c_int = 5;

    /// Joins the program and an event with fd 10. The errno is of what failed.
    fn join(kernel: Kernel, cookie: u64) -> (Result<c_int, Error>, Vec<String>) {
        kernel.run(|| {
            // SAFETY: it is no real descriptor, and closed by the kernel that stands in.
            let event = Attachment::new(unsafe { Fd::from_raw(10) }, None);
            let options = Options { cookie, ..Options::default() };
            super::join(PROGRAM_FD, event, &Symbol::EMPTY, options)
                .map(|attached| attached.fd.into_raw())
        })
    }

    #[test]
    fn a_link_takes_the_events_place() {
        let kernel = Kernel { link_create: |_| Ok(20), ..Kernel::new() };
        let (attached, calls) = join(kernel, 7);
        assert_eq!(attached.unwrap(), 20);
        assert_eq!(calls, ["link 5", "close 10"]);
    }

    #[test]
    fn what_has_no_permission_is_not_tried_otherwise() {
        let kernel = Kernel { link_create: |_| refused(libc::EPERM), ..Kernel::new() };
        let (attached, calls) = join(kernel, 0);
        assert!(matches!(attached, Err(Error::LinkCreate { errno: libc::EPERM, .. })));
        assert_eq!(calls, ["link 5", "close 10"]);
    }

    /// In one test, for that a kernel may have no links is remembered.
    #[test]
    fn the_ioctl_is_for_kernels_that_may_have_no_links() {
        // A kernel with kprobe.multi: the program is refused, and no other way tried.
        let kernel = || Kernel { set_bpf: || Ok(0), ..Kernel::new() };
        let with_links = |fd| refused(if fd == PROGRAM_FD { libc::EINVAL } else { libc::EBADF });
        let (attached, calls) = join(Kernel { link_create: with_links, ..kernel() }, 0);
        assert!(matches!(attached, Err(Error::LinkCreate { errno: libc::EINVAL, .. })));
        assert_eq!(calls, ["link 5", "link -1", "close 10"]);
        // What a filter answers is no evidence.
        let filtered = |fd| refused(if fd == PROGRAM_FD { libc::EINVAL } else { libc::EPERM });
        let (attached, calls) = join(Kernel { link_create: filtered, ..kernel() }, 0);
        assert!(attached.is_err());
        assert_eq!(calls, ["link 5", "link -1", "close 10"]);
        // An old kernel: the event takes the program, and keeps no cookie.
        let without = |fd| refused(if fd == PROGRAM_FD { libc::EINVAL } else { libc::E2BIG });
        let (attached, calls) = join(Kernel { link_create: without, ..kernel() }, 0);
        assert_eq!(attached.unwrap(), 10);
        assert_eq!(calls, ["link 5", "link -1", "ioctl"]);
        let (attached, calls) = join(Kernel { link_create: without, ..kernel() }, 7);
        assert!(matches!(attached, Err(Error::CookieUnsupported)));
        assert_eq!(calls, ["link 5", "ioctl", "close 10"]);
    }
}
