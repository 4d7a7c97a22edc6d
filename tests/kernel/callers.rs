//! Tests native and 32-bit callers on a real kernel.

use std::arch::asm;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use ksyscall::{Batch, Callers, Error, Links};

use super::batch::{MULTI, has_fprobe, load_counting};
use super::{Probe, hide, open_fds, umount2};

/// Numbers from arch/x86/entry/syscalls/syscall_32.tbl.
const UMOUNT2: u32 = 52;
const GETPID: u32 = 20;

/// Makes a 32-bit system call in this 64-bit process.
fn int80(number: u32, arguments: [u32; 3]) -> i32 {
    let [first, second, third] = arguments.map(u64::from);
    let result: u64;
    // SAFETY: the calls made here take no pointers, or the kernel rejects their arguments.
    unsafe {
        asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) first => _,
            inlateout("rax") u64::from(number) => result,
            in("rcx") second,
            in("rdx") third,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    result as i32
}

/// A 32-bit process that runs compat.c.
struct Compat(Child);

impl Compat {
    fn start() -> Self {
        let mut command = Command::new("./compat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command.spawn().expect("compat, of compat.c"))
    }

    /// Makes a call in the process and returns the call's result. Missing arguments are 0.
    fn call(&mut self, number: u32, arguments: &[u32]) -> i32 {
        let mut request = [0_u8; 24];
        let words = [&[number], arguments].concat();
        for (bytes, word) in request.chunks_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        self.0.stdin.as_mut().unwrap().write_all(&request).unwrap();
        let mut result = [0; 4];
        self.0.stdout.as_mut().unwrap().read_exact(&mut result).unwrap();
        i32::from_ne_bytes(result)
    }
}

impl Drop for Compat {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Probe {
    fn attach_to(&self, name: &str, callers: Callers, cookie: u64) -> Result<Links, Error> {
        Batch::new([name])?.callers(callers).cookies(|_, _| cookie).attach(&self.program)
    }
}

fn names(links: &Links) -> Vec<&str> {
    links.attached().map(|(_, symbol)| symbol.as_str()).collect()
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_calls_of_every_caller_are_seen_once() {
    let mut probe = Probe::load();
    let fds = open_fds();
    let native = probe.attach_to("umount2", Callers::Native, 1).unwrap();
    let compat = probe.attach_to("umount2", Callers::Compat, 2).unwrap();
    let all = probe.attach_to("umount2", Callers::All, 3).unwrap();
    assert_eq!(names(&native), ["__x64_sys_umount"]);
    assert_eq!(names(&compat), ["__ia32_sys_umount"]);
    assert_eq!(names(&all), ["__x64_sys_umount", "__ia32_sys_umount"]);
    assert_eq!(all.fds().len(), 2);
    assert_eq!(open_fds(), fds + 4);
    let hits = |probe: &Probe| [1, 2, 3].map(|cookie| probe.hits(cookie));
    umount2(2);
    assert_eq!(hits(&probe), [2, 0, 2]);
    for _ in 0..3 {
        assert_eq!(int80(UMOUNT2, [0; 3]), -libc::EFAULT);
    }
    assert_eq!(hits(&probe), [2, 3, 5], "int $0x80 of a 64-bit process");
    let mut process = Compat::start();
    probe.watch(process.0.id());
    for _ in 0..4 {
        assert_eq!(process.call(UMOUNT2, &[]), -libc::EFAULT);
    }
    assert_eq!(hits(&probe), [2, 7, 9], "a 32-bit process");
    drop(all);
    compat.detach().unwrap();
    process.call(UMOUNT2, &[]);
    assert_eq!(hits(&probe), [2, 7, 9]);
    drop((native, process));
    assert_eq!(open_fds(), fds);
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_functions_with_two_names_are_attached_to_once() {
    let mut probe = Probe::load();
    let all = probe.attach_to("getpid", Callers::All, 4).unwrap();
    assert_eq!(names(&all), ["__x64_sys_getpid"], "it is __ia32_sys_getpid, too");
    let hits = probe.hits(4);
    // SAFETY: getpid has no arguments.
    unsafe { libc::getpid() };
    assert_eq!(probe.hits(4), hits + 1);
    int80(GETPID, [0; 3]);
    assert_eq!(probe.hits(4), hits + 2);
    let mut process = Compat::start();
    probe.watch(process.0.id());
    process.call(GETPID, &[]);
    assert_eq!(probe.hits(4), hits + 3);
    // 64-bit callers use the same function.
    let compat = probe.attach_to("getpid", Callers::Compat, 5).unwrap();
    assert_eq!(names(&compat), ["__ia32_sys_getpid"]);
    process.call(GETPID, &[]);
    assert_eq!((probe.hits(4), probe.hits(5)), (hits + 4, 1));
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_calls_of_32_bit_processes_have_their_own_names() {
    let mut probe = Probe::load();
    let mut process = Compat::start();
    probe.watch(process.0.id());
    for (name, number, functions) in [
        ("oldstat", 18, &["__ia32_sys_stat"][..]),
        ("getuid", 24, &["__x64_sys_getuid", "__ia32_sys_getuid16"]),
        ("select", 82, &["__x64_sys_select", "__ia32_compat_sys_old_select"]),
        ("mmap", 90, &["__x64_sys_mmap", "__ia32_compat_sys_ia32_mmap"]),
        ("socketcall", 102, &["__ia32_compat_sys_socketcall"]),
        ("stat", 106, &["__x64_sys_newstat", "__ia32_compat_sys_newstat"]),
        ("_llseek", 140, &["__x64_sys_lseek", "__ia32_sys_llseek"]),
        ("mmap2", 192, &["__x64_sys_mmap", "__ia32_sys_mmap_pgoff"]),
    ] {
        let hits = probe.hits(6);
        for callers in [Callers::Compat, Callers::All] {
            let link = probe.attach_to(name, callers, 6).unwrap();
            let expected =
                if callers == Callers::All { functions } else { &functions[functions.len() - 1..] };
            assert_eq!(names(&link), expected, "{name}");
            process.call(number, &[u32::MAX; 5]);
        }
        assert_eq!(probe.hits(6), hits + 2, "{name}");
    }
    // This call does not exist for 64-bit processes.
    let error = probe.attach_to("socketcall", Callers::Native, 0).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_calls_that_callers_lack_are_reported() {
    let probe = Probe::load();
    drop(probe.attach_to("umount2", Callers::All, 0).unwrap());
    let fds = open_fds();
    // There is no accept call for 32-bit processes; they call socketcall or accept4.
    let error = probe.attach_to("accept", Callers::Compat, 0).unwrap_err();
    assert!(matches!(&error, Error::NoCompatCall { name, .. } if name.as_str() == "accept"));
    assert_eq!(error.errno(), libc::ENOENT);
    assert!(error.to_string().contains("accept of 32-bit callers"), "{error}");
    assert!(error.to_string().ends_with("attach to socketcall"), "{error}");
    for callers in [Callers::Compat, Callers::All] {
        let error = probe.attach_to("frobnicate", callers, 0).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        assert!(error.to_string().contains("__ia32_sys_frobnicate"), "{error}");
    }
    assert_eq!(open_fds(), fds);
}

/// 32-bit processes can call semop only through ipc, so the program runs for every call to ipc.
#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_calls_through_multiplexers_are_seen() {
    const IPC: u32 = 117;
    const SEMOP: u32 = 1;
    const SEMGET: u32 = 2;
    let mut probe = Probe::load();
    let links = probe.attach_to("semop", Callers::All, 1).unwrap();
    assert_eq!(names(&links), ["__x64_sys_semop", "__ia32_compat_sys_ipc"]);
    let before = probe.hits(1);
    // Bypass the C library's semop(), which may call semtimedop instead. SAFETY: the number of
    // operations is 0.
    unsafe { libc::syscall(libc::SYS_semop, -1, 0, 0) };
    assert_eq!(probe.hits(1), before + 1);
    int80(IPC, [SEMOP, u32::MAX, 0]);
    assert_eq!(probe.hits(1), before + 2);
    int80(IPC, [SEMGET, u32::MAX, 0]);
    assert_eq!(probe.hits(1), before + 3);
    let mut process = Compat::start();
    probe.watch(process.0.id());
    process.call(IPC, &[SEMOP, u32::MAX]);
    assert_eq!(probe.hits(1), before + 4);
    drop(links);
    // Several calls of the batch share one function.
    let batch = Batch::new(["accept", "recv", "socketcall", "connect"]).unwrap();
    let batch = batch.callers(Callers::All).cookies(|index, _| index as u64 + 2);
    let links = batch.attach(&probe.program).unwrap();
    let attached: Vec<_> =
        links.attached().map(|(name, symbol)| format!("{name} {symbol}")).collect();
    let socketcall = "__ia32_compat_sys_socketcall";
    let expected = [
        "accept __x64_sys_accept",
        &format!("accept {socketcall}"),
        &format!("recv {socketcall}"),
        &format!("socketcall {socketcall}"),
        "connect __x64_sys_connect",
        "connect __ia32_sys_connect",
    ];
    assert_eq!((attached, links.fds().len()), (expected.map(str::to_owned).to_vec(), 4));
    process.call(102, &[u32::MAX]);
    let hits = [2, 3, 4, 5].map(|cookie| probe.hits(cookie));
    assert_eq!(hits, [0, 0, 1, 0], "the cookie of socketcall itself");
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_attachments_to_several_functions_end_together() {
    let probe = Probe::load();
    let fds = open_fds();
    let call =
        |cookie| Batch::new(["umount2"]).unwrap().callers(Callers::All).cookies(|_, _| cookie);
    let links = call(7).keep_event(true).attach(&probe.program).unwrap();
    assert_eq!(open_fds(), fds + 4, "two links and two events");
    drop(links);
    assert_eq!(open_fds(), fds);
    let exit = call(8).retprobe(true).attach(&probe.program).unwrap();
    umount2(1);
    assert_eq!((probe.hits(8), probe.returned(8)), (1, -i64::from(libc::ENOENT)));
    int80(UMOUNT2, [0; 3]);
    assert_eq!((probe.hits(8), probe.returned(8)), (2, -i64::from(libc::EFAULT)));
    exit.detach().unwrap();
    call(9).attach(&probe.program).unwrap().forget();
    umount2(1);
    int80(UMOUNT2, [0; 3]);
    assert_eq!([7, 8, 9].map(|cookie| probe.hits(cookie)), [0, 2, 2]);
}

/// To check whether two names refer to the same function, the library reads the kernel's list of
/// symbols after the first attachment. If the list cannot be read, attaching must fail.
#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_failed_attachments_to_several_functions_leave_no_entry() {
    let probe = Probe::load();
    let fds = open_fds();
    let failed = std::thread::scope(|scope| {
        let attach = || {
            hide(c"/proc/kallsyms", c"/dev/null", c"", libc::MS_BIND).unwrap();
            let call = Batch::new(["getpid"]).unwrap().callers(Callers::All).retprobe(true);
            call.keep_event(true).max_active(20).attach(&probe.program).unwrap_err()
        };
        scope.spawn(attach).join().unwrap()
    });
    assert!(matches!(failed, Error::Addresses { .. }), "{failed}");
    assert_eq!(open_fds(), fds);
    let entries = super::kprobe_events();
    assert!(!entries.contains("ksyscall/"), "{entries}");
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_kprobe_multi_programs_see_every_caller_with_one_link() {
    let probe = Probe::load();
    let call =
        |name, cookie| Batch::new([name]).unwrap().callers(Callers::All).cookies(|_, _| cookie);
    let Some(program) = load_counting(&probe, MULTI) else {
        return assert!(!has_fprobe());
    };
    if !has_fprobe() {
        // Debian's Linux 6.1 lacks fprobe, so attaching fails with an error that mentions
        // kprobe.multi.
        let error = call("umount2", 10).attach(&program).unwrap_err();
        return assert!(error.to_string().contains("kprobe.multi"), "{error}");
    }
    let fds = open_fds();
    let link = call("umount2", 10).attach(&program).unwrap();
    assert_eq!(names(&link), ["__x64_sys_umount", "__ia32_sys_umount"]);
    assert_eq!(open_fds(), fds + 1);
    umount2(2);
    int80(UMOUNT2, [0; 3]);
    assert_eq!(probe.hits(10), 3);
    link.detach().unwrap();
    // The native name and the 32-bit name refer to the same function.
    let link = call("getpid", 11).attach(&program).unwrap();
    let hits = probe.hits(11);
    int80(GETPID, [0; 3]);
    assert_eq!((probe.hits(11), names(&link).len()), (hits + 1, 1));
    let error = call("frobnicate", 0).attach(&program).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

/// Attaches a batch for all callers and checks which calls `program` counts. `program` may be an
/// ordinary kprobe program or one for kprobe.multi.
fn batch_sees_every_caller(probe: &Probe, program: &OwnedFd, fds: usize) {
    let batch = Batch::new(["umount2", "socketcall", "acct"]).unwrap().callers(Callers::All);
    let batch = batch.cookies(|index, _| index as u64 + 12);
    let links = batch.attach(program).unwrap();
    let attached: Vec<_> = links.attached().map(|(_, symbol)| symbol.as_str()).collect();
    let expected = [
        "__x64_sys_umount",
        "__ia32_sys_umount",
        "__ia32_compat_sys_socketcall",
        "__x64_sys_acct",
        "__ia32_sys_acct",
    ];
    assert_eq!((attached, links.fds().len()), (expected.to_vec(), fds));
    let hits = |cookie| probe.hits(cookie);
    let before = [12, 13, 14].map(hits);
    umount2(1);
    int80(UMOUNT2, [0; 3]);
    int80(102, [u32::MAX; 3]);
    assert_eq!([12, 13, 14].map(hits), [before[0] + 2, before[1] + 1, before[2]]);
    drop(links);
    umount2(1);
    assert_eq!(hits(12), before[0] + 2);
}

#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_batches_support_every_caller() {
    use std::os::fd::AsFd;

    let probe = Probe::load();
    let program = probe.program.as_fd().try_clone_to_owned().unwrap();
    batch_sees_every_caller(&probe, &program, 5);
    let Some(program) = load_counting(&probe, MULTI).filter(|_| has_fprobe()) else {
        return assert!(!has_fprobe());
    };
    batch_sees_every_caller(&probe, &program, 1);
    // Attach to all calls at once.
    let cookie = |_, name: &ksyscall::SyscallName| u64::from(name.as_str() == "umount2") * 15;
    let all = Batch::all_of(Callers::All).cookies(cookie);
    let links = all.attach_each(&program).unwrap();
    assert_eq!(links.fds().len(), 1);
    let count = |start| links.attached().filter(|(_, it)| it.as_str().starts_with(start)).count();
    assert!(count("__x64_sys_") > 330 && count("__ia32_") > 400, "{}", links.attached().len());
    for failure in links.failures() {
        assert!(matches!(failure.error, Error::NotFound { .. }), "{failure}");
    }
    umount2(1);
    int80(UMOUNT2, [0; 3]);
    assert_eq!(probe.hits(15), 2);
}

/// `make test` also runs this test on a kernel booted with `ia32_emulation=0`.
#[test]
#[ignore = "needs a kernel with kprobes: `make test` runs it in a virtual machine"]
fn kernel_without_32_bit_calls_is_reported() {
    let probe = Probe::load();
    let command_line = std::fs::read_to_string("/proc/cmdline").unwrap();
    let compat = probe.attach_to("umount2", Callers::Compat, 1);
    let all = probe.attach_to("umount2", Callers::All, 2).unwrap();
    if command_line.split_whitespace().any(|word| word == "ia32_emulation=0") {
        let error = compat.unwrap_err();
        assert!(matches!(error, Error::NoCompatCallers { is_off: true, .. }), "{error}");
        assert_eq!(error.errno(), libc::EOPNOTSUPP);
        assert!(error.to_string().contains("ia32_emulation=0"), "{error}");
        assert_eq!(names(&all), ["__x64_sys_umount"]);
    } else {
        assert_eq!((names(&compat.unwrap()).len(), names(&all).len()), (1, 2));
    }
}
