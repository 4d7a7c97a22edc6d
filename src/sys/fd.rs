//! Owns an open file descriptor.

use core::ffi::c_int;

use errno::Errno;

/// An open file descriptor, closed on drop.
#[derive(Debug)]
pub(crate) struct Fd(pub(super) c_int);

impl Fd {
    pub(crate) fn as_raw(&self) -> c_int {
        self.0
    }

    /// Hands over the descriptor: the caller closes it.
    pub(crate) fn into_raw(self) -> c_int {
        core::mem::ManuallyDrop::new(self).0
    }

    /// Takes a descriptor over.
    ///
    /// # Safety
    /// `fd` is open and nobody else closes it.
    #[cfg(any(test, feature = "capi"))]
    pub(crate) unsafe fn from_raw(fd: c_int) -> Self {
        Self(fd)
    }

    /// Copies a descriptor; the copy is none of standard input, output and error.
    #[cfg(feature = "capi")]
    pub(crate) fn copy_of(fd: c_int) -> Result<Self, Errno> {
        const LOWEST: usize = 3;
        let copy = libc::F_DUPFD_CLOEXEC as usize;
        // SAFETY: the arguments are integers.
        let fd = unsafe { super::call(libc::SYS_fcntl, fd as usize, copy, LOWEST, 0, 0) }?;
        Ok(Self(fd as c_int))
    }

    /// Closes it, and returns what the kernel did. It is closed in any case, so
    /// this is not done again if a signal has interrupted it.
    pub(crate) fn close(self) -> Result<(), Errno> {
        // SAFETY: the descriptor is ours, and `into_raw` keeps drop from closing it again.
        unsafe { close(self.into_raw()) }
    }
}

/// close(2), which the C library's is not quite: there a thread that was told to end
/// ends, without having closed anything.
///
/// # Safety
/// The descriptor is the caller's, and not used again.
unsafe fn close(fd: c_int) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { super::call_once(libc::SYS_close, fd as usize, 0, 0, 0, 0) }.map(drop)
}

/// Whether the process can open as many descriptors more as there are places, which
/// are for them meanwhile; if not, how many.
///
/// They are opened, as copies of `like`, and closed again: that counts what the kernel
/// counts, and /proc need not be there.
pub(crate) fn can_open(like: c_int, places: &mut [Option<Fd>]) -> Result<(), usize> {
    let mut result = Ok(());
    for (index, place) in places.iter_mut().enumerate() {
        let copy = libc::F_DUPFD_CLOEXEC as usize;
        // SAFETY: the arguments are integers.
        match unsafe { super::call(libc::SYS_fcntl, like as usize, copy, 0, 0, 0) } {
            Ok(fd) => *place = Some(Fd(fd as c_int)),
            Err(Errno(libc::EMFILE)) => {
                result = Err(index);
                break;
            }
            // It is no descriptor, which whoever uses it will say.
            Err(_) => break,
        }
    }
    places.fill_with(|| None);
    result
}

/// How many descriptors this process may have: `RLIMIT_NOFILE` of getrlimit(2).
pub(crate) fn descriptor_limit() -> u64 {
    let mut limit = [0_u64; 2];
    let (this, kind) = (0, libc::RLIMIT_NOFILE as usize);
    // SAFETY: the kernel writes two 64-bit numbers.
    let _ = unsafe { super::call(libc::SYS_prlimit64, this, kind, 0, &raw mut limit as usize, 0) };
    limit[0]
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours and is not used again.
        let _ = unsafe { close(self.0) };
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
        // SAFETY: the descriptor is open, and `into_raw` gives it away.
        unsafe { std::os::fd::FromRawFd::from_raw_fd(fd.into_raw()) }
    }
}
