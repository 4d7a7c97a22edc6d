//! Recognises programs that attach by their section, `SEC("ksyscall/NAME")`.
//!
//! If libbpf's calls to its own functions are bound inside libbpf (`-Bsymbolic-functions`, LTO,
//! static linking), libbpf's `bpf_program__attach()` and `bpf_object__attach_skeleton()` do not
//! call this library. `entry.c` therefore also exports these two functions. They attach the
//! programs that this file recognises as ksyscall programs, and leave all others to libbpf.

use core::ffi::{CStr, c_char, c_void};
use core::ptr;

use super::bpf_program;
use super::libbpf::Libbpf;

const BPF_PROG_TYPE_KPROBE: i32 = 2;

/// Returns the name of the call that libbpf would attach the program to, as a pointer into the name
/// of the program's section. Returns NULL if libbpf's own handler for ksyscall sections would not
/// attach the program. Stores in `retprobe` whether the section requests a return probe.
///
/// # Safety
/// `prog` must be NULL or a program that a loaded libbpf created, and `retprobe` must be writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_of_section(
    prog: *const bpf_program,
    retprobe: *mut bool,
) -> *const c_char {
    // SAFETY: guaranteed by the caller.
    unsafe { of_section(prog, retprobe) }.map_or(ptr::null(), CStr::as_ptr)
}

/// # Safety
/// The same as for [`ksyscall_of_section`]. The result is valid only as long as the program exists.
unsafe fn of_section<'a>(prog: *const bpf_program, retprobe: *mut bool) -> Option<&'a CStr> {
    // SAFETY: guaranteed by the caller.
    let libbpf = unsafe { Libbpf::that_handles(prog) }?;
    let (kind, section) = (libbpf.bpf_program__type()?, libbpf.bpf_program__section_name()?);
    // SAFETY: the program belongs to this libbpf, and the section's name is a C string.
    let section = unsafe {
        if kind(prog) != BPF_PROG_TYPE_KPROBE {
            return None;
        }
        CStr::from_ptr(section(prog)).to_bytes_with_nul()
    };
    let entry = section.strip_prefix(b"ksyscall/");
    // SAFETY: guaranteed by the caller.
    unsafe { retprobe.write(entry.is_none()) };
    let name = entry.or_else(|| section.strip_prefix(b"kretsyscall/"))?;
    CStr::from_bytes_with_nul(name).ok().filter(|name| !name.is_empty())
}

/// Returns whether this program is attached automatically when its skeleton is attached.
///
/// # Safety
/// `prog` must be a program that a loaded libbpf created.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_is_automatic(prog: *const bpf_program) -> bool {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let Some(libbpf) = Libbpf::of(prog) else {
            return false;
        };
        [libbpf.bpf_program__autoload(), libbpf.bpf_program__autoattach()]
            .into_iter()
            .all(|is_set| is_set.is_some_and(|is_set| is_set(prog)))
    }
}

/// Returns libbpf's own function `name`, which `entry.c` replaces, or NULL if libbpf does not have
/// it. `caller` is the address from which the replacement was called.
///
/// # Safety
/// `prog` must be NULL or a program that a loaded libbpf created, and `name` must be a C string.
#[unsafe(no_mangle)]
unsafe extern "C" fn ksyscall_libbpfs_own(
    prog: *const bpf_program,
    name: *const c_char,
    caller: *const c_void,
) -> *const c_void {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let handle = Libbpf::handle_of(prog, caller);
        handle.map_or(ptr::null_mut(), |handle| handle.own(CStr::from_ptr(name))).cast_const()
    }
}
