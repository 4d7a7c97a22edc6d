/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libksyscall: bpf_program__attach_ksyscall() as libbpf declares it.
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

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Attaches a BPF program to a system call, by the name in its man page.
 *
 * The program runs each time the call is made, by any process of this
 * architecture. The kernel function is found by the architecture's syscall table
 * and the running kernel's naming convention: "stat", which `sys_newstat`
 * serves, is attached to `__x64_sys_newstat` on x86-64.
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

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KSYSCALL_H */

#ifndef bpf_ksyscall_opts__last_field
#define bpf_ksyscall_opts__last_field retprobe
#endif
