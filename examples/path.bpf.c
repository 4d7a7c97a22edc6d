/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reports the path of each openat(2), even if it is not in memory when the call begins. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <ksyscall.bpf.h>

struct call {
	const char *path;
	long at_entry;
};

/* The calls in progress, by thread. A lost return leaves its entry here: LRU replaces the oldest. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 10240);
	__type(key, __u64);
	__type(value, struct call);
} calls SEC(".maps");

/* What is reported: at_entry and at_return are a length, or a negative errno. */
struct opened {
	__u64 address;
	__s64 at_entry;
	__s64 at_return;
	char path[256];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} opened SEC(".maps");

SEC("ksyscall/openat")
int KSYSCALL_PROG(on_entry, openat, int dirfd, const char *path)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct call call = { .path = path };
	char start[16];

	/* -EFAULT if the page is not in memory. This read only shows that. */
	call.at_entry = bpf_probe_read_user_str(start, sizeof(start), path);
	bpf_map_update_elem(&calls, &thread, &call, BPF_ANY);
	return 0;
}

SEC("kretsyscall/openat")
int on_return(void *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct call *call = bpf_map_lookup_elem(&calls, &thread);
	struct opened *seen;

	if (!call)
		return 0;
	seen = bpf_ringbuf_reserve(&opened, sizeof(*seen), 0);
	if (seen) {
		seen->address = (unsigned long)call->path;
		seen->at_entry = call->at_entry;
		/* The kernel has read the path by now, which has brought it into memory. */
		seen->at_return = bpf_probe_read_user_str(seen->path, sizeof(seen->path), call->path);
		bpf_ringbuf_submit(seen, 0);
	}
	bpf_map_delete_elem(&calls, &thread);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
