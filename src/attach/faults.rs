//! Tests attaching and detaching a program while each system call fails in turn. Each call fails
//! once with each errno that the call's man page lists (Linux man-pages 6.03), and once with an
//! errno that a seccomp filter may return.
//!
//! If attaching fails, the result is the errno of the failed call, except for the cases in
//! [`expected`]. No descriptor stays open and no wrong result is cached. Unless the removal of the
//! entry fails, no entry stays in kprobe_events. In every case, the next attach works.

use super::*;
use crate::kernel::LEARNT;
use crate::sys::fake::{Answer, Kernel, refused};

/// A fake kernel, and the options for attaching to its `openat`.
#[derive(Clone, Copy)]
struct Scenario {
    has_pmu: bool,
    has_links: bool,
    retprobe: bool,
    /// Whether an earlier attach in this process has filled the caches.
    is_warm: bool,
    /// Whether to attach to a call that the kernel does not have, instead of `openat`.
    is_missing: bool,
}

const PLAIN: Scenario =
    Scenario { has_pmu: true, has_links: true, retprobe: false, is_warm: false, is_missing: false };

const SCENARIOS: &[Scenario] = &[
    PLAIN,
    Scenario { retprobe: true, ..PLAIN },
    Scenario { is_warm: true, ..PLAIN },
    Scenario { is_missing: true, ..PLAIN },
    Scenario { is_missing: true, retprobe: true, ..PLAIN },
    Scenario { has_links: false, ..PLAIN },
    Scenario { has_links: false, retprobe: true, ..PLAIN },
    Scenario { has_links: false, is_warm: true, ..PLAIN },
    Scenario { has_pmu: false, ..PLAIN },
    Scenario { has_pmu: false, retprobe: true, ..PLAIN },
    Scenario { has_pmu: false, is_missing: true, ..PLAIN },
    Scenario { has_pmu: false, has_links: false, ..PLAIN },
];

const PROGRAM_FD: i32 = 3;
/// An entry left behind by a dead process. The first attach through tracefs removes the entry.
const DEAD: &str = "p:ksyscall/p100_10_1000_1 sys_openat";
const DEAD_PID: u32 = 10;
const OWN_PID: u32 = 7;
const OTHERS: &str = "p:kprobes/mine sys_openat";

const FILES: &[(&str, &str)] = &[
    ("/sys/kernel/tracing/kprobe_events", ""),
    ("/sys/kernel/debug/tracing/kprobe_events", ""),
    ("*/id", "31\n"),
    ("/proc/7/stat", "7 (self) R 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 700 2 3\n"),
    ("/proc/sys/kernel/osrelease", "6.12.1\n"),
    ("/sys/bus/event_source/devices/kprobe/type", "8\n"),
    ("/sys/bus/event_source/devices/kprobe/format/retprobe", "config:0\n"),
];

fn kprobe(symbol: &str, _: bool, _: usize) -> Answer {
    match symbol {
        "__x64_sys_openat" | "__x64_sys_getpid" => Ok(10),
        _ => refused(libc::ENOENT),
    }
}

impl Scenario {
    fn kernel(self) -> Kernel {
        Kernel {
            files: if self.has_pmu { FILES } else { &FILES[..5] },
            kprobe,
            link_create: match self.has_links {
                true => |program| if program < 0 { refused(libc::EBADF) } else { Ok(20) },
                false => |_| refused(libc::EINVAL),
            },
            set_bpf: || Ok(0),
            entries: vec![OTHERS.to_owned(), DEAD.to_owned()],
            process: Some((7, "pid:[100]")),
            ..Kernel::new()
        }
    }

    /// Attaches and detaches. Returns the errno from attaching and the errno from detaching (0 for
    /// success), and the number of steps that attaching took.
    fn attach_and_detach(self) -> (i32, i32, usize) {
        let name = if self.is_missing { "cachestat" } else { "openat" };
        let name = SyscallName::new(name).unwrap();
        let options = Options { retprobe: self.retprobe, ..Options::default() };
        let attached = probe_call(&name, native_row(&name), options)
            .and_then(|target| perf_link::join(PROGRAM_FD, target.event, &target.symbol, options));
        let steps = Kernel::steps_until_now();
        let errno = |error: Error| error.errno();
        match attached {
            Ok(attachment) => (0, attachment.close().map_or_else(errno, |()| 0), steps),
            Err(error) => (errno(error), 0, steps),
        }
    }
}

fn errnos_of(step: &str) -> &'static [i32] {
    use libc::*;
    match step.split(' ').next().unwrap() {
        "open" => &[
            EACCES,
            EBADF,
            EBUSY,
            EDQUOT,
            EEXIST,
            EFAULT,
            EFBIG,
            EINVAL,
            EISDIR,
            ELOOP,
            EMFILE,
            ENAMETOOLONG,
            ENFILE,
            ENODEV,
            ENOENT,
            ENOMEM,
            ENOSPC,
            ENOTDIR,
            ENXIO,
            EOPNOTSUPP,
            EOVERFLOW,
            EPERM,
            EROFS,
            ETXTBSY,
            EWOULDBLOCK,
            ENOSYS,
        ],
        "access" | "readlink" => &[
            EACCES,
            EBADF,
            EFAULT,
            EINVAL,
            EIO,
            ELOOP,
            ENAMETOOLONG,
            ENOENT,
            ENOMEM,
            ENOTDIR,
            EPERM,
            EROFS,
            ETXTBSY,
            ENOSYS,
        ],
        "read" => &[EAGAIN, EBADF, EFAULT, EINVAL, EIO, EISDIR, EPERM, ENOSYS],
        "write" => &[
            EAGAIN,
            EBADF,
            EDESTADDRREQ,
            EDQUOT,
            EFAULT,
            EFBIG,
            EINVAL,
            EIO,
            ENOSPC,
            EPERM,
            EPIPE,
            ENOSYS,
        ],
        "close" => &[EBADF, EINTR, EIO, ENOSPC, EDQUOT],
        "kprobe" | "kretprobe" | "tracepoint" => &[
            E2BIG, EACCES, EBADF, EBUSY, EFAULT, EINTR, EINVAL, EMFILE, ENODEV, ENOENT, ENOSPC,
            ENOSYS, EOPNOTSUPP, EOVERFLOW, EPERM, ESRCH,
        ],
        "link" => &[E2BIG, EACCES, EBADF, EFAULT, EINTR, EINVAL, ENOENT, ENOMEM, EPERM, ENOSYS],
        "ioctl" => &[EBADF, EFAULT, EINTR, EINVAL, ENOTTY, EPERM, ENOSYS],
        // getpid and getcpu do not fail. If getrandom fails, the random number is derived from the
        // clock.
        _ => &[],
    }
}

/// Returns the errno with which attaching or detaching must fail after a fault, or 0 if the
/// operation must succeed anyway.
fn expected(scenario: Scenario, step: &str, errno: i32, is_detach: bool) -> i32 {
    let kernels = if scenario.is_missing { libc::ENOENT } else { 0 };
    let words: Vec<_> = step.split(' ').collect();
    match (&words[..], errno) {
        // Interrupted calls are retried, except close(2), which closes the descriptor even if it is
        // interrupted.
        (["kprobe" | "kretprobe" | "tracepoint" | "link" | "ioctl", ..], libc::EINTR) => kernels,
        // Detaching returns the error from closing the link or the event.
        (["close", "link" | "kprobe" | "kretprobe" | "tracepoint", ..], _) if is_detach => errno,
        (["close", ..], _) => kernels,
        // Attaching falls back from the PMU to tracefs, and from tracefs to debugfs.
        (["open" | "read", "type" | "retprobe"] | ["access"], _) => kernels,
        // Without the PID namespace or the start time, the entry's name identifies its creator less
        // precisely.
        (["readlink"] | ["open" | "read", "stat"], _) => kernels,
        // If the version is unknown, the symbol is tried anyway.
        (["open" | "read", "osrelease"], _) => kernels,
        // After ENODEV, the event is opened on the CPU that the process is running on.
        (["kprobe" | "kretprobe", ..] | ["tracepoint"], libc::ENODEV) => kernels,
        // EINVAL from tracefs (since Linux 6.11), or from perf_event_open for a return probe (up to
        // Linux 5.10), means that the symbol is missing.
        (["write", "p", _], libc::EINVAL) => libc::ENOENT,
        (["write", "r", _], libc::EINVAL) if scenario.is_missing => libc::ENOENT,
        (["kretprobe", symbol], libc::EINVAL) if symbol.ends_with("cachestat") => libc::ENOENT,
        // A kernel without perf links returns EINVAL for any program. Other errnos prove nothing.
        (["link"], libc::EINVAL) if !scenario.has_links => 0,
        (["link", "of", "nothing"], libc::EINVAL | libc::E2BIG) => 0,
        (["link", "of", "nothing"], _) => libc::EINVAL,
        _ => errno,
    }
}

/// Returns whether a step is part of removing the entries that dead processes left behind. If the
/// step fails, the failure is ignored, because a later attach can remove the entries.
fn is_stale_removal(steps: &[String], place: usize) -> bool {
    let is_own = |step: &&String| step.starts_with("write p") || step.starts_with("write r");
    let is_start = |step: &&String| *step == "open kprobe_events to write";
    let last = steps[..place].iter().rfind(|step| is_own(step) || is_start(step));
    match &steps[place][..] {
        "open kprobe_events" | "read kprobe_events" => last.is_some_and(|last| is_start(&last)),
        step => step == format!("write - {DEAD_PID}"),
    }
}

/// Returns whether a step is part of removing the process's own entry. If the step fails, the entry
/// stays, but the result of the attach does not change.
fn is_removal(steps: &[String], place: usize) -> bool {
    let own = format!("write - {OWN_PID}");
    let next_write = || steps[place..].iter().find(|step| step.starts_with("write "));
    match &steps[place][..] {
        "open kprobe_events to write" => next_write() == Some(&own),
        step => step == own,
    }
}

fn fail_at_each_step(scenario: Scenario) -> usize {
    let run = |kernel: Kernel| kernel.run_and_return(|| scenario.attach_and_detach());
    let first_result = if scenario.is_missing { libc::ENOENT } else { 0 };
    let warmed = || {
        LEARNT.forget();
        let kernel = scenario.kernel();
        if scenario.is_warm { Kernel { steps: Vec::new(), ..run(kernel).1 } } else { kernel }
    };
    let ((attached, detached, of_attach), plain) = run(warmed());
    assert_eq!((attached, detached), (first_result, 0));
    let mut faults = 0;
    for (place, step) in plain.steps.iter().enumerate() {
        let is_detach = place >= of_attach;
        for errno in errnos_of(step).iter().copied() {
            let fault = format!("{step} at {place} fails with {errno}");
            let (result, kernel) = run(Kernel { fault: Some((place, errno)), ..warmed() });
            assert_eq!(kernel.steps[..=place], plain.steps[..=place], "{fault}");
            let result = if is_detach { (result.0, result.1) } else { (0, result.0) };
            let is_removal = is_removal(&plain.steps, place);
            let expected = match is_stale_removal(&plain.steps, place) || (is_removal && !is_detach)
            {
                true => first_result,
                false => expected(scenario, step, errno, is_detach),
            };
            assert_eq!(result, (0, expected), "{fault}");
            assert_eq!(kernel.open, [], "{fault}");
            let is_own = |entry: &&String| entry.split('_').nth(1) == Some(&OWN_PID.to_string());
            let own = kernel.entries.iter().filter(is_own).count();
            assert_eq!(own > 0, is_removal, "{fault}: {:?}", kernel.entries);
            // The next attach works as if there had been no fault.
            let (next, kernel) = run(Kernel { fault: None, steps: Vec::new(), ..kernel });
            assert_eq!((next.0, next.1), (first_result, 0), "after {fault}");
            assert_eq!(kernel.open, [], "after {fault}");
            if !scenario.has_pmu {
                assert_eq!(kernel.entries, [OTHERS], "after {fault}");
            }
            faults += 1;
        }
    }
    faults
}

#[cfg(target_arch = "x86_64")]
#[test]
fn every_failure_returns_its_errno_and_leaves_nothing_behind() {
    let faults: usize = SCENARIOS.iter().copied().map(fail_at_each_step).sum();
    assert!(faults > 1000, "{faults}");
}
