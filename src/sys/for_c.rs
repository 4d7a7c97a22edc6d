//! Makes the system calls that only the C API needs.

use core::ffi::c_int;
use core::ptr;

use errno::Errno;

use super::bpf::{BPF_LINK_TYPE_KPROBE_MULTI, BPF_LINK_TYPE_PERF_EVENT, LinkInfo, object_info};
use super::{call, call_once};

/// The two kinds of BPF links for kprobes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProbeLink {
    PerfEvent,
    KprobeMulti,
}

/// Returns which of the two kinds a link is, or None if it is neither. For the descriptor of a
/// program or map, the result is meaningless: the first field of the info is then the type of the
/// program or map, not of a link.
pub(crate) fn bpf_probe_link(fd: c_int) -> Option<ProbeLink> {
    let mut info = LinkInfo::default();
    // SAFETY: all fields are integers, and the lengths of names are 0.
    unsafe { object_info(fd, &mut info) }?;
    match info.kind {
        BPF_LINK_TYPE_PERF_EVENT => Some(ProbeLink::PerfEvent),
        BPF_LINK_TYPE_KPROBE_MULTI => Some(ProbeLink::KprobeMulti),
        _ => None,
    }
}

/// The arguments of an application's perf_event_open(2) call. The kernel checks the arguments.
#[derive(Clone, Copy)]
pub(crate) struct PerfEventCall {
    pub(crate) attr: usize,
    pub(crate) pid: usize,
    pub(crate) cpu: usize,
    pub(crate) group_fd: usize,
    pub(crate) flags: usize,
}

impl PerfEventCall {
    /// Makes the call once. If a signal interrupts the call, the caller receives EINTR.
    pub(crate) fn make(self) -> Result<usize, Errno> {
        let Self { attr, pid, cpu, group_fd, flags } = self;
        // SAFETY: the kernel only reads `attr`, except that it writes the expected size to an
        // `attr` that it refuses. `attr` either belongs to the application or is a copy that
        // outlives the call. A bad address results in EFAULT.
        unsafe { call_once(libc::SYS_perf_event_open, attr, pid, cpu, group_fd, flags) }
    }
}

/// Returns whether the process can read the aligned 8-byte word at or just below an address.
///
/// This function requests an invalid rt_sigprocmask(2) operation: the kernel first reads a signal
/// set from that word, and then rejects the operation.
pub(crate) fn is_readable(address: usize) -> bool {
    const NOTHING: usize = 0x7fff_ffff;
    const SET: usize = 8;
    // SAFETY: the kernel reads one signal set, and changes nothing.
    let answer =
        unsafe { call(libc::SYS_rt_sigprocmask, NOTHING, address & !(SET - 1), 0, SET, 0) };
    // If the set is at address 0, the call succeeds, and the kernel reads nothing.
    answer == Err(Errno(libc::EINVAL))
}

/// Writes a message to standard error. Errors are ignored, because there is nowhere to report them.
pub(crate) fn print_error(text: &[u8]) {
    let stderr = libc::STDERR_FILENO as usize;
    // SAFETY: the kernel only reads the text.
    let _ = unsafe { call(libc::SYS_write, stderr, text.as_ptr() as usize, text.len(), 0, 0) };
}

/// Lets other threads run.
pub(crate) fn yield_now() {
    // SAFETY: sched_yield has no arguments.
    let _ = unsafe { call(libc::SYS_sched_yield, 0, 0, 0, 0, 0) };
}

/// Sleeps. Unlike the C library's `nanosleep()`, this function is not a cancellation point.
pub(crate) fn sleep_1ms() {
    static TIME: [core::ffi::c_long; 2] = [0, 1_000_000];
    // SAFETY: `TIME` has the layout of the kernel's `struct timespec`, which the call only reads.
    let _ = unsafe { call(libc::SYS_nanosleep, TIME.as_ptr() as usize, 0, 0, 0, 0) };
}

/// Allocates zeroed, page-aligned memory that is zero again in a child of fork(2) (Linux 4.14).
/// Returns NULL on failure.
pub(crate) fn memory_empty_after_fork(len: usize) -> *mut u8 {
    let (access, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: the calls affect only the new memory, which is unmapped if `madvise` fails.
    unsafe {
        // Use the C library's `mmap()`: on some architectures, the system call takes different
        // arguments.
        let memory = libc::mmap(ptr::null_mut(), len, access, kind, -1, 0);
        if memory == libc::MAP_FAILED {
            return ptr::null_mut();
        }
        let advice = libc::MADV_WIPEONFORK as usize;
        if call(libc::SYS_madvise, memory as usize, len, advice, 0, 0).is_err() {
            unmap(memory.cast(), len);
            return ptr::null_mut();
        }
        memory.cast()
    }
}

/// # Safety
/// `memory` must be NULL, or unused memory that [`memory_empty_after_fork`] returned for the same
/// `len`.
pub(crate) unsafe fn unmap(memory: *mut u8, len: usize) {
    if !memory.is_null() {
        // SAFETY: guaranteed by the caller.
        let _ = unsafe { call(libc::SYS_munmap, memory as usize, len, 0, 0, 0) };
    }
}
