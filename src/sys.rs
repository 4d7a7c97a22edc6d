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

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::fs::File;
    use std::io::Write as _;
    use std::os::fd::FromRawFd;

    use super::*;

    static SIGNALS: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn count(_: core::ffi::c_int) {
        SIGNALS.fetch_add(1, Ordering::SeqCst);
    }

    #[test]
    fn a_call_that_a_signal_interrupts_is_made_again() {
        let mut ends = [0; 2];
        // SAFETY: the handler, which does not restart calls, only counts; both ends are new.
        let (reader, mut writer) = unsafe {
            let mut action: libc::sigaction = core::mem::zeroed();
            action.sa_sigaction = count as *const () as usize;
            assert_eq!(libc::sigaction(libc::SIGURG, &action, core::ptr::null_mut()), 0);
            assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
            (Fd(ends[0]), File::from_raw_fd(ends[1]))
        };
        // SAFETY: it has no arguments.
        let (thread, id) = unsafe { (libc::pthread_self(), libc::gettid()) };
        let signals = std::thread::spawn(move || {
            let is_asleep = || {
                let stat = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap();
                stat.rsplit(") ").next().unwrap().starts_with('S')
            };
            while SIGNALS.load(Ordering::SeqCst) < 3 {
                if is_asleep() {
                    // SAFETY: the thread waits for this one's byte.
                    unsafe { libc::pthread_kill(thread, libc::SIGURG) };
                }
                std::thread::yield_now();
            }
            writer.write_all(b"a").unwrap();
        });
        let mut byte = [0];
        let read = read(&reader, &mut byte);
        signals.join().unwrap();
        assert_eq!((read, &byte), (Ok(1), b"a"));
    }
}
