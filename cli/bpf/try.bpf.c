/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts the calls made by threads whose names are in the map, for `ksyscall doctor`. A thread's name
   identifies it in every PID namespace; a process ID does not. Requires no BPF feature newer than Linux
   4.2. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct name {
	char text[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct name);
	__type(value, __u64);
} runs SEC(".maps");

SEC("kprobe")
int count_run(void *ctx __attribute__((unused)))
{
	struct name caller = {};
	__u64 *count;

	bpf_get_current_comm(&caller, sizeof(caller));
	count = bpf_map_lookup_elem(&runs, &caller);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
