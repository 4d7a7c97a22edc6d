/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libksyscall: bpf_program__attach_ksyscall() as libbpf declares it, and functions of its own.
 *
 * Use it alone, or before or after <bpf/libbpf.h> of any version. A copy of
 * libbpf.h under another name must be included before this.
 *
 * Made by cbindgen of src/capi/; change that, then run `make header`.
 */

#ifndef KSYSCALL_H
#define KSYSCALL_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#if defined(__has_include)
#if __has_include(<bpf/libbpf.h>)
#include <bpf/libbpf.h>
#endif
#endif

struct bpf_program;
struct bpf_link;
/* One program's attachments to many calls, from ksyscall_links__attach(). */
struct ksyscall_links;

/**
 * Whose calls a program is to see, on a 64-bit kernel.
 */
enum ksyscall_callers {
    /**
     * Those of processes of this program's architecture.
     */
    KSYSCALL_CALLERS_NATIVE,
    /**
     * Those of 32-bit processes, and by `int $0x80` on x86-64, by the names of the 32-bit
     * architecture. If one function serves both kinds of callers, the program runs for both. Calls
     * for which x32 processes have separate functions count here.
     */
    KSYSCALL_CALLERS_COMPAT,
    /**
     * Both. For a call that some of them make only through socketcall(2) or ipc(2), as i386 does
     * accept and semop, the program is attached to these, too, and runs for every call through
     * them: see KSYSCALL_SUBCALL_PROG of ksyscall.bpf.h.
     */
    KSYSCALL_CALLERS_ALL,
};

/**
 * A C library whose calls are known.
 */
enum ksyscall_c_library {
    /**
     * The GNU C library.
     */
    KSYSCALL_GLIBC,
    /**
     * musl.
     */
    KSYSCALL_MUSL,
};

#if !defined(bpf_ksyscall_opts__last_field)
/**
 * How to attach. Zero-initialise it and set `sz` to its size, or use libbpf's
 * `LIBBPF_OPTS`.
 */
struct bpf_ksyscall_opts {
    /**
     * Size of this struct, for forward and backward compatibility.
     */
    size_t sz;
    /**
     * What `bpf_get_attach_cookie()` returns in the program; needs Linux 5.15.
     */
    __u64 bpf_cookie;
    /**
     * Run at the call's return instead of its entry.
     */
    bool retprobe;
    size_t :0;
};
#endif

/**
 * How to attach to many system calls. Zero-initialise it and set `sz` to its size, or use
 * libbpf's `LIBBPF_OPTS`.
 */
struct ksyscall_links_opts {
    /**
     * Size of this struct, for forward and backward compatibility.
     */
    size_t sz;
    /**
     * What `bpf_get_attach_cookie()` returns in the program, one for each name; or NULL.
     */
    const __u64 *cookies;
    /**
     * Called after each name, with the number of names done so far. If it returns a value other
     * than 0, the attach stops and everything is detached again. It must return, and must not
     * close the program. The thread cannot be cancelled in it.
     */
    int (*progress)(void *ctx, size_t done, size_t n);
    /**
     * The first argument of `progress`.
     */
    void *ctx;
    /**
     * How many threads detach at the same time, in ksyscall_links__destroy() and when the attach
     * fails: 1 to 64, or 0 for 8.
     */
    unsigned int threads;
    /**
     * How many calls in progress each return probe watches: 1 to 4096, or 0 for the kernel's own
     * number, which is 10, or two for each CPU if that is more (before Linux 6.2, without
     * preemption, one for each CPU). Requires `retprobe` and tracefs; not for kprobe.multi.
     */
    unsigned int max_active;
    /**
     * Whose calls, of `enum ksyscall_callers`.
     */
    unsigned int callers;
    /**
     * Run at the calls' return instead of their entry.
     */
    bool retprobe;
    /**
     * Attach to the other names if one of them fails.
     */
    bool best_effort;
    size_t :0;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Attaches a BPF program to a system call, by the name in its man page.
 *
 * The program runs each time the call is made, by any process of this
 * architecture. The kernel function is found by the architecture's syscall table
 * and the running kernel's naming convention: "stat", which `sys_newstat`
 * serves, is attached to `__x64_sys_newstat` on x86-64. The kernel skips the program on a
 * CPU that is busy with BPF: see ksyscall_program__recursion_misses().
 *
 * @param prog a loaded program of type `BPF_PROG_TYPE_KPROBE`
 * @param syscall_name the call's name, for example "openat"
 * @param opts cookie and return probe, or NULL
 * @return a link that every `bpf_link__` function of libbpf takes, or NULL with
 * errno set, never to 0:
 *  - EINVAL: an argument is not valid, or the program is not loaded;
 *  - ENOENT: the kernel does not have the call;
 *  - EOPNOTSUPP: a cookie before Linux 5.15, or a return probe where the kernel
 *    allows none;
 *  - EPERM, EACCES: no permission;
 *  - ELIBACC: no libbpf is loaded that could have made the program;
 *  - ENOMEM, EMFILE and whatever else perf_event_open(2), bpf(2) and reading
 *    /proc/kallsyms fail with.
 *
 * Test for NULL: `libbpf_get_error()` of a libbpf before 1.0 takes NULL for success.
 *
 * As in libbpf, `prog` is NULL or a program of a loaded libbpf, `syscall_name`
 * NULL or a C string, and `opts` NULL or readable for `opts->sz` bytes.
 */
extern struct bpf_link *bpf_program__attach_ksyscall(const struct bpf_program *prog,
                                                     const char *syscall_name,
                                                     const struct bpf_ksyscall_opts *opts);

/**
 * Attaches one BPF program to many system calls.
 *
 * A program that was loaded for kprobe.multi (Linux 5.18) or kprobe.session (6.10) is
 * attached by one BPF link; any other by a perf event for each function. A function that
 * serves several of the calls is attached to once.
 *
 * @param prog a loaded program of type `BPF_PROG_TYPE_KPROBE`
 * @param names the calls' names
 * @param n how many names there are
 * @param opts cookies, return probes, progress; or NULL
 * @return the program's links, for ksyscall_links__destroy(); or NULL with errno set, never
 * to 0, and nothing is attached:
 *  - as bpf_program__attach_ksyscall() says, of the first name that fails, unless
 *    `best_effort` is set;
 *  - EEXIST: two names with different cookies have the same function;
 *  - EMFILE: the process may not open enough file descriptors;
 *  - ECANCELED: `progress` has ended it.
 */
extern struct ksyscall_links *ksyscall_links__attach(const struct bpf_program *prog,
                                                     const char *const *names,
                                                     size_t n,
                                                     const struct ksyscall_links_opts *opts);

/**
 * Detaches the program from all calls, and frees the links.
 *
 * To end a kprobe the kernel waits until no CPU runs its program any more. Where there is a
 * perf event for each function, several threads wait at once; see `threads`.
 *
 * @param links the links, or NULL
 * @return 0, or the first negative errno, which is in errno too; all have ended in any case
 */
extern int ksyscall_links__destroy(struct ksyscall_links *links);

/**
 * The number of names that the program is attached to: fewer than all only with
 * `best_effort`.
 *
 * @param links the links
 * @return the number
 */
extern size_t ksyscall_links__count(const struct ksyscall_links *links);

/**
 * Whether the program is attached to a name. Does not change errno.
 *
 * @param links the links
 * @param index the name's index in the list of names, from 0
 * @return 0 if the program is attached; with `best_effort`, the negative errno that says why
 * not; -EINVAL if there is no such name
 */
extern int ksyscall_links__result(const struct ksyscall_links *links, size_t index);

/**
 * A kernel function that the program is attached to for a name. Of native callers alone
 * there is one.
 *
 * @param links the links
 * @param index the name's index in the list of names, from 0
 * @param nth the number of the function, from 0
 * @return the function, for as long as the links live; NULL after the last
 */
extern const char *ksyscall_links__function(const struct ksyscall_links *links,
                                            size_t index,
                                            size_t nth);

/**
 * How many entries or returns the kernel missed at all functions together since the program
 * was attached. A return is missed when too many calls are inside at once, see
 * `max_active`.
 *
 * @param links the links
 * @param missed receives the number
 * @return 0, or a negative errno, which is in errno too:
 *  - EOPNOTSUPP: the kernel does not report it; it does since Linux 6.7, and before with
 *    `max_active`;
 *  - EINVAL: an argument is NULL.
 */
extern int ksyscall_links__missed(const struct ksyscall_links *links, __u64 *missed);

/**
 * Does what ksyscall_links__missed() does, for one link.
 *
 * @param link a link of this library's or of libbpf's, to a kprobe or kretprobe or of
 * kprobe.multi
 * @param missed receives the number
 * @return as ksyscall_links__missed()
 */
extern int ksyscall_link__missed(const struct bpf_link *link, __u64 *missed);

/**
 * Destroys links, of this library or of libbpf, as bpf_link__destroy() does, but
 * concurrently.
 *
 * To end a kprobe the kernel waits until no CPU runs its program any more. Eight threads
 * wait at once for this library's links, and for libbpf's if they are BPF links (Linux
 * 5.15) of a perf event or of kprobe.multi and no event of anybody's was made through
 * tracefs. libbpf's code runs in the calling thread, for one link after the other in their
 * order; a link of any other kind has ended before the next is destroyed.
 *
 * @param links the links; elements may be NULL, and all are NULL afterwards
 * @param n how many elements there are
 * @return 0, or the first negative errno of bpf_link__destroy() in their order, which is
 * in errno too; all are destroyed in any case
 */
extern int ksyscall_link__destroy_all(struct bpf_link **links, size_t n);

/**
 * How often the kernel has skipped a program since it was loaded, at all functions that
 * the program is attached to. The kernel skips a kprobe program on a
 * CPU that is executing another BPF program or a bpf(2) map operation, even if the task in
 * that operation was preempted. ksyscall_link__missed() does not count those calls.
 *
 * @param prog a loaded program of type `BPF_PROG_TYPE_KPROBE`
 * @param misses receives the number
 * @return 0, or a negative errno, which is in errno too:
 *  - EOPNOTSUPP: the kernel does not count this for kprobe programs (before Linux 6.7);
 *  - EINVAL: an argument is NULL, or the program is not loaded;
 *  - ELIBACC: no libbpf is loaded that could have made the program.
 */
extern int ksyscall_program__recursion_misses(const struct bpf_program *prog, __u64 *misses);

/**
 * The name of a system call of this architecture, in alphabetical order.
 *
 * @param index its number, from 0
 * @return a string that is never freed; NULL after the last
 */
extern const char *ksyscall__name(size_t index);

/**
 * A kernel function that serves a system call on the running kernel: for programs that
 * attach by other means, such as fentry. Nothing is attached.
 *
 * The first call of a process reads /proc/kallsyms, some 100,000 lines, and keeps the
 * kernel's functions of system calls until the process ends. For `KSYSCALL_CALLERS_ALL` a
 * call may read the file again, to compare the addresses of two functions.
 *
 * @param syscall_name the call's name, for example "openat"
 * @param callers whose calls
 * @param nth the number of the function, from 0; of native callers there is one
 * @return the function, for example "__x64_sys_openat", in a string that is never freed; or
 * NULL with errno set:
 *  - ENOENT: the kernel does not have the call, or `nth` is after the last function;
 *  - EINVAL: an argument is not valid;
 *  - EPERM: it has to compare addresses, which requires `CAP_SYSLOG`;
 *  - EOPNOTSUPP: the kernel does not serve such callers, or none are known for this
 *    architecture;
 *  - ENOMEM, and whatever else reading /proc/kallsyms fails with.
 */
extern const char *ksyscall__function(const char *syscall_name,
                                      enum ksyscall_callers callers,
                                      size_t nth);

/**
 * A system call that a function of the C library makes on this architecture: glibc's "open"
 * makes "openat". Nothing is attached, and the kernel is not asked.
 *
 * @param function the function's name in its man page, of section 2 or 3
 * @param c_library the C library whose function is meant
 * @param nth the number of the call, from 0, most likely first; most functions make one
 * @return the call's name in a string that is never freed; or NULL with errno set:
 *  - ENOENT: the function is not listed, or `nth` is after the last call. Most functions that
 *    are not listed make the call of their name, or none;
 *  - EINVAL: an argument is not valid.
 */
extern const char *ksyscall__c_library_call(const char *function,
                                            enum ksyscall_c_library c_library,
                                            size_t nth);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KSYSCALL_H */

#ifndef bpf_ksyscall_opts__last_field
#define bpf_ksyscall_opts__last_field retprobe
#endif
#define ksyscall_links_opts__last_field best_effort
