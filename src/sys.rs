//! Makes raw system calls. Each function returns an errno on failure.
//!
//! No other part of the core calls into libc. All system calls go through [`call_once`], where
//! tests can substitute a fake kernel.
#![allow(unsafe_code)]

mod bpf;
#[cfg(test)]
pub(crate) mod fake;
mod fd;
mod file;
#[cfg(feature = "capi")]
mod for_c;
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
pub(crate) use fd::{Fd, can_open, descriptor_limit};
pub(crate) use file::{Mode, access, first_line, for_each_line, open, read, read_number, write};
#[cfg(feature = "capi")]
pub(crate) use for_c::{
    PerfEventCall, ProbeLink, bpf_probe_link, is_readable, memory_empty_after_fork, print_error,
    sleep_1ms, unmap, yield_now,
};
pub(crate) use kept::Kept;
pub(crate) use perf_event::{
    perf_event_open_kprobe, perf_event_open_tracepoint, perf_event_set_bpf,
};
pub(crate) use process::{pid_namespace, process_id, random, start_time};
pub(crate) use thread::consume_in_parallel;

/// Makes a system call, and repeats it if a signal interrupts it. An interrupted call has had no
/// effect.
///
/// # Safety
/// The arguments must be valid for the call.
unsafe fn call(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
) -> Result<usize, Errno> {
    loop {
        // SAFETY: guaranteed by the caller.
        match unsafe { call_once(number, a, b, c, d, e) } {
            Err(Errno(libc::EINTR)) => {}
            answer => return answer,
        }
    }
}

/// Makes a system call.
///
/// # Safety
/// The arguments must be valid for the call.
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
    // SAFETY: guaranteed by the caller; the kernel ignores superfluous arguments.
    match unsafe { raw(number, a, b, c, d, e, 0) } {
        result @ 0.. => Ok(result as usize),
        _ => Err(errno()),
    }
}

#[cfg(not(all(feature = "capi", not(any(feature = "std", test)))))]
use libc::syscall as raw;

#[cfg(all(feature = "capi", not(any(feature = "std", test))))]
unsafe extern "C" {
    /// syscall(2), defined in `capi/syscall.S`. The symbol `syscall` could resolve to the function
    /// that this library exports, or to another copy of the library.
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
    fn interrupted_calls_are_repeated() {
        let mut ends = [0; 2];
        // SAFETY: the handler only counts signals, and the kernel does not restart interrupted
        // calls. Both descriptors are new.
        let (reader, mut writer) = unsafe {
            let mut action: libc::sigaction = core::mem::zeroed();
            action.sa_sigaction = count as *const () as usize;
            assert_eq!(libc::sigaction(libc::SIGURG, &action, core::ptr::null_mut()), 0);
            assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
            (Fd(ends[0]), File::from_raw_fd(ends[1]))
        };
        // SAFETY: the functions take no arguments.
        let (thread, id) = unsafe { (libc::pthread_self(), libc::gettid()) };
        let signals = std::thread::spawn(move || {
            let is_asleep = || {
                let stat = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap();
                stat.rsplit(") ").next().unwrap().starts_with('S')
            };
            while SIGNALS.load(Ordering::SeqCst) < 3 {
                if is_asleep() {
                    // SAFETY: the thread still exists, because it waits for the byte written below.
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
