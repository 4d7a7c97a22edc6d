//! Declares what include/ksyscall.h contains, with the options of `opts.rs` and `links_opts.rs`:
//! cbindgen reads these files. The functions themselves are in `entry.c` and `links.c`.

use core::ffi::{c_char, c_int};

use super::{bpf_ksyscall_opts, ksyscall_c_library, ksyscall_callers, ksyscall_links_opts};

/// The kernel's name of the type.
#[allow(non_camel_case_types)]
type __u64 = u64;

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

/// A program's attachments to many calls, which this library owns.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct ksyscall_links {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    /// Attaches a BPF program to a system call, by the name in its man page.
    ///
    /// The program runs each time the call is made, by any process of this
    /// architecture. The kernel function is found by the architecture's syscall table
    /// and the running kernel's naming convention: "stat", which `sys_newstat`
    /// serves, is attached to `__x64_sys_newstat` on x86-64. The kernel skips the program on a
    /// CPU that is busy with BPF: see ksyscall_program__recursion_misses().
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

    /// Attaches one BPF program to many system calls.
    ///
    /// A program that was loaded for kprobe.multi (Linux 5.18) or kprobe.session (6.10) is
    /// attached by one BPF link; any other by a perf event for each function. A function that
    /// serves several of the calls is attached to once.
    ///
    /// @param prog a loaded program of type `BPF_PROG_TYPE_KPROBE`
    /// @param names the calls' names
    /// @param n how many names there are
    /// @param opts cookies, return probes, progress; or NULL
    /// @return the program's links, for ksyscall_links__destroy(); or NULL with errno set, never
    /// to 0, and nothing is attached:
    ///  - as bpf_program__attach_ksyscall() says, of the first name that fails, unless
    ///    `best_effort` is set;
    ///  - EEXIST: two names with different cookies have the same function;
    ///  - EMFILE: the process may not open enough file descriptors;
    ///  - ECANCELED: `progress` has ended it.
    pub fn ksyscall_links__attach(
        prog: *const bpf_program,
        names: *const *const c_char,
        n: usize,
        opts: *const ksyscall_links_opts,
    ) -> *mut ksyscall_links;

    /// Detaches the program from all calls, and frees the links.
    ///
    /// To end a kprobe the kernel waits until no CPU runs its program any more. Where there is a
    /// perf event for each function, several threads wait at once; see `threads`.
    ///
    /// @param links the links, or NULL
    /// @return 0, or the first negative errno, which is in errno too; all have ended in any case
    pub fn ksyscall_links__destroy(links: *mut ksyscall_links) -> c_int;

    /// The number of names that the program is attached to: fewer than all only with
    /// `best_effort`.
    ///
    /// @param links the links
    /// @return the number
    pub fn ksyscall_links__count(links: *const ksyscall_links) -> usize;

    /// Whether the program is attached to a name. Does not change errno.
    ///
    /// @param links the links
    /// @param index the name's index in the list of names, from 0
    /// @return 0 if the program is attached; with `best_effort`, the negative errno that says why
    /// not; -EINVAL if there is no such name
    pub fn ksyscall_links__result(links: *const ksyscall_links, index: usize) -> c_int;

    /// A kernel function that the program is attached to for a name. Of native callers alone
    /// there is one.
    ///
    /// @param links the links
    /// @param index the name's index in the list of names, from 0
    /// @param nth the number of the function, from 0
    /// @return the function, for as long as the links live; NULL after the last
    pub fn ksyscall_links__function(
        links: *const ksyscall_links,
        index: usize,
        nth: usize,
    ) -> *const c_char;

    /// How many entries or returns the kernel missed at all functions together since the program
    /// was attached. A return is missed when too many calls are inside at once, see
    /// `max_active`.
    ///
    /// @param links the links
    /// @param missed receives the number
    /// @return 0, or a negative errno, which is in errno too:
    ///  - EOPNOTSUPP: the kernel does not report it; it does since Linux 6.7, and before with
    ///    `max_active`;
    ///  - EINVAL: an argument is NULL.
    pub fn ksyscall_links__missed(links: *const ksyscall_links, missed: *mut __u64) -> c_int;

    /// Does what ksyscall_links__missed() does, for one link.
    ///
    /// @param link a link of this library's or of libbpf's, to a kprobe or kretprobe or of
    /// kprobe.multi
    /// @param missed receives the number
    /// @return as ksyscall_links__missed()
    pub fn ksyscall_link__missed(link: *const bpf_link, missed: *mut __u64) -> c_int;

    /// Destroys links, of this library or of libbpf, as bpf_link__destroy() does, but
    /// concurrently.
    ///
    /// To end a kprobe the kernel waits until no CPU runs its program any more. Eight threads
    /// wait at once for this library's links, and for libbpf's if they are BPF links (Linux
    /// 5.15) of a perf event or of kprobe.multi and no event of anybody's was made through
    /// tracefs. libbpf's code runs in the calling thread, for one link after the other in their
    /// order; a link of any other kind has ended before the next is destroyed.
    ///
    /// @param links the links; elements may be NULL, and all are NULL afterwards
    /// @param n how many elements there are
    /// @return 0, or the first negative errno of bpf_link__destroy() in their order, which is
    /// in errno too; all are destroyed in any case
    pub fn ksyscall_link__destroy_all(links: *mut *mut bpf_link, n: usize) -> c_int;

    /// How often the kernel has skipped a program since it was loaded, at all functions that
    /// the program is attached to. The kernel skips a kprobe program on a
    /// CPU that is executing another BPF program or a bpf(2) map operation, even if the task in
    /// that operation was preempted. ksyscall_link__missed() does not count those calls.
    ///
    /// @param prog a loaded program of type `BPF_PROG_TYPE_KPROBE`
    /// @param misses receives the number
    /// @return 0, or a negative errno, which is in errno too:
    ///  - EOPNOTSUPP: the kernel does not count this for kprobe programs (before Linux 6.7);
    ///  - EINVAL: an argument is NULL, or the program is not loaded;
    ///  - ELIBACC: no libbpf is loaded that could have made the program.
    pub fn ksyscall_program__recursion_misses(
        prog: *const bpf_program,
        misses: *mut __u64,
    ) -> c_int;

    /// The name of a system call of this architecture, in alphabetical order.
    ///
    /// @param index its number, from 0
    /// @return a string that is never freed; NULL after the last
    pub fn ksyscall__name(index: usize) -> *const c_char;

    /// A kernel function that serves a system call on the running kernel: for programs that
    /// attach by other means, such as fentry. Nothing is attached.
    ///
    /// The first call of a process reads /proc/kallsyms, some 100,000 lines, and keeps the
    /// kernel's functions of system calls until the process ends. For `KSYSCALL_CALLERS_ALL` a
    /// call may read the file again, to compare the addresses of two functions.
    ///
    /// @param syscall_name the call's name, for example "openat"
    /// @param callers whose calls
    /// @param nth the number of the function, from 0; of native callers there is one
    /// @return the function, for example "__x64_sys_openat", in a string that is never freed; or
    /// NULL with errno set:
    ///  - ENOENT: the kernel does not have the call, or `nth` is after the last function;
    ///  - EINVAL: an argument is not valid;
    ///  - EPERM: it has to compare addresses, which requires `CAP_SYSLOG`;
    ///  - EOPNOTSUPP: the kernel does not serve such callers, or none are known for this
    ///    architecture;
    ///  - ENOMEM, and whatever else reading /proc/kallsyms fails with.
    pub fn ksyscall__function(
        syscall_name: *const c_char,
        callers: ksyscall_callers,
        nth: usize,
    ) -> *const c_char;

    /// A system call that a function of the C library makes on this architecture: glibc's "open"
    /// makes "openat". Nothing is attached, and the kernel is not asked.
    ///
    /// @param function the function's name in its man page, of section 2 or 3
    /// @param c_library the C library whose function is meant
    /// @param nth the number of the call, from 0, most likely first; most functions make one
    /// @return the call's name in a string that is never freed; or NULL with errno set:
    ///  - ENOENT: the function is not listed, or `nth` is after the last call. Most functions that
    ///    are not listed make the call of their name, or none;
    ///  - EINVAL: an argument is not valid.
    pub fn ksyscall__c_library_call(
        function: *const c_char,
        c_library: ksyscall_c_library,
        nth: usize,
    ) -> *const c_char;
}
