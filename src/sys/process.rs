//! This process and others.

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
