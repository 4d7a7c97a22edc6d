//! Declares the functions of include/ksyscall.h, which cbindgen generates from this file, `opts.rs`
//! and `links_opts.rs`. The functions are defined in `entry.c` and `links.c`.

use core::ffi::{c_char, c_int};

use super::{bpf_ksyscall_opts, ksyscall_c_library, ksyscall_callers, ksyscall_links_opts};

/// The kernel's name for `u64`.
#[allow(non_camel_case_types)]
pub(super) type __u64 = u64;

/// libbpf's type for a BPF program; see libbpf.h.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct bpf_program {
    _opaque: [u8; 0],
}

/// libbpf's type for a BPF link; see libbpf.h.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct bpf_link {
    _opaque: [u8; 0],
}

/// A program's attachments to many calls.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct ksyscall_links {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    /// Attaches a BPF program to a system call, given the name in the call's man page.
    ///
    /// The program runs each time a process of this architecture makes the call. The library finds
    /// the kernel function through the architecture's syscall table and the running kernel's naming
    /// convention: on x86-64, `sys_newstat` serves "stat", so the program is attached to
    /// `__x64_sys_newstat`. The kernel skips the program on a CPU that is busy with BPF: see
    /// ksyscall_program__recursion_misses().
    ///
    /// @param prog a loaded program of type `BPF_PROG_TYPE_KPROBE`
    /// @param syscall_name the call's name, for example "openat"
    /// @param opts cookie and return probe, or NULL
    /// @return a link that every `bpf_link__` function of libbpf accepts, or NULL with errno set to
    /// a value other than 0:
    ///  - EINVAL: an argument is not valid, or the program is not loaded;
    ///  - ENOENT: the kernel does not have the call;
    ///  - EOPNOTSUPP: a cookie is set, which requires Linux 5.15; or the kernel does not allow
    ///    the return probe;
    ///  - EPERM, EACCES: no permission;
    ///  - ELIBACC: the library cannot find the libbpf that created the program;
    ///  - ENOMEM, EMFILE, and any other error from perf_event_open(2), bpf(2) or reading
    ///    /proc/kallsyms.
    ///
    /// Check for NULL: before libbpf 1.0, `libbpf_get_error()` treats NULL as success.
    ///
    /// As in libbpf, `prog` must be NULL or a program that a loaded libbpf created, `syscall_name`
    /// must be NULL or a C string, and `opts` must be NULL or readable for `opts->sz` bytes.
    pub fn bpf_program__attach_ksyscall(
        prog: *const bpf_program,
        syscall_name: *const c_char,
        opts: *const bpf_ksyscall_opts,
    ) -> *mut bpf_link;

    /// Attaches one BPF program to many system calls.
    ///
    /// A program loaded for kprobe.multi (Linux 5.18) or kprobe.session (Linux 6.10) is attached
    /// through one BPF link. Any other program is attached through a separate perf event for each
    /// function. If a function serves several of the calls, the program is attached to it once.
    ///
    /// @param prog a loaded program of type `BPF_PROG_TYPE_KPROBE`
    /// @param names the calls' names
    /// @param n the number of names
    /// @param opts cookies, return probes, progress; or NULL
    /// @return the program's links, for ksyscall_links__destroy(); or NULL with errno set to a
    /// value other than 0, and nothing attached:
    ///  - the errors of bpf_program__attach_ksyscall(), for the first name that fails, unless
    ///    `best_effort` is set;
    ///  - EEXIST: one function serves two names that have different cookies;
    ///  - EMFILE: the process cannot open enough file descriptors;
    ///  - ECANCELED: `progress` stopped the attach.
    pub fn ksyscall_links__attach(
        prog: *const bpf_program,
        names: *const *const c_char,
        n: usize,
        opts: *const ksyscall_links_opts,
    ) -> *mut ksyscall_links;

    /// Detaches the program from all calls, and frees the links.
    ///
    /// Before the kernel removes a kprobe, it waits until no CPU is running the kprobe's program.
    /// If the program is attached through perf events, several threads wait in parallel; see
    /// `threads`.
    ///
    /// @param links the links, or NULL
    /// @return 0; or the first negative errno, with errno set. All links are destroyed even if an
    /// error occurs
    pub fn ksyscall_links__destroy(links: *mut ksyscall_links) -> c_int;

    /// Returns the number of names that the program is attached to: all names, unless `best_effort`
    /// was set.
    ///
    /// @param links the links
    /// @return the number
    pub fn ksyscall_links__count(links: *const ksyscall_links) -> usize;

    /// Reports whether the program is attached to a name. Does not change errno.
    ///
    /// @param links the links
    /// @param index the name's index in the list of names, from 0
    /// @return 0 if the program is attached; with `best_effort`, the negative errno of a name that
    /// failed; -EINVAL if the index is out of range
    pub fn ksyscall_links__result(links: *const ksyscall_links, index: usize) -> c_int;

    /// Returns one of the kernel functions to which the program is attached for a name. With
    /// `KSYSCALL_CALLERS_NATIVE`, each name has one function.
    ///
    /// @param links the links
    /// @param index the name's index in the list of names, from 0
    /// @param nth the function's index, from 0
    /// @return the function's name, valid until the links are destroyed; NULL after the last
    /// function
    pub fn ksyscall_links__function(
        links: *const ksyscall_links,
        index: usize,
        nth: usize,
    ) -> *const c_char;

    /// Gets how many times the kernel has missed an entry of a function, or a return from one,
    /// since the program was attached, summed over all functions. The kernel misses a return if too
    /// many calls are in progress; see `max_active`.
    ///
    /// @param links the links
    /// @param missed receives the number
    /// @return 0; or a negative errno, with errno set:
    ///  - EOPNOTSUPP: the kernel does not report the number (before Linux 6.7, it reports the
    ///    number only for probes in tracefs: with `max_active`, or before Linux 4.17);
    ///  - EINVAL: an argument is NULL.
    pub fn ksyscall_links__missed(links: *const ksyscall_links, missed: *mut __u64) -> c_int;

    /// Like ksyscall_links__missed(), but for one link.
    ///
    /// @param link a kprobe, kretprobe or kprobe.multi link, created by this library or by libbpf
    /// @param missed receives the number
    /// @return as for ksyscall_links__missed()
    pub fn ksyscall_link__missed(link: *const bpf_link, missed: *mut __u64) -> c_int;

    /// Destroys links like bpf_link__destroy(), but concurrently. The links may have been created
    /// by this library or by libbpf.
    ///
    /// Before the kernel removes a kprobe, it waits until no CPU is running the kprobe's program.
    /// For this library's links, eight threads wait in parallel. The threads also wait for libbpf's
    /// kprobe.multi links. They wait for libbpf's perf-event links only if those are BPF links
    /// (Linux 5.15) and no process has a probe that was created through tracefs. libbpf's code runs
    /// only in the calling thread, for one link at a time, in order. A link of any other kind is
    /// fully detached before the next link is destroyed.
    ///
    /// @param links the links; elements may be NULL, and all are NULL afterwards
    /// @param n the number of elements
    /// @return 0; or the first negative errno from bpf_link__destroy() in the links' order, with
    /// errno set. All links are destroyed even if an error occurs
    pub fn ksyscall_link__destroy_all(links: *mut *mut bpf_link, n: usize) -> c_int;

    /// Gets the number of times that the kernel has skipped a program since the program was loaded,
    /// summed over all functions that it is attached to. The kernel skips a kprobe program on a
    /// CPU that is executing another BPF program or a bpf(2) map operation, even if the task in
    /// that operation was preempted. ksyscall_link__missed() does not count those calls.
    ///
    /// @param prog a loaded program of type `BPF_PROG_TYPE_KPROBE`
    /// @param misses receives the number
    /// @return 0; or a negative errno, with errno set:
    ///  - EOPNOTSUPP: the kernel does not count this for kprobe programs (before Linux 6.7);
    ///  - EINVAL: an argument is NULL, or the program is not loaded;
    ///  - ELIBACC: the library cannot find the libbpf that created the program.
    pub fn ksyscall_program__recursion_misses(
        prog: *const bpf_program,
        misses: *mut __u64,
    ) -> c_int;

    /// Returns the name of a system call of this architecture. The names are in alphabetical order.
    ///
    /// @param index the name's index, from 0
    /// @return a string that is never freed; NULL after the last name
    pub fn ksyscall__name(index: usize) -> *const c_char;

    /// Returns the name of a kernel function that serves a system call on the running kernel, for
    /// programs that attach by other means, such as fentry. Does not attach anything.
    ///
    /// The first call to this function in a process reads /proc/kallsyms (some 100,000 lines).
    /// Until the process ends, the library caches the functions that serve system calls. With
    /// `KSYSCALL_CALLERS_ALL`, the function may read the file again, to compare the addresses of
    /// two functions.
    ///
    /// @param syscall_name the call's name, for example "openat"
    /// @param callers the callers that the function serves
    /// @param nth the function's index, from 0; for native callers there is one function
    /// @return the function's name, for example "__x64_sys_openat", in a string that is never
    /// freed; or NULL with errno set:
    ///  - ENOENT: the kernel does not have the call, or `nth` is after the last function;
    ///  - EINVAL: an argument is not valid;
    ///  - EPERM: two addresses must be compared, which requires `CAP_SYSLOG`;
    ///  - EOPNOTSUPP: the kernel does not serve these callers, or the library does not know which
    ///    functions serve them on this architecture;
    ///  - ENOMEM, and any other error from reading /proc/kallsyms.
    pub fn ksyscall__function(
        syscall_name: *const c_char,
        callers: ksyscall_callers,
        nth: usize,
    ) -> *const c_char;

    /// Returns the name of a system call that a C library function makes on this architecture. For
    /// example, glibc's open() makes the call "openat". Does not attach anything, and does not
    /// depend on the running kernel.
    ///
    /// @param function the function's name in its man page (section 2 or 3)
    /// @param c_library the C library that contains the function
    /// @param nth the call's index, from 0, most likely first; most functions make one call
    /// @return the call's name in a string that is never freed; or NULL with errno set:
    ///  - ENOENT: the function is not listed, or `nth` is after the last call. Most functions that
    ///    are not listed make the call of the same name, or no call;
    ///  - EINVAL: an argument is not valid.
    pub fn ksyscall__c_library_call(
        function: *const c_char,
        c_library: ksyscall_c_library,
        nth: usize,
    ) -> *const c_char;
}
