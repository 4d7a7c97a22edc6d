/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stores what it sees of a call: cookie, second argument, return value. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "attach.h"

/*
 * Where struct pt_regs has what a function gets first and returns (FIRST, RESULT),
 * and what a system call got second (ARGUMENT). Numbers, for bpf_tracing.h knows
 * neither which kernels have wrappers on riscv and POWER nor i386's registers:
 * arch/<architecture>/include/asm/ptrace.h.
 */
#if defined(ARCH_amd64)
enum { FIRST = 112, RESULT = 80, ARGUMENT = 104 };
typedef __u64 word;
#elif defined(ARCH_i386_ON_amd64)
enum { FIRST = 112, RESULT = 80, ARGUMENT = 88 };
typedef __u64 word;
#elif defined(ARCH_i386)
enum { FIRST = 24, RESULT = 24, ARGUMENT = 4 };
typedef __u32 word;
#elif defined(ARCH_arm64) || defined(ARCH_armhf_ON_arm64)
enum { FIRST = 0, RESULT = 0, ARGUMENT = 8 };
typedef __u64 word;
#elif defined(ARCH_armhf)
/* No wrappers: the function gets the arguments themselves. */
#define UNWRAPPED
enum { RESULT = 0, ARGUMENT = 4 };
typedef __u32 word;
#elif defined(ARCH_riscv64)
enum { FIRST = 80, RESULT = 80, ARGUMENT = 88 };
typedef __u64 word;
#elif defined(ARCH_s390x)
enum { FIRST = 40, RESULT = 40, ARGUMENT = 48 };
typedef __u64 word;
#elif defined(ARCH_ppc64el)
enum { FIRST = 24, RESULT = 24, ARGUMENT = 32 };
typedef __u64 word;
#else
#error "which architecture is it?"
#endif

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct seen);
} state SEC(".maps");

/* False where the kernel does not have the helper. */
const volatile bool has_cookies = true;

#define REGISTER(ctx, offset) (*(word *)((char *)(ctx) + (offset)))

static struct seen *seen_by(void *ctx)
{
	__u32 zero = 0;
	struct seen *seen = bpf_map_lookup_elem(&state, &zero);

	if (!seen || seen->thread != (__u32)bpf_get_current_pid_tgid())
		return NULL;
	if (has_cookies)
		seen->cookie = bpf_get_attach_cookie(ctx);
	seen->count++;
	return seen;
}

SEC("kprobe")
int entry(void *ctx)
{
	struct seen *seen = seen_by(ctx);
	word argument = 0;

	if (!seen)
		return 0;
#ifdef UNWRAPPED
	argument = REGISTER(ctx, ARGUMENT);
#else
	bpf_probe_read_kernel(&argument, sizeof(argument),
			      (void *)(unsigned long)REGISTER(ctx, FIRST) + ARGUMENT);
#endif
	seen->argument = argument;
	return 0;
}

SEC("kprobe")
int finish(void *ctx)
{
	struct seen *seen = seen_by(ctx);

	if (seen)
		seen->result = REGISTER(ctx, RESULT);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
