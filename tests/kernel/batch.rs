//! Tests attaching to many calls at once on a real kernel.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use aya::maps::{Map, MapData};
use ksyscall::{Batch, Error};

use super::{Probe, load_instructions, open_fds, umount2};

/// `BPF_TRACE_KPROBE_MULTI` and `BPF_TRACE_KPROBE_SESSION`.
pub(super) const MULTI: u32 = 42;
const SESSION: u32 = 56;

/// In the virtual machine, only these tests call umount2 and acct; other processes also make the
/// other three calls.
const NAMES: [&str; 5] = ["umount2", "acct", "getpgid", "openat", "read"];

fn map_fd(probe: &Probe, name: &str) -> u64 {
    let Some(Map::Array(map)) = probe.object.map(name) else { panic!("no map {name}") };
    let map: &MapData = map;
    map.fd().as_fd().as_raw_fd() as u64
}

/// Loads a program for `attach_type` that does the same as `count` in kernel.bpf.c.
pub(super) fn load_counting(probe: &Probe, attach_type: u32) -> Option<OwnedFd> {
    let (hits, returned) = (map_fd(probe, "hits"), map_fd(probe, "returned"));
    let pid = u64::from(std::process::id());
    load_instructions(
        attach_type,
        &[
            0x0000_0000_0000_16bf,              // r6 = r1
            0x0000_000e_0000_0085,              // r0 = bpf_get_current_pid_tgid()
            0x0000_0020_0000_0077,              // r0 >>= 32
            0x0000_0000_0013_0055 | pid << 32,  // if r0 != pid goto end
            0x0000_0000_0000_61bf,              // r1 = r6
            0x0000_00ae_0000_0085,              // r0 = bpf_get_attach_cookie(r1)
            0x0000_0000_fffc_0a63,              // *(u32 *)(r10 - 4) = r0
            0x0000_0000_0000_a2bf,              // r2 = r10
            0xffff_fffc_0000_0207,              // r2 += -4
            0x0000_0000_0000_1118 | hits << 32, // r1 = hits
            0x0000_0000_0000_0000,
            0x0000_0001_0000_0085, // r0 = bpf_map_lookup_elem(r1, r2)
            0x0000_0000_000a_0015, // if r0 == 0 goto end
            0x0000_0001_0000_01b7, // r1 = 1
            0x0000_0000_0000_10db, // lock *(u64 *)r0 += r1
            0x0000_0000_0000_a2bf, // r2 = r10
            0xffff_fffc_0000_0207, // r2 += -4
            0x0000_0000_0000_1118 | returned << 32, // r1 = returned
            0x0000_0000_0000_0000,
            0x0000_0001_0000_0085, // r0 = bpf_map_lookup_elem(r1, r2)
            0x0000_0000_0002_0015, // if r0 == 0 goto end
            0x0000_0000_0050_6179, // r1 = *(u64 *)(r6 + 80), which is rax
            0x0000_0000_0000_107b, // *(u64 *)r0 = r1
            0x0000_0000_0000_00b7, // end: r0 = 0
            0x0000_0000_0000_0095, // return
        ],
    )
}

/// Whether the kernel supports kprobe.multi links (`CONFIG_FPROBE`).
pub(super) fn has_fprobe() -> bool {
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap();
    symbols.lines().any(|line| line.ends_with(" T register_fprobe_ips"))
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_attaches_a_batch_with_a_perf_event_for_each_function() {
    let probe = Probe::load();
    let fds = open_fds();
    let batch = Batch::new(NAMES).unwrap().cookies(|index, _| index as u64 + 1);
    let links = batch.attach(&probe.program).unwrap();
    assert_eq!(links.fds().len(), NAMES.len());
    assert_eq!(open_fds(), fds + NAMES.len());
    let names: Vec<_> = links.attached().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, NAMES);
    umount2(3);
    // SAFETY: getpgid takes no pointers.
    unsafe { libc::getpgid(0) };
    assert_eq!((probe.hits(1), probe.hits(2), probe.hits(3)), (3, 0, 1));
    links.detach().unwrap();
    umount2(1);
    assert_eq!((probe.hits(1), open_fds()), (3, fds));
    let returns = batch.clone().retprobe(true).threads(2).attach(&probe.program).unwrap();
    umount2(1);
    assert_eq!((probe.hits(1), probe.returned(1)), (4, -i64::from(libc::ENOENT)));
    assert!(matches!(batch.max_active(20).attach(&probe.program), Err(Error::MaxActive)));
    drop(returns);
    umount2(1);
    assert_eq!((probe.hits(1), open_fds()), (4, fds));
}

/// Checks a batch that contains an unknown name. `is_multi` specifies whether `program` is for
/// kprobe.multi.
fn fails_whole_or_by_each(probe: &Probe, program: &OwnedFd, is_multi: bool) {
    let fds = open_fds();
    let batch = Batch::new(["umount2", "frobnicate", "acct"]).unwrap().cookies(|_, _| 15);
    let error = batch.attach(program).unwrap_err();
    assert!(matches!(&error, Error::NotFound { name, .. } if name.as_str() == "frobnicate"));
    assert_eq!(open_fds(), fds);
    let hits = probe.hits(15);
    umount2(1);
    assert_eq!(probe.hits(15), hits, "nothing is left attached");
    let links = batch.attach_each(program).unwrap();
    let failures: Vec<_> = links.failures().map(ToString::to_string).collect();
    assert_eq!(failures.len(), 1);
    assert!(failures[0].contains("no system call frobnicate"), "{failures:?}");
    assert_eq!((links.attached().len(), links.fds().len()), (2, if is_multi { 1 } else { 2 }));
    umount2(1);
    assert_eq!(probe.hits(15), hits + 1);
    drop(links);
    assert_eq!(open_fds(), fds);
}

/// umount is another spelling of umount2.
fn attaches_once_to_a_function(probe: &Probe, program: &OwnedFd) {
    let batch = Batch::new(["umount2", "umount"]).unwrap().cookies(|_, _| 14);
    let links = batch.attach(program).unwrap();
    assert_eq!((links.attached().len(), links.fds().len()), (2, 1));
    let hits = probe.hits(14);
    umount2(2);
    assert_eq!(probe.hits(14), hits + 2);
    let other = batch.cookies(|index, _| index as u64);
    let error = other.attach(program).unwrap_err();
    assert!(matches!(error, Error::SameFunction { .. }), "{error}");
    assert_eq!(error.errno(), libc::EEXIST);
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_batches_fail_as_a_whole_or_for_each_call() {
    let probe = Probe::load();
    let program = probe.program.as_fd().try_clone_to_owned().unwrap();
    fails_whole_or_by_each(&probe, &program, false);
    attaches_once_to_a_function(&probe, &program);
    let fds = open_fds();
    let no_program: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    assert!(Batch::new(NAMES).unwrap().attach(&no_program).is_err());
    let none = Batch::new(NAMES).unwrap().attach_each(&no_program).unwrap();
    assert_eq!((none.attached().len(), none.failures().len()), (0, NAMES.len()));
    drop((none, no_program));
    assert_eq!(open_fds(), fds);
    let empty = Batch::new([""; 0]).unwrap().attach(&program).unwrap();
    assert_eq!((empty.attached().len(), empty.fds().len()), (0, 0));
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_batches_report_progress_and_can_be_stopped() {
    let probe = Probe::load();
    let fds = open_fds();
    let batch = Batch::new(NAMES).unwrap().cookies(|index, _| index as u64 + 5);
    let mut attaching = batch.attaching(&probe.program).unwrap();
    assert_eq!((attaching.len(), open_fds()), (NAMES.len(), fds));
    let (name, symbol) = attaching.next().unwrap();
    assert_eq!((name.as_str(), attaching.len()), ("umount2", NAMES.len() - 1));
    assert!(symbol.unwrap().as_str().ends_with("_umount"));
    umount2(1);
    assert_eq!((probe.hits(5), open_fds()), (1, fds + 1));
    drop(attaching);
    umount2(1);
    assert_eq!((probe.hits(5), open_fds()), (1, fds));
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_batches_with_too_many_descriptors_are_refused_first() {
    let probe = Probe::load();
    let fds = open_fds();
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes only to `limit`.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    // open_fds() also counts the descriptor of the directory that it reads, hence the -1.
    let low = libc::rlimit { rlim_cur: fds as libc::rlim_t - 1 + 4, ..limit };
    // SAFETY: as above.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &low) };
    let refused = Batch::new(NAMES).unwrap().attach_each(&probe.program);
    let fits = Batch::new(&NAMES[..3]).unwrap().attach(&probe.program).map(|all| all.fds().len());
    // Several names for one function require only one descriptor.
    let names = ["umount2", "umount", "sys_umount2", "acct"].repeat(9);
    let same = Batch::new(names).unwrap().attach(&probe.program).map(|all| all.fds().len());
    // SAFETY: as above.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    let error = refused.unwrap_err();
    assert!(matches!(error, Error::Descriptors { needed: 6, free: 4, .. }), "{error}");
    assert_eq!(error.errno(), libc::EMFILE);
    assert!(error.to_string().contains("requires 6 file descriptors"), "{error}");
    assert_eq!((fits.unwrap(), same.unwrap()), (3, 2));
    assert_eq!(open_fds(), fds);
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_attaches_a_batch_with_one_kprobe_multi_link() {
    let probe = Probe::load();
    let Some(multi) = load_counting(&probe, MULTI) else {
        return assert!(!has_fprobe());
    };
    if !has_fprobe() {
        // Without fprobe, attaching fails with an error that mentions kprobe.multi.
        let error = Batch::new(NAMES).unwrap().attach(&multi).unwrap_err();
        return assert!(error.to_string().contains("kprobe.multi"), "{error}");
    }
    let few = Batch::new(NAMES).unwrap().retprobe(true).max_active(20);
    let links = few.attach(&probe.program).unwrap();
    assert_eq!(super::kprobe_events().matches("r20:ksyscall/p").count(), NAMES.len());
    drop(links);
    assert!(!super::kprobe_events().contains("ksyscall"));
    assert!(matches!(few.attach(&multi), Err(Error::MaxActive)));
    fails_whole_or_by_each(&probe, &multi, true);
    attaches_once_to_a_function(&probe, &multi);
    let fds = open_fds();
    let batch = Batch::new(NAMES).unwrap().cookies(|index, _| index as u64 + 1);
    for retprobe in [false, true] {
        let hits = (probe.hits(1), probe.hits(3));
        let links = batch.clone().retprobe(retprobe).attach(&multi).unwrap();
        assert_eq!((links.fds().len(), links.attached().len()), (1, NAMES.len()));
        umount2(3);
        // SAFETY: getpgid takes no pointers.
        unsafe { libc::getpgid(0) };
        assert_eq!((probe.hits(1), probe.hits(3)), (hits.0 + 3, hits.1 + 1));
        assert_eq!(probe.returned(1) == -i64::from(libc::ENOENT), retprobe);
        links.detach().unwrap();
        umount2(1);
        assert_eq!((probe.hits(1), open_fds()), (hits.0 + 3, fds));
    }
    // Session programs require Linux 6.10.
    let Some(session) = load_counting(&probe, SESSION) else { return };
    let hits = probe.hits(1);
    let links = batch.attach(&session).unwrap();
    umount2(3);
    assert_eq!(probe.hits(1), hits + 6, "at entry and at return");
    drop(links);
}

/// Attaches to all calls with one link. Attaching to a call may fail only if the kernel lacks its
/// function.
#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_attaches_to_all_calls_at_once() {
    let probe = Probe::load();
    let Some(multi) = load_counting(&probe, MULTI) else {
        return assert!(!has_fprobe());
    };
    if !has_fprobe() {
        let links = Batch::all().attach_each(&multi).unwrap();
        return assert_eq!((links.attached().len(), links.fds().len()), (0, 0));
    }
    let batch = Batch::all();
    let place = batch.names().position(|name| name.as_str() == "umount2").unwrap();
    let batch = batch.cookies(|index, _| if index == place { 1 } else { 2 });
    let links = batch.attach_each(&multi).unwrap();
    umount2(3);
    assert_eq!((probe.hits(1), links.fds().len()), (3, 1));
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap();
    let has = |symbol: &str| symbols.lines().any(|line| line.ends_with(&format!(" {symbol}")));
    for failure in links.failures() {
        let Error::NotFound { tried, .. } = &failure.error else { panic!("{failure}") };
        assert!(!tried.iter().any(|symbol| has(symbol.as_str())), "{failure}");
    }
    assert!(links.attached().all(|(_, symbol)| has(symbol.as_str())));
    assert!(links.attached().len() > 300, "{}", links.attached().len());
}
