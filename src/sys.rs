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
#[cfg(feature = "capi")]
pub(crate) use perf_event::PerfEventCall;
pub(crate) use perf_event::{
    perf_event_open_kprobe, perf_event_open_tracepoint, perf_event_set_bpf,
};
#[cfg(feature = "capi")]
pub(crate) use process::{
    is_readable, memory_empty_after_fork, print_error, sleep_1ms, unmap, yield_now,
};
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
    loop {
        // SAFETY: the caller's promise.
        match unsafe { call_once(number, a, b, c, d, e) } {
            Err(Errno(libc::EINTR)) => {}
            answer => return answer,
        }
    }
}

/// Makes a system call.
///
/// # Safety
/// The arguments are what the call takes.
unsafe fn call_once(
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
    // SAFETY: the caller's promise; a call ignores arguments that it does not have.
    match unsafe { raw(number, a, b, c, d, e, 0) } {
        result @ 0.. => Ok(result as usize),
        _ => Err(errno()),
    }
}

#[cfg(not(all(feature = "capi", not(any(feature = "std", test)))))]
use libc::syscall as raw;

#[cfg(all(feature = "capi", not(any(feature = "std", test))))]
unsafe extern "C" {
    /// syscall(2), from `capi/syscall.S`. The C library's would be the one that the library itself
    /// exports, or that of another copy of it.
    #[link_name = "ksyscall_raw"]
    fn raw(number: c_long, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> c_long;
}
