/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * For each call in calls.bpf.h, one program stores the call's six arguments. The program uses
 * KSYSCALL_PROG(), libbpf's BPF_KSYSCALL() (with -DLIBBPF), or KSYSCALL_SUBCALL_PROG() for calls made
 * through socketcall and ipc. Two more programs read a path with KSYSCALL_KEEP() and KSYSCALL_TAKE_STR().
 */
#ifdef LIBBPF
/* struct pt_regs as in vmlinux.h, with the field names that CO-RE looks for. */
#include <linux/bpf.h>
#define __VMLINUX_H__
#ifdef __TARGET_ARCH_x86
struct pt_regs {
	unsigned long r10, r9, r8, ax, cx, dx, si, di, ip, sp, bp;
} __attribute__((preserve_access_index));
#elif defined(__TARGET_ARCH_arm)
struct pt_regs {
	unsigned long uregs[18];
} __attribute__((preserve_access_index));
#elif defined(__TARGET_ARCH_powerpc)
struct pt_regs {
	unsigned long gpr[32], nip, orig_gpr3, link;
} __attribute__((preserve_access_index));
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31], sp, pc;
} __attribute__((preserve_access_index));
#elif defined(__TARGET_ARCH_s390)
typedef struct {
	unsigned long addr;
} __attribute__((preserve_access_index)) psw_t;
typedef struct {
	unsigned long args[1];
	psw_t psw;
	unsigned long gprs[16];
} __attribute__((preserve_access_index)) user_pt_regs;
#elif defined(__TARGET_ARCH_riscv)
struct user_regs_struct {
	unsigned long pc, ra, sp, gp, tp, t0, t1, t2, s0, s1, a0, a1, a2, a3, a4, a5, a6, a7;
} __attribute__((preserve_access_index));
#endif
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#define PROGRAM(name, call, args...) BPF_KSYSCALL(name, args)
#ifdef WRAPPED
/* libbpf in a 32-bit process looks for other names and would not detect the wrapper. */
#undef __kconfig
#define __kconfig
_Bool LINUX_HAS_SYSCALL_WRAPPER = 1;
#endif
#else
#include <ksyscall.bpf.h>
#define PROGRAM KSYSCALL_PROG
#endif
#include "arguments.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct arguments);
} state SEC(".maps");

/* Returns the storage for the call with this index, or NULL if the test is not making a call. */
static __always_inline struct seen *seen_by(__u32 index)
{
	__u32 zero = 0;
	struct arguments *arguments = bpf_map_lookup_elem(&state, &zero);

	if (!arguments || arguments->armed != (__u32)bpf_get_current_pid_tgid() ||
	    arguments->calls[index].hits++)
		return 0;
	return &arguments->calls[index];
}

#define CALL(index, call) STORE(index, PROGRAM, on_##call, call)
#define SUB_CALL(index, call) STORE(index, KSYSCALL_SUBCALL_PROG, sub_##call, call)
#define STORE(index, program, name, call)                                             \
	SEC("kprobe")                                                                 \
	int program(name, call, __u64 a, __u64 b, __u64 c, __u64 d, __u64 e, __u64 f) \
	{                                                                             \
		struct seen *seen = seen_by(index);                                   \
                                                                                      \
		if (!seen)                                                            \
			return 0;                                                     \
		seen->arguments[0] = a;                                               \
		seen->arguments[1] = b;                                               \
		seen->arguments[2] = c;                                               \
		seen->arguments[3] = d;                                               \
		seen->arguments[4] = e;                                               \
		seen->arguments[5] = f;                                               \
		NOTE(seen, ctx);                                                      \
		return 0;                                                             \
	}

#ifdef LIBBPF
#define NOTE(seen, ctx) (void)(ctx)
#else
#define NOTE(seen, ctx)                                    \
	do {                                               \
		seen->number = KSYSCALL_NR(ctx);           \
		seen->is_compat = KSYSCALL_IS_COMPAT(ctx); \
	} while (0)
#endif

#include "calls.bpf.h"

#ifndef LIBBPF
KSYSCALL_KEPT_MAP(paths, 64);

static __always_inline struct arguments *armed(void)
{
	__u32 zero = 0;
	struct arguments *arguments = bpf_map_lookup_elem(&state, &zero);

	return arguments && arguments->armed == (__u32)bpf_get_current_pid_tgid() ? arguments : 0;
}

SEC("kprobe")
int KSYSCALL_PROG(keep_path, openat, int directory, const char *path)
{
	struct arguments *arguments = armed();
	char start[8];

	(void)directory;
	if (!arguments)
		return 0;
	arguments->at_entry = bpf_probe_read_user_str(start, sizeof(start), path);
	return KSYSCALL_KEEP(paths, path);
}

SEC("kprobe")
int take_path(void *ctx)
{
	struct arguments *arguments = armed();

	(void)ctx;
	if (arguments)
		arguments->at_return = KSYSCALL_TAKE_STR(paths, arguments->path, sizeof(arguments->path));
	return 0;
}
#endif

char LICENSE[] SEC("license") = "Dual MIT/GPL";
