/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts all returns, the returns with the expected cookie, and the returns with the expected result. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "returns.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tally);
} tally SEC(".maps");

/* The threads that are inside the call. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, __u8);
} inside SEC(".maps");

static __always_inline void count(struct pt_regs *ctx)
{
	__u32 zero = 0;
	struct tally *seen = bpf_map_lookup_elem(&tally, &zero);

	if (!seen)
		return;
	__sync_fetch_and_add(&seen->returns, 1);
	if (bpf_get_attach_cookie(ctx) == COOKIE)
		__sync_fetch_and_add(&seen->cookies, 1);
	if ((long)PT_REGS_RC(ctx) == RESULT)
		__sync_fetch_and_add(&seen->results, 1);
}

SEC("kprobe")
int at_return(struct pt_regs *ctx)
{
	count(ctx);
	return 0;
}

/* The program runs at the call's entry and, if it returns 0, again at the call's return. */
SEC("kprobe")
int in_session(struct pt_regs *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid();
	__u8 one = 1;

	if (!bpf_map_lookup_elem(&inside, &thread))
		return bpf_map_update_elem(&inside, &thread, &one, BPF_ANY) != 0;
	bpf_map_delete_elem(&inside, &thread);
	count(ctx);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
