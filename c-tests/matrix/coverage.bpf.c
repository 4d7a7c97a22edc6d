/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts, separately for each cookie, how many times the program runs for the thread that makes a call. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "coverage.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct coverage);
} state SEC(".maps");

/* Without cookies every call gets a separate program with `own` set. Both variables are constants for
 * the verifier, so it prunes the call to the missing helper as dead code. */
const volatile _Bool is_own = 0;
const volatile __u32 own = 0;

SEC("kprobe")
int count(void *ctx)
{
	__u32 zero = 0;
	struct coverage *coverage = bpf_map_lookup_elem(&state, &zero);
	__u64 key = is_own ? own : bpf_get_attach_cookie(ctx);

	if (coverage && coverage->armed == (__u32)bpf_get_current_pid_tgid() && key < MAX_CALLS)
		coverage->hits[key]++;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
