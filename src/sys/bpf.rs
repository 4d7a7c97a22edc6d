//! Calls bpf(2).

use core::ffi::c_int;

use errno::Errno;

use super::{Fd, call};

/// # Safety
/// The command must not write to `attr`, and the pointers in `attr` must be valid for the command.
unsafe fn bpf<T>(command: c_int, attr: &T) -> Result<c_int, Errno> {
    let attr: *const T = attr;
    // SAFETY: the kernel reads `size_of::<T>()` bytes of `attr`; the caller guarantees the rest.
    let result =
        unsafe { call(libc::SYS_bpf, command as usize, attr as usize, size_of::<T>(), 0, 0) }?;
    Ok(result as c_int)
}

const BPF_LINK_CREATE: c_int = 28;

/// Calls `BPF_LINK_CREATE` for a perf event (Linux 5.15). The link keeps the event open.
pub(crate) fn bpf_link_create(
    program_fd: c_int,
    event_fd: c_int,
    cookie: u64,
) -> Result<Fd, Errno> {
    const BPF_PERF_EVENT: u32 = 41;
    /// `struct { } link_create` in `union bpf_attr` (include/uapi/linux/bpf.h).
    #[repr(C)]
    struct Attr {
        prog_fd: c_int,
        target_fd: c_int,
        attach_type: u32,
        flags: u32,
        /// `perf_event.bpf_cookie`.
        cookie: u64,
    }
    let attr = Attr {
        prog_fd: program_fd,
        target_fd: event_fd,
        attach_type: BPF_PERF_EVENT,
        flags: 0,
        cookie,
    };
    // SAFETY: `attr` contains no pointers.
    unsafe { bpf(BPF_LINK_CREATE, &attr) }.map(Fd)?.above_standard_streams()
}

/// Calls `BPF_LINK_CREATE` with a kprobe.multi attribute and no program, and returns the kernel's
/// error: EINVAL if the kernel does not know the attribute (before Linux 5.18), otherwise EBADF.
pub(crate) fn bpf_link_create_multi_without_program() -> Errno {
    // The kernel checks for unknown fields before it looks for the program. `kprobe_multi.cookies`,
    // which is not 0 here, does not overlap any field that older kernels know.
    // SAFETY: no process maps that address. Without a program, the kernel reads neither list.
    let made = unsafe { kprobe_multi(-1, KprobeMulti::Multi, false, &[NO_NAME], &[0]) };
    made.map_or_else(|errno| errno, |_| Errno(0))
}

/// An address that no process maps.
const NO_NAME: usize = size_of::<usize>();

/// The `expected_attach_type` of a program for a kprobe.multi link (`enum bpf_attach_type` in
/// include/uapi/linux/bpf.h).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KprobeMulti {
    /// The program runs at the function's entry or at its return (Linux 5.18).
    Multi = 42,
    /// The program runs at both entry and return (Linux 6.10).
    Session = 56,
}

/// Calls `BPF_LINK_CREATE` to attach a program to many functions at once, with a cookie for each
/// function.
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
    // SAFETY: the addresses point to C strings that live until the call returns.
    unsafe { kprobe_multi(program_fd, kind, retprobe, &addresses, cookies) }
}

/// Returns whether the program was loaded for a kprobe.multi link of this kind.
///
/// This function requests a link, but passes an unreadable address for the name of the kernel
/// function. The kernel checks the program first (`bpf_kprobe_multi_link_attach()` in
/// kernel/trace/bpf_trace.c), so it returns EFAULT only for a program of that kind. Nothing is ever
/// attached.
pub(crate) fn is_for_kprobe_multi(program_fd: c_int, kind: KprobeMulti) -> bool {
    // SAFETY: no process maps that address, so the kernel reads no name.
    let made = unsafe { kprobe_multi(program_fd, kind, false, &[NO_NAME], &[]) };
    made.is_err_and(|errno| errno.0 == libc::EFAULT)
}

/// # Safety
/// `symbols` must be addresses of C strings, or unmapped addresses. `cookies` must be empty or as
/// long as `symbols`.
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
    // SAFETY: guaranteed by the caller.
    unsafe { bpf(BPF_LINK_CREATE, &attr) }.map(Fd)?.above_standard_streams()
}

/// Calls `BPF_OBJ_PIN` for a link.
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

/// Calls `BPF_OBJ_GET_INFO_BY_FD` to fill `info`, which must be zeroed. Returns the number of bytes
/// that the kernel wrote, or None if `fd` is not a BPF object.
///
/// # Safety
/// `T` must consist of integers, and `info` must not contain an address that the kernel would write
/// to.
pub(super) unsafe fn object_info<T>(fd: c_int, info: &mut T) -> Option<usize> {
    const BPF_OBJ_GET_INFO_BY_FD: usize = 15;
    /// `struct { } info` in `union bpf_attr`.
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
    // SAFETY: the kernel writes `info_len` to `attr` and at most `info_len` bytes to `info`, whose
    // bytes may have any value, as the caller guarantees.
    unsafe { call(libc::SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, start, size, 0, 0) }.ok()?;
    Some(attr.info_len as usize)
}

/// `struct bpf_link_info` (include/uapi/linux/bpf.h) up to `perf_event.kprobe.missed`.
#[repr(C)]
#[derive(Default)]
pub(super) struct LinkInfo {
    pub(super) kind: u32,
    id: u32,
    program_id: u32,
    padding: u32,
    of_kind: OfKind,
}

/// The fields of `perf_event`, and the overlapping field `missed` of `kprobe_multi`.
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
pub(super) const BPF_LINK_TYPE_PERF_EVENT: u32 = 7;
pub(super) const BPF_LINK_TYPE_KPROBE_MULTI: u32 = 8;

/// Returns how many times the kernel missed a function's entry or return for a link. Returns None
/// if the kernel does not report the number (before Linux 6.7), or if the descriptor does not refer
/// to a link for kprobes.
pub(crate) fn bpf_link_missed(fd: c_int) -> Option<u64> {
    const BPF_PERF_EVENT_KPROBE: u32 = 3;
    const BPF_PERF_EVENT_KRETPROBE: u32 = 4;
    let mut info = LinkInfo::default();
    // SAFETY: all fields are integers, and the lengths of names are 0.
    let len = unsafe { object_info(fd, &mut info) }?;
    let missed = match (info.kind, info.of_kind.event_kind) {
        (BPF_LINK_TYPE_PERF_EVENT, BPF_PERF_EVENT_KPROBE | BPF_PERF_EVENT_KRETPROBE) => {
            info.of_kind.missed
        }
        (BPF_LINK_TYPE_KPROBE_MULTI, _) => info.of_kind.missed_by_multi,
        _ => return None,
    };
    // An older kernel returns a smaller length.
    (len == size_of::<LinkInfo>()).then_some(missed)
}

/// Returns the `recursion_misses` of a program. Returns None if the kernel does not have the field
/// (before Linux 5.12), or if the descriptor does not refer to a program.
pub(crate) fn bpf_program_recursion_misses(fd: c_int) -> Option<u64> {
    /// `struct bpf_prog_info` up to `recursion_misses`. This part is longer than the info struct of
    /// any other kind of BPF object.
    #[repr(C)]
    struct Info {
        before: [u64; 26],
        recursion_misses: u64,
    }
    const _: () = assert!(size_of::<Info>() == 216);
    let mut info = Info { before: [0; 26], recursion_misses: 0 };
    // SAFETY: all fields are integers, and the lengths of lists are 0.
    let len = unsafe { object_info(fd, &mut info) }?;
    (len == size_of::<Info>()).then_some(info.recursion_misses)
}
