/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reads the path of each openat(2) at entry and at return: at entry, the path may not be in memory yet. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <ksyscall.bpf.h>

/* The paths of the calls in progress, one for each thread. */
KSYSCALL_KEPT_MAP(paths, 10240);

/* `length` is the string's length including its NUL, or a negative errno. */
struct opened {
	__u64 address;
	__s64 length;
	__u32 at_return;
	char path[256];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} opened SEC(".maps");

static void report(const char *path, int at_return)
{
	struct opened *seen = bpf_ringbuf_reserve(&opened, sizeof(*seen), 0);

	if (!seen)
		return;
	seen->address = (unsigned long)path;
	seen->at_return = at_return;
	seen->length = bpf_probe_read_user_str(seen->path, sizeof(seen->path), path);
	bpf_ringbuf_submit(seen, 0);
}

SEC("ksyscall/openat")
int KSYSCALL_PROG(on_entry, openat, int dirfd, const char *path)
{
	/* This read is only for the demonstration: it fails with -EFAULT if the page is not in memory. */
	report(path, 0);
	KSYSCALL_KEEP(paths, path);
	return 0;
}

SEC("kretsyscall/openat")
int on_return(void *ctx)
{
	const char *path = (const char *)(unsigned long)KSYSCALL_TAKE(paths);

	/* By now the kernel has read the path, so it is in memory. */
	if (path)
		report(path, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
