/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts how many times the program runs for one process, separately for each cookie, and stores the call's
   result. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} process SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} returned SEC(".maps");

SEC("kprobe")
int count(struct pt_regs *ctx)
{
	__u32 zero = 0, key = bpf_get_attach_cookie(ctx);
	__u32 *only = bpf_map_lookup_elem(&process, &zero);
	__u64 *n = bpf_map_lookup_elem(&hits, &key);
	__u64 result = PT_REGS_RC(ctx);

	if (only && *only == bpf_get_current_pid_tgid() >> 32 && n) {
		__sync_fetch_and_add(n, 1);
		bpf_map_update_elem(&returned, &key, &result, BPF_ANY);
	}
	return 0;
}

SEC("socket")
int not_a_kprobe(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
