//! Tests the Rust API on a real kernel: `cargo test --test kernel` runs these tests in a virtual
//! machine (`testing/cargo-runner`).
#![allow(unsafe_code)]

#[path = "kernel/batch.rs"]
mod batch;
#[cfg(target_arch = "x86_64")]
#[path = "kernel/callers.rs"]
mod callers;

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr::null;
use std::sync::{Arc, Weak, mpsc};
use std::thread;

use aya::Ebpf;
use aya::maps::{Array, Map};
use aya::programs::{KProbe, ProgramFd, SocketFilter};
use ksyscall::{Error, Ksyscall, Link};

/// The loaded BPF object with its maps.
struct Probe {
    object: Ebpf,
    program: ProgramFd,
}

impl Probe {
    fn load() -> Self {
        let path = std::env::var("KSYSCALL_TEST_OBJECT").expect("KSYSCALL_TEST_OBJECT");
        let mut object = Ebpf::load_file(path).unwrap();
        let program: &mut KProbe = object.program_mut("count").unwrap().try_into().unwrap();
        program.load().unwrap();
        let program = program.fd().unwrap().try_clone().unwrap();
        let mut probe = Self { object, program };
        probe.watch(std::process::id());
        probe
    }

    /// Counts only the calls by `process`.
    fn watch(&mut self, process: u32) {
        let mut watched: Array<_, u32> =
            self.object.map_mut("process").unwrap().try_into().unwrap();
        watched.set(0, process, 0).unwrap();
    }

    fn attach(&self, name: &str, cookie: u32) -> Result<Link, Error> {
        Ksyscall::new(name)?.cookie(cookie.into()).attach(&self.program)
    }

    fn hits(&self, cookie: u32) -> u64 {
        let hits: Array<_, u64> = self.object.map("hits").unwrap().try_into().unwrap();
        hits.get(&cookie, 0).unwrap()
    }

    fn returned(&self, cookie: u32) -> i64 {
        let returned: Array<_, u64> = self.object.map("returned").unwrap().try_into().unwrap();
        returned.get(&cookie, 0).unwrap() as i64
    }
}

/// Calls umount2(2) with an empty path, which fails with ENOENT. No other process in the virtual
/// machine makes this call.
fn umount2(times: usize) {
    for _ in 0..times {
        // SAFETY: the path is a C string.
        assert_eq!(unsafe { libc::umount2(c"".as_ptr(), 0) }, -1);
        assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::ENOENT));
    }
}

/// Calls umount2(2) until the program no longer runs. The kernel frees a pinned link some time
/// after its pin is removed and does not report when.
fn call_until_detached(probe: &Probe, cookie: u32) {
    let mut calls = probe.hits(cookie);
    while probe.hits(cookie) == calls {
        umount2(1);
        calls += 1;
        assert!(calls < 1_000_000, "still attached");
    }
}

/// Threads that sleep in ppoll(2), a call that no other code in these tests makes.
struct Sleepers {
    threads: Vec<thread::JoinHandle<libc::c_long>>,
    waker: UnixStream,
}

impl Sleepers {
    /// Starts the threads and returns when all of them are blocked in the call.
    fn asleep(count: usize) -> Self {
        let (socket, waker) = UnixStream::pair().unwrap();
        let socket = Arc::new(socket);
        let (sender, receiver) = mpsc::channel();
        let start = |_| {
            let (socket, sender) = (socket.clone(), sender.clone());
            let sleep = move || {
                // SAFETY: gettid has no arguments.
                sender.send(unsafe { libc::gettid() }).unwrap();
                let mut file =
                    libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
                let (files, forever) = (&raw mut file, std::ptr::null::<libc::timespec>());
                // SAFETY: the kernel writes to `file`; the timeout and the signal set are null.
                unsafe { libc::syscall(libc::SYS_ppoll, files, 1, forever, forever, 8) }
            };
            thread::Builder::new().stack_size(32 << 10).spawn(sleep).unwrap()
        };
        let threads: Vec<_> = (0..count).map(start).collect();
        for id in receiver.iter().take(count) {
            // The file contains the call in which the task is blocked (proc_pid_syscall(5)).
            let path = format!("/proc/self/task/{id}/syscall");
            let call = format!("{} ", libc::SYS_ppoll);
            while !fs::read_to_string(&path).unwrap().starts_with(&call) {
                thread::yield_now();
            }
        }
        Self { threads, waker }
    }

    /// Wakes the threads and checks that each call returns 1.
    fn wake(mut self) {
        io::Write::write_all(&mut self.waker, b"!").unwrap();
        for thread in self.threads {
            assert_eq!(thread.join().unwrap(), 1);
        }
    }
}

/// Whether links report how many probe runs the kernel missed (Linux 6.7 and later).
fn links_tell_what_was_missed() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(7))
}

fn open_fds() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn kprobe_events() -> String {
    fs::read_to_string("/sys/kernel/tracing/kprobe_events").unwrap()
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_runs_the_program_at_each_call() {
    let probe = Probe::load();
    let link = probe.attach("umount2", 1).unwrap();
    umount2(7);
    assert_eq!(probe.hits(1), 7);
    drop(link);
    umount2(1);
    assert_eq!(probe.hits(1), 7, "a dropped link is detached");
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_runs_a_return_probe_with_the_result() {
    let probe = Probe::load();
    let umount2_exit = Ksyscall::new("umount2").unwrap().retprobe(true).cookie(3);
    let link = umount2_exit.attach(&probe.program).unwrap();
    umount2(2);
    assert_eq!(probe.hits(3), 2);
    assert_eq!(probe.returned(3), -i64::from(libc::ENOENT));
    link.detach().unwrap();
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_returns_of_1000_sleepers_are_all_seen() {
    let probe = Probe::load();
    let ppoll = Ksyscall::new("ppoll").unwrap().retprobe(true);
    drop(ppoll.attach(&probe.program).unwrap());
    let (fds, events) = (open_fds(), kprobe_events());
    for (cookie, max_active) in [(9, 1000), (10, 4096)] {
        let call = ppoll.cookie(cookie.into()).max_active(max_active);
        let link = call.attach(&probe.program).unwrap();
        assert!(kprobe_events().contains(&format!("r{max_active}:ksyscall/p")));
        Sleepers::asleep(1000).wake();
        assert_eq!(probe.hits(cookie), 1000);
        assert_eq!(probe.returned(cookie), 1);
        assert_eq!(link.missed(), Some(0));
        link.detach().unwrap();
        assert_eq!((open_fds(), kprobe_events()), (fds, events.clone()));
    }
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_reports_missed_returns() {
    let probe = Probe::load();
    let ppoll = Ksyscall::new("ppoll").unwrap().retprobe(true);
    let few = ppoll.cookie(11).attach(&probe.program).unwrap();
    let more = ppoll.cookie(12).max_active(100).attach(&probe.program).unwrap();
    let entries = Ksyscall::new("ppoll").unwrap().cookie(13).attach(&probe.program).unwrap();
    Sleepers::asleep(1000).wake();
    assert_eq!(probe.hits(12), 100);
    assert_eq!(probe.hits(13), 1000);
    assert!((1..100).contains(&probe.hits(11)), "{}", probe.hits(11));
    // The kernel counts misses without a lock, so it may count two misses on different CPUs as one.
    let missed = more.missed().unwrap();
    assert!((800..=900).contains(&missed), "{missed} of 900");
    if links_tell_what_was_missed() {
        let (missed, most) = (few.missed().unwrap(), 1000 - probe.hits(11));
        assert!((most - 100..=most).contains(&missed), "{missed} of {most}");
        assert_eq!(entries.missed(), Some(0));
    } else {
        assert_eq!((few.missed(), entries.missed()), (None, None));
    }
}

/// If a program is attached to a function that map operations call, the kernel skips the program
/// once for each operation.
#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_counts_skipped_programs() {
    let mut probe = Probe::load();
    let misses = |probe: &Probe| ksyscall::recursion_misses(&probe.program);
    let known = |misses| links_tell_what_was_missed().then_some(misses);
    assert_eq!(misses(&probe), known(0));
    let inside: &mut KProbe = probe.object.program_mut("count").unwrap().try_into().unwrap();
    let inside = inside.attach("array_map_update_elem", 0).unwrap();
    for _ in 0..5 {
        probe.watch(std::process::id());
    }
    assert_eq!((misses(&probe), probe.hits(0)), (known(5), 0));
    let count: &mut KProbe = probe.object.program_mut("count").unwrap().try_into().unwrap();
    count.detach(inside).unwrap();
    let link = probe.attach("umount2", 15).unwrap();
    umount2(3);
    assert_eq!((probe.hits(15), misses(&probe), link.missed()), (3, known(5), known(0)));
    // These descriptors do not refer to programs.
    assert_eq!(ksyscall::recursion_misses(fs::File::open("/dev/null").unwrap()), None);
    assert_eq!(ksyscall::recursion_misses(&link), None);
}

/// Whether the kernel may preempt a task that is executing kernel code.
fn is_preemptible() -> bool {
    let mode = fs::read_to_string("/sys/kernel/debug/sched/preempt").unwrap_or_default();
    mode.contains("(full)") || mode.contains("(lazy)")
}

fn stay_on_cpu_0() {
    let set = [1_usize, 0, 0, 0];
    // SAFETY: the size argument is the size of the set.
    let done = unsafe { libc::sched_setaffinity(0, size_of_val(&set), (&raw const set).cast()) };
    assert_eq!(done, 0);
}

/// Repeatedly updates the first value of a map of u32 values while `other` is alive.
fn update_while_alive(map: i32, value: u32, other: &Weak<()>) {
    const BPF_MAP_UPDATE_ELEM: libc::c_int = 2;
    let attr = [map as u64, &raw const FIRST as u64, &raw const value as u64, 0];
    static FIRST: u32 = 0;
    while other.strong_count() > 0 {
        // SAFETY: the map's keys and values are u32.
        let done =
            unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, size_of_val(&attr)) };
        assert_eq!(done, 0);
    }
}

/// Two threads share a CPU. One thread continually updates a map, so that the kernel skips the
/// program for some of the other thread's calls.
#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_counts_calls_that_it_skips_during_map_updates() {
    if !links_tell_what_was_missed() {
        return println!("this kernel does not count them");
    }
    let probe = Probe::load();
    let _link = probe.attach("umount2", 15).unwrap();
    let Some(Map::Array(map)) = probe.object.map("process") else { panic!("no map") };
    let map = map.fd().as_fd().as_raw_fd();
    let (mut calls, mut misses) = (0, 0);
    let calling = Arc::new(());
    let other = Arc::downgrade(&calling);
    thread::scope(|scope| {
        scope.spawn(move || {
            stay_on_cpu_0();
            update_while_alive(map, std::process::id(), &other);
        });
        scope.spawn(|| {
            let _calling = calling;
            stay_on_cpu_0();
            while misses == 0 && calls < 200_000 {
                umount2(100);
                calls += 100;
                misses = ksyscall::recursion_misses(&probe.program).unwrap();
            }
        });
    });
    println!("{misses} of {calls} calls were skipped");
    assert_eq!(probe.hits(15) + misses, calls as u64);
    assert!(misses > 0 || !is_preemptible());
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_invalid_numbers_of_calls_to_track_are_reported() {
    let probe = Probe::load();
    drop(probe.attach("umount2", 1).unwrap());
    let (fds, events) = (open_fds(), kprobe_events());
    let entry = Ksyscall::new("umount2").unwrap();
    let exit = entry.retprobe(true);
    let error = entry.max_active(1).attach(&probe.program).unwrap_err();
    assert!(matches!(error, Error::MaxActive), "{error}");
    // 0 selects the kernel's default and is also valid for an entry probe.
    drop(entry.max_active(0).attach(&probe.program).unwrap());
    let unknown = Ksyscall::new("frobnicate").unwrap().retprobe(true).max_active(100);
    let error = unknown.attach(&probe.program).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let no_program = fs::File::open("/dev/null").unwrap();
    assert!(exit.max_active(100).attach(&no_program).is_err());
    drop(no_program);
    assert_eq!((open_fds(), kprobe_events()), (fds, events));
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_entries_are_removed_when_nothing_holds_them() {
    let probe = Probe::load();
    let before = kprobe_events();
    let path = format!("/sys/fs/bpf/ksyscall-watched-{}", std::process::id());
    let call = Ksyscall::new("umount2").unwrap().retprobe(true).cookie(14).max_active(20);
    let link = call.attach(&probe.program).unwrap();
    link.pin(&path).unwrap();
    link.detach().unwrap();
    umount2(1);
    assert_eq!(probe.hits(14), 1, "the pin holds it");
    assert!(kprobe_events().contains(":ksyscall/p"));
    fs::remove_file(path).unwrap();
    call_until_detached(&probe, 14);
    // Because this process is still alive, nothing removes its `kprobe_events` entry.
    while kprobe_events() != before {
        // Removes the unused entries. The write fails with EBUSY while an event is still in use.
        _ = fs::write("/sys/kernel/tracing/kprobe_events", "");
    }
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_distinguishes_attachments_of_one_program() {
    let probe = Probe::load();
    let one = probe.attach("umount2", 4).unwrap();
    let two = probe.attach("umount2", 5).unwrap();
    umount2(1);
    drop(one);
    umount2(1);
    assert_eq!((probe.hits(4), probe.hits(5)), (1, 2));
    drop(two);
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_keeps_a_pinned_attachment_until_it_is_unlinked() {
    let probe = Probe::load();
    let path = format!("/sys/fs/bpf/ksyscall-{}", std::process::id());
    let link = probe.attach("umount2", 6).unwrap();
    link.pin(&path).unwrap();
    assert_eq!(link.pin(&path).unwrap_err().errno(), libc::EEXIST);
    drop(link);
    umount2(1);
    assert_eq!(probe.hits(6), 1);
    fs::remove_file(path).unwrap();
    call_until_detached(&probe, 6);
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_keeps_a_forgotten_attachment_and_one_turned_into_a_descriptor() {
    let probe = Probe::load();
    let fd = OwnedFd::from(probe.attach("umount2", 7).unwrap());
    let fds = open_fds();
    let link = probe.attach("umount2", 8).unwrap();
    assert_eq!(open_fds(), fds + 1, "one descriptor a link");
    let kept = Ksyscall::new("umount2").unwrap().keep_event(true).attach(&probe.program).unwrap();
    assert_eq!(open_fds(), fds + 3, "and the event's, if it is to be kept");
    kept.detach().unwrap();
    assert_eq!(open_fds(), fds + 1);
    link.forget();
    umount2(1);
    assert_eq!((probe.hits(7), probe.hits(8)), (1, 1));
    drop(fd);
    umount2(1);
    assert_eq!((probe.hits(7), probe.hits(8)), (1, 2));
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_refusals_are_reported_and_leave_nothing() {
    let mut probe = Probe::load();
    // The first attempt to attach detects kernel features. Later attempts must not leave
    // descriptors open.
    drop(probe.attach("umount2", 1).unwrap());
    let (fds, events) = (open_fds(), kprobe_events());

    let unknown = probe.attach("frobnicate", 0).unwrap_err();
    assert_eq!(unknown.errno(), libc::ENOENT);
    assert!(unknown.to_string().contains("sys_frobnicate"), "{unknown}");
    assert_eq!(io::Error::from(unknown).kind(), io::ErrorKind::NotFound);

    let filter: &mut SocketFilter =
        probe.object.program_mut("not_a_kprobe").unwrap().try_into().unwrap();
    filter.load().unwrap();
    let wrong = Ksyscall::new("umount2").unwrap().attach(filter.fd().unwrap()).unwrap_err();
    assert_eq!(wrong.errno(), libc::EINVAL, "{wrong}");
    filter.unload().unwrap();

    let no_program = fs::File::open("/dev/null").unwrap();
    let wrong = Ksyscall::new("umount2").unwrap().attach(&no_program).unwrap_err();
    assert_eq!(wrong.errno(), libc::EINVAL, "{wrong}");
    drop(no_program);

    assert_eq!((open_fds(), kprobe_events()), (fds, events));
}

/// Loads a kprobe program for an attach type, which aya cannot set. Returns None if the kernel does
/// not support the type.
fn load_instructions(attach_type: u32, insns: &[u64]) -> Option<OwnedFd> {
    /// The first members of `union bpf_attr` for `BPF_PROG_LOAD`.
    #[repr(C)]
    #[derive(Default)]
    struct Load {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buf: u64,
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; 16],
        prog_ifindex: u32,
        expected_attach_type: u32,
    }
    const BPF_PROG_LOAD: libc::c_int = 5;
    const BPF_PROG_TYPE_KPROBE: u32 = 2;
    let attr = Load {
        prog_type: BPF_PROG_TYPE_KPROBE,
        insn_cnt: insns.len() as u32,
        insns: insns.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        expected_attach_type: attach_type,
        ..Load::default()
    };
    // SAFETY: the kernel reads `attr`, the instructions and the C string, which outlive the call.
    let fd =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const attr, size_of::<Load>()) };
    if fd < 0 {
        assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::EINVAL));
        return None;
    }
    // SAFETY: the descriptor is new, so nothing else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Whether the kernel would create a BPF link for the program. This function passes an invalid
/// event. The kernel checks the program first, so EBADF means that only the event is invalid.
fn kernel_takes(program: &OwnedFd) -> bool {
    const BPF_LINK_CREATE: libc::c_int = 28;
    const BPF_PERF_EVENT: libc::c_int = 41;
    let attr = [program.as_raw_fd(), -1, BPF_PERF_EVENT, 0, 0, 0];
    // SAFETY: the kernel reads `attr`.
    let made = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_LINK_CREATE, &raw const attr, size_of_val(&attr))
    };
    assert_eq!(made, -1);
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::EBADF) => true,
        Some(libc::EINVAL) => false,
        other => panic!("{other:?}"),
    }
}

/// Tests programs for kprobe.multi and similar attach types. The kernel refuses to create a
/// link for these programs, but would attach them to a perf event without creating a link. On Linux
/// 6.12, reading the cookie would then crash the kernel.
fn ask_with_other_attach_types() {
    /// `BPF_TRACE_KPROBE_MULTI`, `UPROBE_MULTI`, `KPROBE_SESSION`, `UPROBE_SESSION`.
    const OTHERS: [u32; 4] = [42, 48, 56, 57];
    const CALL_GET_ATTACH_COOKIE: u64 = 174 << 32 | 0x85;
    /// Both programs return 0. The second program first reads its cookie.
    const PROGRAMS: [&[u64]; 2] = [&[0xb7, 0x95], &[CALL_GET_ATTACH_COOKIE, 0xb7, 0x95]];
    let umount2 = Ksyscall::new("umount2").unwrap();
    let mut loaded = 0;
    let fds = open_fds();
    for (attach_type, program) in OTHERS.into_iter().flat_map(|t| PROGRAMS.map(|p| (t, p))) {
        let Some(program) = load_instructions(attach_type, program) else {
            continue;
        };
        loaded += 1;
        for call in [umount2, umount2.cookie(7), umount2.retprobe(true)] {
            let answer = call.attach(&program);
            if kernel_takes(&program) {
                drop(answer.unwrap());
            } else {
                let error = answer.unwrap_err();
                assert!(matches!(error, Error::LinkCreate { .. }), "{attach_type}: {error}");
                assert_eq!(error.errno(), libc::EINVAL);
                // If the kernel had attached the program nevertheless, the program would run here.
                self::umount2(3);
            }
        }
    }
    assert_eq!(open_fds(), fds);
    assert!(loaded > 0, "this kernel loads no program for these attach types");
    // Attaching an ordinary kprobe program still works.
    let probe = Probe::load();
    let path = format!("/sys/fs/bpf/ksyscall-types-{}", std::process::id());
    let link = probe.attach("umount2", 10).unwrap();
    self::umount2(3);
    assert_eq!(probe.hits(10), 3);
    link.pin(&path).unwrap();
    fs::remove_file(path).unwrap();
    link.detach().unwrap();
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_refuses_programs_for_other_attach_types() {
    ask_with_other_attach_types();
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_without_a_pmu_refuses_programs_for_other_attach_types() {
    if std::env::var_os("KSYSCALL_NO_PMU").is_none() {
        return without_pmu("kernel_without_a_pmu_refuses_programs_for_other_attach_types");
    }
    let before = kprobe_events();
    ask_with_other_attach_types();
    assert_eq!(kprobe_events(), before);
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_functions_that_no_call_reaches_are_probed_on_request() {
    let probe = Probe::load();
    let uselib = Ksyscall::new("uselib").unwrap();
    let refused = uselib.attach(&probe.program).unwrap_err();
    assert!(matches!(&refused, Error::NotFound { tried, .. } if tried.is_empty()), "{refused}");
    let link = uselib.allow_unreached(true).attach(&probe.program).unwrap();
    assert_eq!((link.symbol().as_str(), link.is_reached()), ("__x64_sys_uselib", false));
    drop(link);
    let reached = Ksyscall::new("umount2").unwrap().allow_unreached(true);
    assert!(reached.attach(&probe.program).unwrap().is_reached());
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_states_in_which_nothing_runs_are_reported() {
    let kprobes = "/sys/kernel/debug/kprobes/enabled";
    assert_eq!(ksyscall::disarmed(), None);
    fs::write(kprobes, "0").unwrap();
    let state = ksyscall::disarmed();
    fs::write(kprobes, "1").unwrap();
    assert_eq!(state, Some(ksyscall::Disarmed::Kprobes));
    assert!(state.unwrap().to_string().contains(kprobes));
    assert_eq!(ksyscall::disarmed(), None);
}

/// Mounts `source` over a path, for this thread only. Does nothing but make system calls.
fn hide(path: &CStr, source: &CStr, kind: &CStr, flags: libc::c_ulong) -> io::Result<()> {
    let mount = |source: &CStr, path: &CStr, flags| {
        // SAFETY: the arguments are C strings that outlive the call, and a null pointer.
        unsafe { libc::mount(source.as_ptr(), path.as_ptr(), kind.as_ptr(), flags, null()) }
    };
    // SAFETY: unshare takes no pointers, and only this thread gets a new mount namespace.
    let is_hidden = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0
        && mount(c"none", c"/", libc::MS_REC | libc::MS_PRIVATE) == 0
        && mount(source, path, flags) == 0;
    if is_hidden { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Runs a test from this file in a separate process that cannot see the kprobe PMU.
fn without_pmu(test: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).env("KSYSCALL_NO_PMU", "1");
    let hide_pmu = || hide(c"/sys/bus/event_source", c"none", c"tmpfs", 0);
    // SAFETY: between fork and exec, `hide_pmu` does nothing but make system calls.
    unsafe { command.pre_exec(hide_pmu) };
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_without_a_pmu_is_probed_through_tracefs() {
    if std::env::var_os("KSYSCALL_NO_PMU").is_none() {
        return without_pmu("kernel_without_a_pmu_is_probed_through_tracefs");
    }
    let before = kprobe_events();
    let probe = Probe::load();
    for retprobe in [false, true] {
        let call = Ksyscall::new("umount2").unwrap().cookie(9).retprobe(retprobe);
        let hits = probe.hits(9);
        let link = call.attach(&probe.program).unwrap();
        assert!(kprobe_events().contains(":ksyscall/"), "attached by tracefs");
        umount2(3);
        assert_eq!(probe.hits(9), hits + 3);
        link.detach().unwrap();
        assert_eq!(kprobe_events(), before);
        drop(call.attach(&probe.program).unwrap());
        assert_eq!(kprobe_events(), before);
    }
    for retprobe in [false, true] {
        let unknown = Ksyscall::new("frobnicate").unwrap().retprobe(retprobe);
        let error = unknown.attach(&probe.program).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
    let no_program = fs::File::open("/dev/null").unwrap();
    assert!(Ksyscall::new("umount2").unwrap().attach(&no_program).is_err());
    let many = Ksyscall::new("umount2").unwrap().retprobe(true).max_active(100);
    let error = many.attach(&probe.program).unwrap_err();
    assert!(matches!(error, Error::MaxActiveUnsupported), "{error}");
    assert_eq!(error.errno(), libc::EOPNOTSUPP);
    assert_eq!(kprobe_events(), before);
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_entries_of_dead_processes_are_removed() {
    if std::env::var_os("KSYSCALL_NO_PMU").is_none() {
        return without_pmu("kernel_entries_of_dead_processes_are_removed");
    }
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap();
    let inode: String = namespace.to_str().unwrap().chars().filter(char::is_ascii_digit).collect();
    let mut child = Command::new("true").spawn().unwrap();
    let dead = child.id();
    child.wait().unwrap();
    let events = "/sys/kernel/tracing/kprobe_events";
    let add = |name: &str| {
        let mut file = fs::OpenOptions::new().append(true).open(events).unwrap();
        io::Write::write_all(&mut file, format!("p:{name} do_exit\n").as_bytes()).unwrap();
    };
    // Unused entries left by a dead process, a process in another PID namespace, and a process
    // without /proc.
    let stale = [format!("p{inode}_{dead}_1_0"), format!("p1_{dead}_1_0"), "p0_0_0_0".to_owned()];
    stale.iter().for_each(|name| add(&format!("ksyscall/{name}")));
    add("other/mine");
    let probe = Probe::load();
    drop(probe.attach("umount2", 1).unwrap());
    let left = kprobe_events();
    assert!(!left.contains(":ksyscall/"), "{left}");
    assert!(left.contains("other/mine"), "{left}");
    fs::write(events, "").unwrap();
}
