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

/**
 * Whose calls a program is to see, on a 64-bit kernel.
 */
enum ksyscall_callers {
    /**
     * Those of processes of this program's architecture.
     */
    KSYSCALL_CALLERS_NATIVE,
    /**
     * Those of 32-bit processes, and by `int $0x80` on x86-64; as the 32-bit architecture
     * names them. A function that serves both is seen for both. And those of x32 processes
     * that have functions of their own, where the kernel has x32.
     */
    KSYSCALL_CALLERS_COMPAT,
    /**
     * Both.
     */
    KSYSCALL_CALLERS_ALL,
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
     * Where it is put for each name whether that is attached to: 0 or an errno; or NULL.
     */
    int *results;
    /**
     * Called after each name with how many are done with. If it returns another number than
     * 0, no more are attached to, and those that were are detached. It must
     * return, and must not close the program.
     */
    int (*progress)(void *ctx, size_t done, size_t n);
    /**
     * The first argument of `progress`.
     */
    void *ctx;
    /**
     * By how many threads to detach again what was attached, if not to all: 1 to 64, or 0
     * for 8.
     */
    unsigned int threads;
    /**
     * How many calls may be inside at once whose returns are seen; needs `retprobe` and
     * tracefs. At most 4096; 0 leaves it to the kernel, which sees those of 10 or of twice
     * as many as there are CPUs; before Linux 6.2, without preemption, of as many as there are
     * CPUs. Not for kprobe.multi.
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
     * Whether a name that cannot be attached to does not fail the others.
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
 * attached by one link, which is `links[0]`; any other by one for each call, in the
 * order of the names. The other places are NULL. A function that serves several of the
 * calls is attached to once. Of other callers than native ones there are up to three links
 * for each call, and they stand in the order in which they were made.
 *
 * @param prog a loaded program of type `BPF_PROG_TYPE_KPROBE`
 * @param names the calls' names
 * @param n how many there are
 * @param links room for as many links, or for three times as many if other callers than
 *   `KSYSCALL_CALLERS_NATIVE` are meant
 * @param opts cookies, results, return probes, progress; or NULL
 * @return to how many names the program is attached; or a negative errno, which is in
 * errno too, and nothing is attached:
 *  - as bpf_program__attach_ksyscall() says, of the first name that fails, unless
 *    `best_effort` is set;
 *  - EEXIST: two names with different cookies have the same function;
 *  - EMFILE: it takes more file descriptors than the process may open;
 *  - ECANCELED: `progress` has ended it.
 */
extern int ksyscall_links__attach(const struct bpf_program *prog,
                                  const char *const *names,
                                  size_t n,
                                  struct bpf_link **links,
                                  const struct ksyscall_links_opts *opts);

/**
 * Destroys links, of this library or of libbpf, as bpf_link__destroy() does.
 *
 * To end a kprobe the kernel waits until no CPU runs its program any more. Eight threads
 * wait at once for this library's links, and for libbpf's if they are BPF links (Linux
 * 5.15) of a perf event or of kprobe.multi and no event of anybody's was made through
 * tracefs. libbpf's code runs in the calling thread, for one link after the other in their
 * order; a link of any other kind has ended before the next is destroyed.
 *
 * @param links the links; a place may be NULL, and each is afterwards
 * @param n how many there are
 * @return 0, or the first negative errno of bpf_link__destroy() in their order, which is
 * in errno too; all are destroyed in any case
 */
extern int ksyscall_links__destroy(struct bpf_link **links, size_t n);

/**
 * How many entries or returns of the call the kernel missed since the program was
 * attached. A return is missed when too many calls are inside at
 * once, see `max_active`.
 *
 * @param link a link of this library's or of libbpf's, to a kprobe or kretprobe or of
 * kprobe.multi
 * @param missed where the number is put
 * @return 0, or a negative errno, which is in errno too:
 *  - EOPNOTSUPP: the kernel does not say so of that link; it does from Linux 6.7, and
 *    before of one with `max_active`;
 *  - EINVAL: an argument is NULL.
 */
extern int ksyscall_link__missed(const struct bpf_link *link, __u64 *missed);

/**
 * How often the kernel has skipped a program since it was loaded, at all functions that
 * the program is attached to. The kernel skips a kprobe program on a
 * CPU that is executing another BPF program or a bpf(2) map operation, even if the task in
 * that operation was preempted. ksyscall_link__missed() does not count those calls.
 *
 * @param prog a loaded program of type `BPF_PROG_TYPE_KPROBE`
 * @param misses where the number is put
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

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KSYSCALL_H */

#ifndef bpf_ksyscall_opts__last_field
#define bpf_ksyscall_opts__last_field retprobe
#endif
#define ksyscall_links_opts__last_field best_effort
