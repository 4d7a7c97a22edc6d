//! What include/ksyscall.h declares, with `bpf_ksyscall_opts` of `opts.rs`: cbindgen
//! reads these two files. The function itself is in `entry.c`.

use core::ffi::c_char;

use super::bpf_ksyscall_opts;

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

unsafe extern "C" {
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
    ///  - ELIBACC: no libbpf is loaded that could have made the program;
    ///  - ENOMEM, EMFILE and whatever else perf_event_open(2), bpf(2) and reading
    ///    /proc/kallsyms fail with.
    ///
    /// Test for NULL: `libbpf_get_error()` of a libbpf before 1.0 takes NULL for success.
    ///
    /// As in libbpf, `prog` is NULL or a program of a loaded libbpf, `syscall_name`
    /// NULL or a C string, and `opts` NULL or readable for `opts->sz` bytes.
    pub fn bpf_program__attach_ksyscall(
        prog: *const bpf_program,
        syscall_name: *const c_char,
        opts: *const bpf_ksyscall_opts,
    ) -> *mut bpf_link;
}
