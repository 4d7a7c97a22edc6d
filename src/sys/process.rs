//! This process and others, and what errnos are called.

#[cfg(feature = "capi")]
use core::ptr;

use errno::Errno;

use super::call;
use crate::text::{cut, number};

/// This process's id, in its own PID namespace.
pub(crate) fn process_id() -> u64 {
    // SAFETY: it has no arguments.
    let pid = unsafe { call(libc::SYS_getpid, 0, 0, 0, 0, 0) };
    pid.unwrap_or_default() as u64
}

/// Whether no process of this PID namespace has the id.
pub(crate) fn is_dead(pid: u64) -> bool {
    let Ok(pid @ 1..) = libc::pid_t::try_from(pid) else {
        return false;
    };
    // SAFETY: signal 0 is sent to nobody.
    let sent = unsafe { call(libc::SYS_kill, pid as usize, 0, 0, 0, 0) };
    sent == Err(Errno(libc::ESRCH))
}

/// The number of this process's PID namespace, 0 if that is not known: it is what
/// /proc/self/ns/pid leads to, `pid:[4026531836]` (namespaces(7)).
pub(crate) fn pid_namespace() -> u64 {
    let mut buffer = [0_u8; 32];
    let (folder, path) = (libc::AT_FDCWD as usize, c"/proc/self/ns/pid".as_ptr() as usize);
    let start = buffer.as_mut_ptr() as usize;
    // SAFETY: `path` is a C string, and the kernel writes at most `len` bytes of `buffer`.
    let _ = unsafe { call(libc::SYS_readlinkat, folder, path, start, buffer.len(), 0) };
    number(cut(cut(&buffer, b'[').1, b']').0, 10).unwrap_or_default()
}

/// Lets other threads run.
#[cfg(feature = "capi")]
pub(crate) fn yield_now() {
    // SAFETY: it has no arguments.
    let _ = unsafe { call(libc::SYS_sched_yield, 0, 0, 0, 0, 0) };
}

/// Unlike nanosleep(3) of the C library it is no place where a thread can be cancelled.
#[cfg(feature = "capi")]
pub(crate) fn sleep_1ms() {
    static TIME: [core::ffi::c_long; 2] = [0, 1_000_000];
    // SAFETY: `TIME` is the kernel's `struct timespec` of this call, which is only read.
    let _ = unsafe { call(libc::SYS_nanosleep, TIME.as_ptr() as usize, 0, 0, 0, 0) };
}

/// Zeros, of which a child of fork(2) gets zeros again (Linux 4.14), aligned to a page. NULL if
/// that cannot be had.
#[cfg(feature = "capi")]
pub(crate) fn memory_empty_after_fork(len: usize) -> *mut u8 {
    let (access, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new memory is asked for, which is given back if it is not of use.
    unsafe {
        let memory = libc::mmap(ptr::null_mut(), len, access, kind, -1, 0);
        if memory == libc::MAP_FAILED {
            return ptr::null_mut();
        }
        if libc::madvise(memory, len, libc::MADV_WIPEONFORK) != 0 {
            unmap(memory.cast(), len);
            return ptr::null_mut();
        }
        memory.cast()
    }
}

/// # Safety
/// `memory` is NULL, or [`memory_empty_after_fork`] gave it for this length, and nobody uses it.
#[cfg(feature = "capi")]
pub(crate) unsafe fn unmap(memory: *mut u8, len: usize) {
    if !memory.is_null() {
        // SAFETY: the caller's promise.
        unsafe { libc::munmap(memory.cast(), len) };
    }
}

/// What strerror(3) says of an errno.
pub(crate) fn strerror(errno: Errno, buffer: &mut [u8]) -> &[u8] {
    // SAFETY: the C library writes at most `len` bytes of `buffer`.
    unsafe { libc::strerror_r(errno.0, buffer.as_mut_ptr().cast(), buffer.len()) };
    cut(buffer, 0).0
}
