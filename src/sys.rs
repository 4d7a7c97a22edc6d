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
        if unsafe { libc::close(self.into_raw()) } < 0 { Err(errno()) } else { Ok(()) }
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours and is not used again.
        unsafe { libc::close(self.0) };
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

impl PerfEventAttr {
    fn new(kind: u32, config: u64) -> Self {
        Self {
            kind,
            size: size_of::<Self>() as u32,
            config,
            sample_period: 0,
            sample_type: 0,
            read_format: 0,
            flags: 0,
            wakeup_events: 0,
            bp_type: 0,
            config1: 0,
            config2: 0,
        }
    }

    /// Opens the event for all processes. A probe's program runs on every CPU,
    /// whichever the event is opened on.
    fn open(&self) -> Result<Fd, Errno> {
        const PERF_FLAG_FD_CLOEXEC: usize = 1 << 3;
        const ALL_PROCESSES: usize = usize::MAX; // -1
        const CPU: usize = 0;
        const NO_GROUP: usize = usize::MAX; // -1
        let attr: *const Self = self;
        // SAFETY: the kernel reads `size` bytes of `attr`, which is what it has, and the C
        // string at `config1` if `kind` is the kprobe PMU's; both live until the call returns.
        let fd = unsafe {
            call(
                libc::SYS_perf_event_open,
                attr as usize,
                ALL_PROCESSES,
                CPU,
                NO_GROUP,
                PERF_FLAG_FD_CLOEXEC,
            )
        }?;
        Ok(Fd(fd as c_int))
    }
}

/// Opens an event of the kprobe PMU on `symbol` + `offset` bytes.
pub(crate) fn perf_event_open_kprobe(
    pmu: u32,
    config: u64,
    symbol: &CStr,
    offset: u64,
) -> Result<Fd, Errno> {
    let mut attr = PerfEventAttr::new(pmu, config);
    attr.config1 = symbol.as_ptr() as usize as u64;
    attr.config2 = offset;
    attr.open()
}

/// Opens an event on the tracepoint whose `id` file in tracefs says `id`.
pub(crate) fn perf_event_open_tracepoint(id: u64) -> Result<Fd, Errno> {
    const PERF_TYPE_TRACEPOINT: u32 = 2;
    PerfEventAttr::new(PERF_TYPE_TRACEPOINT, id).open()
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

/// Whether there is a file.
pub(crate) fn exists(path: &CStr) -> bool {
    // SAFETY: `path` is a C string.
    unsafe { libc::access(path.as_ptr(), libc::F_OK) == 0 }
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
pub(crate) fn read_number(path: &CStr, label: &str) -> Result<u64, Errno> {
    let mut buffer = [0; 32];
    let read = read(&open(path, Mode::Read)?, &mut buffer)?;
    let text = core::str::from_utf8(buffer.get(..read).unwrap_or_default()).unwrap_or_default();
    let digits = cut(text, b'\n').0.strip_prefix(label);
    digits.and_then(|digits| number(digits, 10)).ok_or(Errno(libc::EINVAL))
}

/// This process's id, in its own PID namespace.
pub(crate) fn process_id() -> u64 {
    // SAFETY: it has no arguments and cannot fail.
    unsafe { libc::getpid() as u64 }
}

/// Whether no process of this PID namespace has the id.
pub(crate) fn is_dead(pid: u64) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else {
        return false;
    };
    // SAFETY: signal 0 is sent to nobody.
    pid > 0 && unsafe { libc::kill(pid, 0) } < 0 && errno().0 == libc::ESRCH
}

/// The number of the file that `path` leads to, 0 if there is none.
pub(crate) fn inode(path: &CStr) -> u64 {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `path` is a C string and `stat` has room for what is written; zeroes are a valid
    // `struct stat`, so it may be read in any case.
    let inode = unsafe {
        libc::stat(path.as_ptr(), stat.as_mut_ptr());
        stat.assume_init().st_ino
    };
    #[allow(clippy::useless_conversion, reason = "ino_t has 32 bits on 32-bit targets")]
    inode.into()
}

/// What strerror(3) says of an errno.
pub(crate) fn strerror(errno: Errno, buffer: &mut [u8]) -> &str {
    // SAFETY: the C library writes at most `len` bytes of `buffer`.
    unsafe { libc::strerror_r(errno.0, buffer.as_mut_ptr().cast(), buffer.len()) };
    core::str::from_utf8(buffer).map_or("", |text| cut(text, 0).0)
}
