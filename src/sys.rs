//! The raw system calls, each as a safe function that answers an errno.
//!
//! No other file of the core calls into libc.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_int, c_long};

use errno::{Errno, errno};

use crate::text::{cut, number};

/// Makes a system call, and again if a signal has interrupted it: then it has done
/// nothing.
///
/// # Safety
/// The arguments are what the call takes.
#[inline(never)]
unsafe fn call(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
) -> Result<usize, Errno> {
    loop {
        // SAFETY: the caller's promise; a call ignores arguments that it does not have.
        match unsafe { libc::syscall(number, a, b, c, d, e) } {
            result @ 0.. => return Ok(result as usize),
            _ if errno().0 == libc::EINTR => {}
            _ => return Err(errno()),
        }
    }
}

/// An open file descriptor, closed on drop.
#[derive(Debug)]
pub(crate) struct Fd(c_int);

impl Fd {
    pub(crate) fn as_raw(&self) -> c_int {
        self.0
    }

    /// Hands over the descriptor: the caller closes it.
    pub(crate) fn into_raw(self) -> c_int {
        core::mem::ManuallyDrop::new(self).0
    }

    /// Takes a descriptor over.
    ///
    /// # Safety
    /// `fd` is open and nobody else closes it.
    #[cfg(feature = "capi")]
    pub(crate) unsafe fn from_raw(fd: c_int) -> Self {
        Self(fd)
    }

    /// Closes it, saying what the kernel answered. It is closed in any case, so
    /// this is not done again if a signal has interrupted it.
    pub(crate) fn close(self) -> Result<(), Errno> {
        // SAFETY: the descriptor is ours, and `into_raw` keeps drop from closing it again.
        unsafe { close(self.into_raw()) }
    }
}

/// close(2), which the C library's is not quite: there a thread that was told to end
/// ends, without having closed anything.
///
/// # Safety
/// The descriptor is the caller's, and not used again.
unsafe fn close(fd: c_int) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    if unsafe { libc::syscall(libc::SYS_close, fd) } < 0 { Err(errno()) } else { Ok(()) }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours and is not used again.
        let _ = unsafe { close(self.0) };
    }
}

#[cfg(feature = "std")]
impl std::os::fd::AsFd for Fd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        // SAFETY: the descriptor is open for as long as `self` lives.
        unsafe { std::os::fd::BorrowedFd::borrow_raw(self.0) }
    }
}

#[cfg(feature = "std")]
impl From<Fd> for std::os::fd::OwnedFd {
    fn from(fd: Fd) -> Self {
        // SAFETY: the descriptor is open, and `into_raw` gives it away.
        unsafe { std::os::fd::FromRawFd::from_raw_fd(fd.into_raw()) }
    }
}

/// `struct perf_event_attr` up to `config2`, the version of Linux 3.3
/// (`PERF_ATTR_SIZE_VER1` of include/uapi/linux/perf_event.h).
#[repr(C)]
#[derive(Default)]
struct PerfEventAttr {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    config1: u64,
    config2: u64,
}

const _: () = assert!(size_of::<PerfEventAttr>() == 72);

/// Opens an event for all processes. A probe's program runs on every CPU, whichever the
/// event is opened on; that one must be online.
#[inline(never)]
fn perf_event_open(attr: PerfEventAttr) -> Result<Fd, Errno> {
    const PERF_FLAG_FD_CLOEXEC: usize = 1 << 3;
    const ALL_PROCESSES: usize = usize::MAX; // -1
    const NO_GROUP: usize = usize::MAX; // -1
    let attr = PerfEventAttr { size: size_of::<PerfEventAttr>() as u32, ..attr };
    let attr: *const PerfEventAttr = &attr;
    let mut cpu: u32 = 0;
    loop {
        // SAFETY: the kernel reads `size` bytes of `attr`, which is what it has, and the C
        // string at `config1` if `kind` is the kprobe PMU's; both live until the call returns.
        let opened = unsafe {
            call(
                libc::SYS_perf_event_open,
                attr as usize,
                ALL_PROCESSES,
                cpu as usize,
                NO_GROUP,
                PERF_FLAG_FD_CLOEXEC,
            )
        };
        match opened {
            Err(Errno(libc::ENODEV)) if cpu == 0 => {
                // SAFETY: the kernel writes a number to `cpu`, and nothing for the NULLs.
                unsafe { call(libc::SYS_getcpu, &raw mut cpu as usize, 0, 0, 0, 0) }?;
                if cpu == 0 {
                    return Err(Errno(libc::ENODEV));
                }
            }
            opened => return opened.map(|fd| Fd(fd as c_int)),
        }
    }
}

/// Opens an event of the kprobe PMU on `symbol` + `offset` bytes.
pub(crate) fn perf_event_open_kprobe(
    pmu: u32,
    config: u64,
    symbol: &CStr,
    offset: u64,
) -> Result<Fd, Errno> {
    perf_event_open(PerfEventAttr {
        kind: pmu,
        config,
        config1: symbol.as_ptr() as usize as u64,
        config2: offset,
        ..PerfEventAttr::default()
    })
}

/// Opens an event on the tracepoint whose `id` file in tracefs says `id`.
pub(crate) fn perf_event_open_tracepoint(id: u64) -> Result<Fd, Errno> {
    const PERF_TYPE_TRACEPOINT: u32 = 2;
    perf_event_open(PerfEventAttr {
        kind: PERF_TYPE_TRACEPOINT,
        config: id,
        ..PerfEventAttr::default()
    })
}

fn bpf<T>(command: c_int, attr: &T) -> Result<c_int, Errno> {
    let attr: *const T = attr;
    // SAFETY: the kernel reads `size_of::<T>()` bytes of `attr`. The commands called here write
    // nothing to it, and pointers in it live as long as the reference.
    let result =
        unsafe { call(libc::SYS_bpf, command as usize, attr as usize, size_of::<T>(), 0, 0) }?;
    Ok(result as c_int)
}

/// `struct { } link_create` of `union bpf_attr` (include/uapi/linux/bpf.h).
#[repr(C)]
struct LinkCreate {
    prog_fd: c_int,
    target_fd: c_int,
    attach_type: u32,
    flags: u32,
    /// `perf_event.bpf_cookie`.
    cookie: u64,
}

const BPF_LINK_CREATE: c_int = 28;
const BPF_PERF_EVENT: u32 = 41;

/// `BPF_LINK_CREATE` of a perf event (Linux 5.15): the link keeps the event open.
pub(crate) fn bpf_link_create(program: c_int, event: c_int, cookie: u64) -> Result<Fd, Errno> {
    let attr = LinkCreate {
        prog_fd: program,
        target_fd: event,
        attach_type: BPF_PERF_EVENT,
        flags: 0,
        cookie,
    };
    bpf(BPF_LINK_CREATE, &attr).map(Fd)
}

/// What the kernel says to `BPF_LINK_CREATE` with an attribute of kprobe.multi and no
/// program: EINVAL if it does not know the attribute (before Linux 5.18), else EBADF.
pub(crate) fn bpf_link_create_multi_without_program() -> Errno {
    #[repr(C)]
    struct Attr {
        start: LinkCreate,
        /// `kprobe_multi.syms`, which shares no byte with what older kernels know...
        syms: u64,
        addrs: u64,
        /// ... and its last field.
        cookies: u64,
    }
    let start =
        LinkCreate { prog_fd: -1, target_fd: -1, attach_type: BPF_PERF_EVENT, flags: 0, cookie: 0 };
    let attr = Attr { start, syms: 0, addrs: 0, cookies: 1 };
    bpf(BPF_LINK_CREATE, &attr).map_or_else(|errno| errno, |_| Errno(0))
}

/// `BPF_OBJ_PIN` of a link.
#[cfg(feature = "std")]
pub(crate) fn bpf_obj_pin(fd: c_int, path: &CStr) -> Result<(), Errno> {
    const BPF_OBJ_PIN: c_int = 6;
    #[repr(C)]
    struct Attr {
        pathname: u64,
        bpf_fd: c_int,
        file_flags: u32,
    }
    let attr = Attr { pathname: path.as_ptr() as usize as u64, bpf_fd: fd, file_flags: 0 };
    bpf(BPF_OBJ_PIN, &attr).map(drop)
}

/// `PERF_EVENT_IOC_SET_BPF` (Linux 4.1).
pub(crate) fn perf_event_set_bpf(event: c_int, program: c_int) -> Result<(), Errno> {
    // _IOW('$', 8, __u32). On mips, POWER and sparc "write" is another bit.
    const WRITE: usize = if cfg!(any(
        target_arch = "mips",
        target_arch = "mips64",
        target_arch = "powerpc",
        target_arch = "powerpc64",
        target_arch = "sparc",
        target_arch = "sparc64"
    )) {
        4 << 29
    } else {
        1 << 30
    };
    const PERF_EVENT_IOC_SET_BPF: usize = WRITE | 4 << 16 | (b'$' as usize) << 8 | 8;
    let (event, program) = (event as usize, program as usize);
    // SAFETY: the arguments are integers; the kernel reads no memory of ours.
    unsafe { call(libc::SYS_ioctl, event, PERF_EVENT_IOC_SET_BPF, program, 0, 0) }.map(drop)
}

/// How a file is opened.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    Read,
    Append,
}

/// Opens a file, close-on-exec.
pub(crate) fn open(path: &CStr, mode: Mode) -> Result<Fd, Errno> {
    let flags = libc::O_CLOEXEC
        | match mode {
            Mode::Read => libc::O_RDONLY,
            Mode::Append => libc::O_WRONLY | libc::O_APPEND,
        };
    let (folder, path) = (libc::AT_FDCWD as usize, path.as_ptr() as usize);
    // SAFETY: `path` is a C string; no mode is needed without O_CREAT.
    let fd = unsafe { call(libc::SYS_openat, folder, path, flags as usize, 0, 0) }?;
    Ok(Fd(fd as c_int))
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

/// Whether there is a file.
pub(crate) fn exists(path: &CStr) -> bool {
    let (folder, path) = (libc::AT_FDCWD as usize, path.as_ptr() as usize);
    // SAFETY: `path` is a C string.
    unsafe { call(libc::SYS_faccessat, folder, path, libc::F_OK as usize, 0, 0) }.is_ok()
}

/// Reads up to `buffer.len()` bytes; 0 is the end of the file.
pub(crate) fn read(fd: &Fd, buffer: &mut [u8]) -> Result<usize, Errno> {
    let start = buffer.as_mut_ptr() as usize;
    // SAFETY: the kernel writes at most `len` bytes of `buffer`.
    unsafe { call(libc::SYS_read, fd.0 as usize, start, buffer.len(), 0, 0) }
}

/// Writes all of `bytes` at once: tracefs takes one command a write.
pub(crate) fn write(fd: &Fd, bytes: &[u8]) -> Result<(), Errno> {
    let start = bytes.as_ptr() as usize;
    // SAFETY: the kernel reads `len` bytes of `bytes`.
    unsafe { call(libc::SYS_write, fd.0 as usize, start, bytes.len(), 0, 0) }.map(drop)
}

/// The number that the file at `path` begins with, after `label`.
pub(crate) fn read_number(path: &CStr, label: &[u8]) -> Result<u64, Errno> {
    let mut buffer = [0; 32];
    let read = read(&open(path, Mode::Read)?, &mut buffer)?;
    let digits = cut(buffer.get(..read).unwrap_or_default(), b'\n').0.strip_prefix(label);
    digits.and_then(|digits| number(digits, 10)).ok_or(Errno(libc::EINVAL))
}

/// This process's id, in its own PID namespace.
pub(crate) fn process_id() -> u64 {
    // SAFETY: it has no arguments.
    let pid = unsafe { call(libc::SYS_getpid, 0, 0, 0, 0, 0) };
    pid.unwrap_or_default() as u64
}

/// Whether no process of this PID namespace has the id.
pub(crate) fn is_dead(pid: u64) -> bool {
    let Ok(pid @ 1..) = libc::pid_t::try_from(pid) else {
        return false;
    };
    // SAFETY: signal 0 is sent to nobody.
    let sent = unsafe { call(libc::SYS_kill, pid as usize, 0, 0, 0, 0) };
    sent == Err(Errno(libc::ESRCH))
}

/// The number of this process's PID namespace, 0 if that is not known: it is what
/// /proc/self/ns/pid leads to, `pid:[4026531836]` (namespaces(7)).
pub(crate) fn pid_namespace() -> u64 {
    let mut buffer = [0_u8; 32];
    let (folder, path) = (libc::AT_FDCWD as usize, c"/proc/self/ns/pid".as_ptr() as usize);
    let start = buffer.as_mut_ptr() as usize;
    // SAFETY: `path` is a C string, and the kernel writes at most `len` bytes of `buffer`.
    let _ = unsafe { call(libc::SYS_readlinkat, folder, path, start, buffer.len(), 0) };
    number(cut(cut(&buffer, b'[').1, b']').0, 10).unwrap_or_default()
}

/// Lets other threads run.
#[cfg(feature = "capi")]
pub(crate) fn yield_now() {
    // SAFETY: it has no arguments.
    let _ = unsafe { call(libc::SYS_sched_yield, 0, 0, 0, 0, 0) };
}

/// What strerror(3) says of an errno.
pub(crate) fn strerror(errno: Errno, buffer: &mut [u8]) -> &[u8] {
    // SAFETY: the C library writes at most `len` bytes of `buffer`.
    unsafe { libc::strerror_r(errno.0, buffer.as_mut_ptr().cast(), buffer.len()) };
    cut(buffer, 0).0
}
