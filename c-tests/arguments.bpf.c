/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stores what the macros in ksyscall.bpf.h read from the watched thread's calls. */
#include "record.bpf.h"
#ifdef NATIVE_ONLY
/* KSYSCALL_IS_COMPAT requires CO-RE. */
#define KSYSCALL_CALLERS KSYSCALL_NATIVE
#define IS_COMPAT(ctx) 0
#else
#define IS_COMPAT KSYSCALL_IS_COMPAT
#endif
#include <ksyscall.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct passed);
} passed SEC(".maps");

static __always_inline struct passed *watched_call(void)
{
	__u32 zero = 0;

	return record(ON_ENTRY) ? bpf_map_lookup_elem(&passed, &zero) : 0;
}

SEC("kprobe/typed")
int KSYSCALL_PROG(typed, pread64, int fd, const char *buffer, unsigned long count, long long offset)
{
	struct passed *seen = watched_call();

	if (seen) {
		seen->arguments[0] = fd;
		seen->arguments[1] = (unsigned long)buffer;
		seen->arguments[2] = count;
		seen->arguments[3] = offset;
		seen->number = KSYSCALL_NR(ctx);
	}
	return 0;
}

/* Attached to any call. */
SEC("kprobe/words")
int words(struct pt_regs *ctx)
{
	struct passed *seen = watched_call();

	if (seen) {
		seen->arguments[0] = KSYSCALL_SLOT(ctx, 1);
		seen->arguments[1] = KSYSCALL_SLOT(ctx, 2);
		seen->arguments[2] = KSYSCALL_SLOT(ctx, 3);
		seen->arguments[3] = KSYSCALL_SLOT(ctx, 4);
		seen->arguments[4] = KSYSCALL_SLOT(ctx, 5);
		seen->arguments[5] = KSYSCALL_SLOT(ctx, 6);
		seen->number = KSYSCALL_NR(ctx);
		seen->is_compat = IS_COMPAT(ctx);
	}
	return 0;
}

#ifndef NATIVE_ONLY
SEC("kprobe/sub_connect")
int KSYSCALL_SUBCALL_PROG(sub_connect, connect, int fd, const void *address, int length)
{
	struct passed *seen = watched_call();

	if (seen) {
		seen->arguments[0] = fd;
		seen->arguments[1] = (unsigned long)address;
		seen->arguments[2] = length;
		seen->number = KSYSCALL_NR(ctx);
	}
	return 0;
}

SEC("kprobe/sub_msgrcv")
int KSYSCALL_SUBCALL_PROG(sub_msgrcv, msgrcv, int queue, void *message, unsigned long size, long type,
			  int flags)
{
	struct passed *seen = watched_call();

	if (seen) {
		seen->arguments[0] = queue;
		seen->arguments[1] = (unsigned long)message;
		seen->arguments[2] = size;
		seen->arguments[3] = type;
		seen->arguments[4] = flags;
	}
	return 0;
}

/* Runs for every call to ipc. */
SEC("kprobe/through_ipc")
int through_ipc(struct pt_regs *ctx)
{
	struct passed *seen = watched_call();

	if (seen) {
		seen->number = KSYSCALL_SUBCALL(ctx, ipc);
		seen->is_compat = KSYSCALL_SUBCALL_NR(semctl);
		seen->arguments[0] = KSYSCALL_SUBCALL_ARG(ctx, semctl, 3);
		seen->arguments[1] = KSYSCALL_SUBCALL_ARG(ctx, semctl, 4);
	}
	return 0;
}
#endif
