//! What include/ksyscall.h declares, with the options of `opts.rs` and `links_opts.rs`:
//! cbindgen reads these files. The functions themselves are in `entry.c` and `links.c`.

use core::ffi::{c_char, c_int};

use super::{bpf_ksyscall_opts, ksyscall_links_opts};

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
    /// attached by one link, which is `links[0]`; any other by one for each call, in the
    /// order of the names. The other places are NULL. A function that serves several of the
    /// calls is attached to once. Of other callers than native ones there are up to three links
    /// for each call, and they stand in the order in which they were made.
    ///
    /// @param prog a loaded program of type `BPF_PROG_TYPE_KPROBE`
    /// @param names the calls' names
    /// @param n how many there are
    /// @param links room for as many links, or for three times as many if other callers than
    ///   `KSYSCALL_CALLERS_NATIVE` are meant
    /// @param opts cookies, results, return probes, progress; or NULL
    /// @return to how many names the program is attached; or a negative errno, which is in
    /// errno too, and nothing is attached:
    ///  - as bpf_program__attach_ksyscall() says, of the first name that fails, unless
    ///    `best_effort` is set;
    ///  - EEXIST: two names with different cookies have the same function;
    ///  - EMFILE: it takes more file descriptors than the process may open;
    ///  - ECANCELED: `progress` has ended it.
    pub fn ksyscall_links__attach(
        prog: *const bpf_program,
        names: *const *const c_char,
        n: usize,
        links: *mut *mut bpf_link,
        opts: *const ksyscall_links_opts,
    ) -> c_int;

    /// Destroys links, of this library or of libbpf, as bpf_link__destroy() does.
    ///
    /// To end a kprobe the kernel waits until no CPU runs its program any more. Eight threads
    /// wait at once for this library's links, and for libbpf's if they are BPF links (Linux
    /// 5.15) of a perf event or of kprobe.multi and no event of anybody's was made through
    /// tracefs. libbpf's code runs in the calling thread, for one link after the other in their
    /// order; a link of any other kind has ended before the next is destroyed.
    ///
    /// @param links the links; a place may be NULL, and each is afterwards
    /// @param n how many there are
    /// @return 0, or the first negative errno of bpf_link__destroy() in their order, which is
    /// in errno too; all are destroyed in any case
    pub fn ksyscall_links__destroy(links: *mut *mut bpf_link, n: usize) -> c_int;

    /// How many entries or returns of the call the kernel missed since the program was
    /// attached. A return is missed when too many calls are inside at
    /// once, see `max_active`.
    ///
    /// @param link a link of this library's or of libbpf's, to a kprobe or kretprobe or of
    /// kprobe.multi
    /// @param missed where the number is put
    /// @return 0, or a negative errno, which is in errno too:
    ///  - EOPNOTSUPP: the kernel does not say so of that link; it does from Linux 6.7, and
    ///    before of one with `max_active`;
    ///  - EINVAL: an argument is NULL.
    pub fn ksyscall_link__missed(link: *const bpf_link, missed: *mut __u64) -> c_int;

    /// How often the kernel has skipped a program since it was loaded, at all functions that
    /// the program is attached to. The kernel skips a kprobe program on a
    /// CPU that is executing another BPF program or a bpf(2) map operation, even if the task in
    /// that operation was preempted. ksyscall_link__missed() does not count those calls.
    ///
    /// @param prog a loaded program of type `BPF_PROG_TYPE_KPROBE`
    /// @param misses where the number is put
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
}
