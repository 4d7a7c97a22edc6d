//! Attaches a program to a perf event: through a BPF link, or through an ioctl on kernels without
//! perf event links (before Linux 5.15).

use core::ffi::c_int;

use errno::Errno;

use crate::Error;
use crate::attach::Options;
use crate::attach::attachment::Attachment;
use crate::calls::Symbol;
use crate::kernel::perf_links::always_has_links;
use crate::sys;

/// Attaches a program to the perf event on `symbol`. Returns a link that holds the event, or the
/// event itself.
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

    /// Attaches the program to an event with descriptor 10.
    fn join(kernel: Kernel, cookie: u64) -> (Result<c_int, Error>, Vec<String>) {
        kernel.run(|| {
            // SAFETY: this is not a real descriptor, and only the fake kernel closes it.
            let event = Attachment::new(unsafe { Fd::from_raw(10) }, None);
            let options = Options { cookie, ..Options::default() };
            super::join(PROGRAM_FD, event, &Symbol::EMPTY, options)
                .map(|attached| attached.fd.into_raw())
        })
    }

    #[test]
    fn a_link_replaces_the_event() {
        let kernel = Kernel { link_create: |_| Ok(20), ..Kernel::new() };
        let (attached, calls) = join(kernel, 7);
        assert_eq!(attached.unwrap(), 20);
        assert_eq!(calls, ["link 5", "close 10"]);
    }

    /// A link whose number is 1 would be closed when the process opens its standard output again.
    #[test]
    fn a_link_is_never_a_standard_stream() {
        let kernel = Kernel { link_create: |_| Ok(1), free_fds: 1, ..Kernel::new() };
        let (attached, calls) = join(kernel, 0);
        assert_eq!(attached.unwrap(), 500);
        assert_eq!(calls, ["link 5", "dup", "close 1", "close 10"]);
        let (attached, calls) =
            join(Kernel { link_create: |_| Ok(1), free_fds: 0, ..Kernel::new() }, 0);
        assert_eq!(attached.unwrap_err().errno(), libc::EMFILE);
        assert_eq!(calls, ["link 5", "dup", "close 1", "close 10"]);
    }

    /// One test covers these cases, because the process remembers whether the kernel may lack perf
    /// links.
    #[test]
    fn only_kernels_that_may_lack_perf_links_get_the_ioctl() {
        // A kernel that supports kprobe.multi also supports perf links, so the error is final.
        let kernel = || Kernel { set_bpf: || Ok(0), ..Kernel::new() };
        let with_links = |fd| refused(if fd == PROGRAM_FD { libc::EINVAL } else { libc::EBADF });
        let (attached, calls) = join(Kernel { link_create: with_links, ..kernel() }, 0);
        assert!(matches!(attached, Err(Error::LinkCreate { errno: libc::EINVAL, .. })));
        assert_eq!(calls, ["link 5", "link -1", "close 10"]);
        // An error from a seccomp filter does not prove that the kernel lacks perf links.
        let filtered = |fd| refused(if fd == PROGRAM_FD { libc::EINVAL } else { libc::EPERM });
        let (attached, calls) = join(Kernel { link_create: filtered, ..kernel() }, 0);
        assert!(attached.is_err());
        assert_eq!(calls, ["link 5", "link -1", "close 10"]);
        // On an old kernel, the ioctl attaches the program, but without a cookie.
        let without = |fd| refused(if fd == PROGRAM_FD { libc::EINVAL } else { libc::E2BIG });
        let (attached, calls) = join(Kernel { link_create: without, ..kernel() }, 0);
        assert_eq!(attached.unwrap(), 10);
        assert_eq!(calls, ["link 5", "link -1", "ioctl"]);
        let (attached, calls) = join(Kernel { link_create: without, ..kernel() }, 7);
        assert!(matches!(attached, Err(Error::CookieUnsupported)));
        assert_eq!(calls, ["link 5", "ioctl", "close 10"]);
    }
}
