//! Owns an open file descriptor.

use core::ffi::c_int;

use errno::Errno;

/// The lowest number of an attachment's descriptor.
const ABOVE_STDERR: c_int = libc::STDERR_FILENO + 1;

/// An open file descriptor, closed on drop.
#[derive(Debug)]
pub(crate) struct Fd(pub(super) c_int);

impl Fd {
    pub(crate) fn as_raw(&self) -> c_int {
        self.0
    }

    /// Returns the raw descriptor. The caller must close it.
    pub(crate) fn into_raw(self) -> c_int {
        core::mem::ManuallyDrop::new(self).0
    }

    /// Takes ownership of a descriptor.
    ///
    /// # Safety
    /// `fd` must be open, and nobody else may close it.
    #[cfg(any(test, feature = "capi"))]
    pub(crate) unsafe fn from_raw(fd: c_int) -> Self {
        Self(fd)
    }

    /// Copies a descriptor. The number of the copy is at least `lowest`.
    pub(crate) fn copy_of(fd: c_int, lowest: usize) -> Result<Self, Errno> {
        let copy = libc::F_DUPFD_CLOEXEC as usize;
        // SAFETY: the arguments are integers.
        let fd = unsafe { super::call(libc::SYS_fcntl, fd as usize, copy, lowest, 0, 0) }?;
        Ok(Self(fd as c_int))
    }

    /// Returns the descriptor, or a copy with a larger number if the number stands for standard
    /// input, output or error. A process that has closed these descriptors may open them again,
    /// for example in daemon(3), and would thereby close an attachment.
    pub(crate) fn above_standard_streams(self) -> Result<Self, Errno> {
        if self.0 < ABOVE_STDERR { Self::copy_of(self.0, ABOVE_STDERR as usize) } else { Ok(self) }
    }

    /// Closes the descriptor and returns any error. The descriptor is closed even after an error,
    /// so an interrupted close is not repeated.
    ///
    /// The C library's `close()` is a cancellation point: a thread that is cancelled there would
    /// exit without closing the descriptor.
    pub(crate) fn close(self) -> Result<(), Errno> {
        let fd = self.into_raw() as usize;
        // SAFETY: the descriptor is ours, and `into_raw` keeps drop from closing it again.
        unsafe { super::call_once(libc::SYS_close, fd, 0, 0, 0, 0) }.map(drop)
    }
}

/// Checks that the process can open `places.len()` more descriptors, by opening that many and
/// holding them in `places` for a moment. If the process cannot open that many, returns the number
/// of descriptors that it can still open.
///
/// Opens the descriptors as copies of `like` and closes them again. This method relies on the
/// kernel's own limit and works without /proc.
pub(crate) fn can_open(like: c_int, places: &mut [Option<Fd>]) -> Result<(), usize> {
    let mut result = Ok(());
    for (index, place) in places.iter_mut().enumerate() {
        match Fd::copy_of(like, ABOVE_STDERR as usize) {
            Ok(copy) => *place = Some(copy),
            Err(Errno(libc::EMFILE)) => {
                result = Err(index);
                break;
            }
            // `like` is not a valid descriptor. The code that uses `like` reports the error.
            Err(_) => break,
        }
    }
    places.fill_with(|| None);
    result
}

/// Returns this process's limit on open descriptors: `RLIMIT_NOFILE` of getrlimit(2).
pub(crate) fn descriptor_limit() -> u64 {
    let mut limit = [0_u64; 2];
    let (this, kind) = (0, libc::RLIMIT_NOFILE as usize);
    // SAFETY: the kernel writes two 64-bit numbers.
    let _ = unsafe { super::call(libc::SYS_prlimit64, this, kind, 0, &raw mut limit as usize, 0) };
    limit[0]
}

impl Drop for Fd {
    fn drop(&mut self) {
        let _ = Self(self.0).close();
    }
}

#[cfg(feature = "std")]
impl std::os::fd::AsFd for Fd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        // SAFETY: the descriptor is open for as long as `self` lives.
        unsafe { std::os::fd::BorrowedFd::borrow_raw(self.0) }
    }
}

#[cfg(feature = "std")]
impl From<Fd> for std::os::fd::OwnedFd {
    fn from(fd: Fd) -> Self {
        // SAFETY: the descriptor is open, and `into_raw` gives up its ownership.
        unsafe { std::os::fd::FromRawFd::from_raw_fd(fd.into_raw()) }
    }
}
