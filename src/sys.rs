//! The raw system calls, by subject, each as a function that returns an errno.
//!
//! No other file of the core calls into libc, and all go through [`call`], where the
//! tests can put a kernel of their own.
#![allow(unsafe_code)]

mod bpf;
#[cfg(test)]
pub(crate) mod fake;
mod fd;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;
mod perf_event;
mod process;
#[cfg(feature = "more")]
mod thread;

use core::ffi::{CStr, c_long};

use errno::{Errno, errno};

#[cfg(feature = "more")]
pub(crate) use bpf::bpf_link_missed;
#[cfg(feature = "std")]
pub(crate) use bpf::bpf_obj_pin;
#[cfg(feature = "more")]
pub(crate) use bpf::{KprobeMulti, bpf_link_create_kprobe_multi, is_for_kprobe_multi};
pub(crate) use bpf::{bpf_link_create, bpf_link_create_multi_without_program};
pub(crate) use fd::Fd;
#[cfg(feature = "more")]
pub(crate) use fd::{can_open, descriptor_limit};
#[cfg(feature = "more")]
pub(crate) use file::read;
pub(crate) use file::{Mode, access, for_each_line, open, read_number, write};
pub(crate) use perf_event::{
    perf_event_open_kprobe, perf_event_open_tracepoint, perf_event_set_bpf,
};
pub(crate) use process::{is_dead, pid_namespace, process_id, strerror};
#[cfg(feature = "capi")]
pub(crate) use process::{memory_empty_after_fork, sleep_1ms, unmap, yield_now};
#[cfg(feature = "more")]
pub(crate) use thread::consume_in_parallel;
#[cfg(feature = "ext")]
pub(crate) use thread::in_parallel;

/// Makes a system call, and again if a signal has interrupted it: then it has done
/// nothing.
///
/// # Safety
/// The arguments are what the call takes.
unsafe fn call(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
) -> Result<usize, Errno> {
    #[cfg(test)]
    if let Some(answer) = fake::answer(number, [a, b, c, d, e]) {
        return answer;
    }
    loop {
        // SAFETY: the caller's promise; a call ignores arguments that it does not have.
        match unsafe { libc::syscall(number, a, b, c, d, e) } {
            result @ 0.. => return Ok(result as usize),
            _ if errno().0 == libc::EINTR => {}
            _ => return Err(errno()),
        }
    }
}

/// The C string that the bytes begin with; it is empty if there is no NUL.
///
/// `CStr::from_bytes_until_nul` is the same, in five times the code.
pub(crate) fn c_str(bytes: &[u8]) -> &CStr {
    let end = bytes.iter().position(|byte| *byte == 0);
    let text = end.and_then(|end| bytes.get(..=end)).unwrap_or(b"\0");
    // SAFETY: the first NUL is the last byte.
    unsafe { CStr::from_bytes_with_nul_unchecked(text) }
}
