//! Calls bpf(2).

use core::ffi::c_int;

use errno::Errno;

use super::{Fd, call};

/// # Safety
/// The command writes nothing to `attr`, and pointers in it are what it takes.
unsafe fn bpf<T>(command: c_int, attr: &T) -> Result<c_int, Errno> {
    let attr: *const T = attr;
    // SAFETY: the kernel reads `size_of::<T>()` bytes of `attr`, and the caller's promise.
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
pub(crate) fn bpf_link_create(
    program_fd: c_int,
    event_fd: c_int,
    cookie: u64,
) -> Result<Fd, Errno> {
    let attr = LinkCreate {
        prog_fd: program_fd,
        target_fd: event_fd,
        attach_type: BPF_PERF_EVENT,
        flags: 0,
        cookie,
    };
    // SAFETY: there are no pointers in it.
    unsafe { bpf(BPF_LINK_CREATE, &attr) }.map(Fd)
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
    // SAFETY: what are pointers there is not read, for there is no program.
    unsafe { bpf(BPF_LINK_CREATE, &attr) }.map_or_else(|errno| errno, |_| Errno(0))
}

/// What a program can be loaded for that takes a kprobe.multi link: its
/// `expected_attach_type`, `enum bpf_attach_type` of include/uapi/linux/bpf.h.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KprobeMulti {
    /// Runs at entry or return (Linux 5.18).
    Multi = 42,
    /// Runs at both (Linux 6.10).
    Session = 56,
}

/// `BPF_LINK_CREATE` of a program on many functions at once, with a cookie for each.
pub(crate) fn bpf_link_create_kprobe_multi<'a>(
    program_fd: c_int,
    kind: KprobeMulti,
    retprobe: bool,
    symbols: impl ExactSizeIterator<Item = &'a core::ffi::CStr>,
    cookies: &[u64],
) -> Result<Fd, Errno> {
    let mut addresses = alloc::vec::Vec::new();
    addresses.try_reserve_exact(symbols.len()).map_err(|_| Errno(libc::ENOMEM))?;
    addresses.extend(symbols.map(|symbol| symbol.as_ptr() as usize));
    if cookies.len() != addresses.len() {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: the addresses are those of C strings, which live until the call returns.
    unsafe { kprobe_multi(program_fd, kind, retprobe, &addresses, cookies) }
}

/// Whether the program was loaded for such a link.
///
/// The kernel is asked for one on a function whose name cannot be read. It looks at the
/// program first (`bpf_kprobe_multi_link_attach()` of kernel/trace/bpf_trace.c), so that
/// EFAULT is for the right one, and nothing is ever attached.
pub(crate) fn is_for_kprobe_multi(program_fd: c_int, kind: KprobeMulti) -> bool {
    const NO_NAME: usize = size_of::<usize>();
    // SAFETY: no process has anything at that address, so that the kernel reads nothing.
    let made = unsafe { kprobe_multi(program_fd, kind, false, &[NO_NAME], &[]) };
    made.is_err_and(|errno| errno.0 == libc::EFAULT)
}

/// # Safety
/// `symbols` are addresses of C strings, or of nothing. There are as many cookies, or none.
unsafe fn kprobe_multi(
    program_fd: c_int,
    kind: KprobeMulti,
    retprobe: bool,
    symbols: &[usize],
    cookies: &[u64],
) -> Result<Fd, Errno> {
    const BPF_F_KPROBE_MULTI_RETURN: u32 = 1;
    #[repr(C)]
    struct Attr {
        prog_fd: c_int,
        target_fd: c_int,
        attach_type: u32,
        flags: u32,
        kprobe_multi_flags: u32,
        cnt: u32,
        syms: u64,
        addrs: u64,
        cookies: u64,
    }
    let cookies = if cookies.is_empty() { 0 } else { cookies.as_ptr() as usize as u64 };
    let attr = Attr {
        prog_fd: program_fd,
        target_fd: 0,
        attach_type: kind as u32,
        flags: 0,
        kprobe_multi_flags: if retprobe { BPF_F_KPROBE_MULTI_RETURN } else { 0 },
        cnt: symbols.len() as u32,
        syms: symbols.as_ptr() as usize as u64,
        addrs: 0,
        cookies,
    };
    // SAFETY: the caller's promise.
    unsafe { bpf(BPF_LINK_CREATE, &attr) }.map(Fd)
}

/// `BPF_OBJ_PIN` of a link.
#[cfg(feature = "std")]
pub(crate) fn bpf_obj_pin(fd: c_int, path: &core::ffi::CStr) -> Result<(), Errno> {
    const BPF_OBJ_PIN: c_int = 6;
    #[repr(C)]
    struct Attr {
        pathname: u64,
        bpf_fd: c_int,
        file_flags: u32,
    }
    let attr = Attr { pathname: path.as_ptr() as usize as u64, bpf_fd: fd, file_flags: 0 };
    // SAFETY: `path` is a C string.
    unsafe { bpf(BPF_OBJ_PIN, &attr) }.map(drop)
}

/// `BPF_OBJ_GET_INFO_BY_FD`: how many bytes the kernel has of `info`, which is zeroes, and
/// gets them. None if that is no object of bpf(2).
///
/// # Safety
/// `T` consists of integers, and names no memory to write to.
unsafe fn object_info<T>(fd: c_int, info: &mut T) -> Option<usize> {
    const BPF_OBJ_GET_INFO_BY_FD: usize = 15;
    /// `struct { } info` of `union bpf_attr`.
    #[repr(C)]
    struct Attr {
        bpf_fd: c_int,
        info_len: u32,
        info: u64,
    }
    const _: () = assert!(size_of::<Attr>() == 16);
    let info: *mut T = info;
    let mut attr = Attr { bpf_fd: fd, info_len: size_of::<T>() as u32, info: info as usize as u64 };
    let (start, size) = (&raw mut attr as usize, size_of::<Attr>());
    // SAFETY: the kernel writes `info_len` to `attr`, and at most so many bytes to `info`, which
    // may have any value by the caller's promise.
    unsafe { call(libc::SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, start, size, 0, 0) }.ok()?;
    Some(attr.info_len as usize)
}

/// `struct bpf_link_info` (include/uapi/linux/bpf.h) up to `perf_event.kprobe.missed`.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program_id: u32,
    padding: u32,
    of_kind: OfKind,
}

/// `perf_event`, and where `kprobe_multi` has its own.
#[repr(C)]
#[derive(Default)]
struct OfKind {
    event_kind: u32,
    event_padding: u32,
    function: u64,
    missed_by_multi: u64,
    address: u64,
    missed: u64,
}

const _: () = assert!(size_of::<LinkInfo>() == 56);
const BPF_LINK_TYPE_PERF_EVENT: u32 = 7;
const BPF_LINK_TYPE_KPROBE_MULTI: u32 = 8;

/// How often the kernel missed the entry or return that a link's program is attached to;
/// None if it does not say so of that descriptor (before Linux 6.7, or no link).
pub(crate) fn bpf_link_missed(fd: c_int) -> Option<u64> {
    const BPF_PERF_EVENT_KPROBE: u32 = 3;
    const BPF_PERF_EVENT_KRETPROBE: u32 = 4;
    let mut info = LinkInfo::default();
    // SAFETY: they are integers, and the lengths of names among them are 0.
    let len = unsafe { object_info(fd, &mut info) }?;
    let missed = match (info.kind, info.of_kind.event_kind) {
        (BPF_LINK_TYPE_PERF_EVENT, BPF_PERF_EVENT_KPROBE | BPF_PERF_EVENT_KRETPROBE) => {
            info.of_kind.missed
        }
        (BPF_LINK_TYPE_KPROBE_MULTI, _) => info.of_kind.missed_by_multi,
        _ => return None,
    };
    // An older kernel says of how much it has.
    (len == size_of::<LinkInfo>()).then_some(missed)
}

/// The two kinds of BPF link that kprobes have.
#[cfg(feature = "capi")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProbeLink {
    PerfEvent,
    KprobeMulti,
}

/// Returns the kind of a link's descriptor, None if it is neither of the two. For a program's or a
/// map's, whose information begins with another type, the result means nothing.
#[cfg(feature = "capi")]
pub(crate) fn bpf_probe_link(fd: c_int) -> Option<ProbeLink> {
    let mut info = LinkInfo::default();
    // SAFETY: they are integers, and the lengths of names among them are 0.
    unsafe { object_info(fd, &mut info) }?;
    match info.kind {
        BPF_LINK_TYPE_PERF_EVENT => Some(ProbeLink::PerfEvent),
        BPF_LINK_TYPE_KPROBE_MULTI => Some(ProbeLink::KprobeMulti),
        _ => None,
    }
}

/// `recursion_misses` of a program; None if the kernel does not have the number (before
/// Linux 5.12), or that is no program.
pub(crate) fn bpf_program_recursion_misses(fd: c_int) -> Option<u64> {
    /// `struct bpf_prog_info` up to `recursion_misses`, longer than those of other objects.
    #[repr(C)]
    struct Info {
        before: [u64; 26],
        recursion_misses: u64,
    }
    const _: () = assert!(size_of::<Info>() == 216);
    let mut info = Info { before: [0; 26], recursion_misses: 0 };
    // SAFETY: they are integers, and the lengths of lists among them are 0.
    let len = unsafe { object_info(fd, &mut info) }?;
    (len == size_of::<Info>()).then_some(info.recursion_misses)
}
