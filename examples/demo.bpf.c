/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts how many times the program runs for one process, separately for each cookie. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} process SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps");

SEC("kprobe")
int count(void *ctx)
{
	__u32 zero = 0, key = bpf_get_attach_cookie(ctx);
	__u32 *only = bpf_map_lookup_elem(&process, &zero);
	__u64 *n = bpf_map_lookup_elem(&hits, &key);

	if (only && *only == bpf_get_current_pid_tgid() >> 32 && n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
