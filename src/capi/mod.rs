//! The C boundary: `bpf_program__attach_ksyscall` with libbpf's ABI.
//!
//! This file checks and converts arguments. `opts.rs` reads the options as
//! libbpf does, `libbpf.rs` finds the libbpf that the program came from,
//! `link.rs` makes the object that libbpf's `bpf_link__*` functions work on, and
//! `warning.rs` says through libbpf's print callback why an attach failed.
#![allow(unsafe_code)]

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod libbpf;
mod link;
mod opts;
mod warning;

use core::ffi::{CStr, c_char};

use errno::{Errno, set_errno};

use crate::Error;
use crate::name::{MAX_NAME_LEN, SyscallName};
use libbpf::Libbpf;
pub use opts::bpf_ksyscall_opts;

/// A BPF program of libbpf's; see libbpf.h.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct bpf_program {
    _opaque: [u8; 0],
}

/// A BPF link of libbpf's; see libbpf.h.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct bpf_link {
    _opaque: [u8; 0],
}

/// Why the function answers NULL.
#[derive(Debug)]
enum Failure {
    /// `sz` is less than its own size.
    OptsTooSmall,
    /// Options that this version does not know are set.
    OptsUnknown,
    NoProgram,
    NotLoaded,
    NoName,
    /// No libbpf is loaded that could have made the program.
    NoLibbpf,
    NoMemory,
    /// libbpf's links are not laid out as they have been, and it cannot make one
    /// for this attachment.
    NoLink,
    /// libbpf's own constructor failed, and has said why.
    Libbpf(Errno),
    Attach(Error),
}

impl Failure {
    fn errno(&self) -> Errno {
        Errno(match self {
            Failure::OptsTooSmall
            | Failure::OptsUnknown
            | Failure::NoProgram
            | Failure::NotLoaded
            | Failure::NoName => libc::EINVAL,
            Failure::NoLibbpf => libc::ELIBACC,
            Failure::NoMemory => libc::ENOMEM,
            Failure::NoLink => libc::EOPNOTSUPP,
            Failure::Libbpf(errno) => errno.0,
            Failure::Attach(error) => error.errno(),
        })
    }
}

/// Attaches a BPF program to a system call, by the name in its man page.
///
/// The program runs each time the call is made, by any process of this
/// architecture. The kernel function is found by the architecture's syscall table
/// and the running kernel's naming convention: "stat", which `sys_newstat`
/// serves, is attached to `__x64_sys_newstat` on x86-64.
///
/// @param prog a loaded program of type `BPF_PROG_TYPE_KPROBE`
/// @param syscall_name the call's name, for example "openat"
/// @param opts cookie and return probe, or NULL
/// @return a link that every `bpf_link__` function of libbpf takes, or NULL with
/// errno set, never to 0:
///  - EINVAL: an argument is not valid, or the program is not loaded;
///  - ENOENT: the kernel does not have the call;
///  - EOPNOTSUPP: a cookie before Linux 5.15, or a return probe where the kernel
///    allows none;
///  - EPERM, EACCES: no permission;
///  - ELIBACC: no libbpf is loaded;
///  - ENOMEM, EMFILE and what else perf_event_open(2) and bpf(2) fail with.
///
/// As in libbpf, `prog` is NULL or a program of a loaded libbpf, `syscall_name`
/// NULL or a C string, and `opts` NULL or readable for `opts->sz` bytes.
#[unsafe(no_mangle)]
#[allow(clippy::missing_safety_doc, reason = "the last paragraph, which is the C header's too")]
pub unsafe extern "C" fn bpf_program__attach_ksyscall(
    prog: *const bpf_program,
    syscall_name: *const c_char,
    opts: *const bpf_ksyscall_opts,
) -> *mut bpf_link {
    // SAFETY: the caller's promise.
    let libbpf = unsafe { Libbpf::of(prog) };
    // SAFETY: the caller's promise.
    match unsafe { attach(libbpf.as_ref(), prog, syscall_name, opts) } {
        Ok(link) => link,
        Err(failure) => {
            if let Some(libbpf) = &libbpf {
                // SAFETY: the caller's promise.
                unsafe { warning::print(libbpf, prog, syscall_name, &failure) };
            }
            // Closing libbpf's handle may set errno, so that goes first.
            drop(libbpf);
            set_errno(failure.errno());
            core::ptr::null_mut()
        }
    }
}

#[inline(never)]
unsafe fn attach(
    libbpf: Option<&Libbpf>,
    prog: *const bpf_program,
    syscall_name: *const c_char,
    opts: *const bpf_ksyscall_opts,
) -> Result<*mut bpf_link, Failure> {
    // SAFETY: the caller's promise.
    let options = unsafe { opts::read(opts) }?;
    // SAFETY: the caller's promise.
    let name = unsafe { name(syscall_name) }?;
    if prog.is_null() {
        return Err(Failure::NoProgram);
    }
    let libbpf = libbpf.ok_or(Failure::NoLibbpf)?;
    // SAFETY: the caller's promise.
    let program = unsafe { libbpf.program_fd(prog) }?;
    // SAFETY: the caller's promise.
    unsafe { link::attach(libbpf, prog, program, &name, options) }
}

/// # Safety
/// `name` is NULL or a C string.
unsafe fn name(name: *const c_char) -> Result<SyscallName, Failure> {
    if name.is_null() {
        return Err(Failure::NoName);
    }
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) };
    SyscallName::from_bytes(name.to_bytes()).map_err(Failure::Attach)
}

/// Longest part of a name that a warning repeats.
const MAX_SHOWN: usize = MAX_NAME_LEN + "__NR_".len();

/// Nothing here panics on purpose; should a defect do, the program stops at once
/// instead of running on with half an attachment.
#[cfg(all(not(feature = "std"), not(test)))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: it takes no arguments and does not return.
    unsafe { libc::abort() }
}
