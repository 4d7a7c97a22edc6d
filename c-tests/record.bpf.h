/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The maps of all BPF programs in this folder, and the function that records a call. */
#ifndef RECORD_BPF_H
#define RECORD_BPF_H

#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "calls.h"

/* The programs use maps because libbpf 0.3 has no easy way to set global variables. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct calls);
} calls SEC(".maps");

/* The thread whose calls are counted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} watched SEC(".maps");

/* Counts a call by the watched thread and returns the call's record. Returns NULL for other threads. */
static __always_inline struct calls *record(__u32 slot)
{
	__u32 zero = 0;
	__u32 *thread = bpf_map_lookup_elem(&watched, &zero);
	struct calls *seen = bpf_map_lookup_elem(&calls, &slot);
	if (!thread || !seen || *thread != (__u32)bpf_get_current_pid_tgid())
		return 0;
	__sync_fetch_and_add(&seen->count, 1);
	return seen;
}

/*
 * The call's first argument. On the tested kernels, the probed function is a syscall wrapper (x86-64
 * since 4.17), whose only argument points to the caller's registers.
 */
static __always_inline __attribute__((unused)) __u64 first_argument(struct pt_regs *ctx)
{
	struct pt_regs *caller = (struct pt_regs *)PT_REGS_PARM1(ctx);
	__u64 argument = 0;
	bpf_probe_read_kernel(&argument, sizeof(argument), (void *)&PT_REGS_PARM1_SYSCALL(caller));
	return argument;
}

char LICENSE[] SEC("license") = "GPL";

#endif
