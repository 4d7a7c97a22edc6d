//! Makes the raw system calls, by subject; each function returns an errno.
//!
//! No other file of the core calls into libc, and all go through [`call`], where the
//! tests can put a kernel of their own.
#![allow(unsafe_code)]

mod bpf;
#[cfg(test)]
pub(crate) mod fake;
mod fd;
mod file;
mod kept;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;
mod perf_event;
mod process;
pub(crate) mod thread;

use core::ffi::c_long;

use errno::{Errno, errno};

#[cfg(feature = "std")]
pub(crate) use bpf::bpf_obj_pin;
pub(crate) use bpf::{
    KprobeMulti, bpf_link_create, bpf_link_create_kprobe_multi,
    bpf_link_create_multi_without_program, bpf_link_missed, bpf_program_recursion_misses,
    is_for_kprobe_multi,
};
#[cfg(feature = "capi")]
pub(crate) use bpf::{ProbeLink, bpf_probe_link};
pub(crate) use fd::{Fd, can_open, descriptor_limit};
pub(crate) use file::{Mode, access, for_each_line, open, read, read_number, write};
pub(crate) use kept::Kept;
pub(crate) use perf_event::{
    perf_event_open_kprobe, perf_event_open_tracepoint, perf_event_set_bpf,
};
#[cfg(feature = "capi")]
pub(crate) use process::{memory_empty_after_fork, sleep_1ms, unmap, yield_now};
pub(crate) use process::{pid_namespace, process_id, random, start_time};
pub(crate) use thread::consume_in_parallel;

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
