/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stores a call's cookie, second argument and return value. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "attach.h"

/*
 * FIRST, RESULT and ARGUMENT are offsets in struct pt_regs, set by testing/targets.py. If FIRST is not
 * defined, the kernel has no syscall wrappers: its functions receive the arguments directly.
 */
#if WORD == 64
typedef __u64 word;
#else
typedef __u32 word;
#endif

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct seen);
} state SEC(".maps");

/* Whether the kernel supports bpf_get_attach_cookie(). */
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
#ifdef FIRST
	bpf_probe_read_kernel(&argument, sizeof(argument),
			      (void *)(unsigned long)REGISTER(ctx, FIRST) + ARGUMENT);
#else
	argument = REGISTER(ctx, ARGUMENT);
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
