/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts the calls of `ksyscall count`, their errors, and how long they take. The cookie has
   the place of the call among those that are counted. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "ksyscall.bpf.h"

/*
 * What a call's cookie has beside its place: it never returns; and whose calls are meant of a
 * function that may serve others, too, by what number (that, plus 1), for it may serve several.
 * Without these, all are.
 */
#define NO_RETURN (1ULL << 32)
#define NATIVE (1ULL << 33)
#define COMPAT (1ULL << 34)
#define NUMBER(cookie) ((cookie) >> 48)
#define MAX_ERRNO 4095

enum { BUCKETS = 40 };

/* As src/count/tally.rs reads it, all of one size. */
struct tally {
	__u64 calls;
	__u64 returns;
	__u64 errors;
	/* Calls whose return was not seen, for the thread has made another since. */
	__u64 missed;
	__u64 nanoseconds;
	__u64 longest;
	/* Of those that took less than 2^n ns, and as long as 2^(n-1) or longer. */
	__u64 took[BUCKETS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tally);
} tallies SEC(".maps");

/* Of a call's place and an errno, how often. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u64);
} errnos SEC(".maps");

enum { RUNNING, FILTERED, OWN_PROCESS, SETTINGS };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SETTINGS);
	__type(key, __u32);
	__type(value, __u32);
} settings SEC(".maps");

/* If FILTERED, the processes that are counted. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, __u32);
} processes SEC(".maps");

struct begun {
	__u64 at;
	__u64 call;
};

/* What threads are in. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct begun);
} in_progress SEC(".maps");

static __u32 setting(__u32 which)
{
	__u32 *value = bpf_map_lookup_elem(&settings, &which);

	return value ? *value : 0;
}

static bool is_counted(__u32 process)
{
	if (!setting(RUNNING))
		return false;
	if (setting(FILTERED))
		return bpf_map_lookup_elem(&processes, &process) != NULL;
	return process != setting(OWN_PROCESS);
}

/*
 * x32 processes count as 64-bit ones but for the calls that have functions of their own: 512 to
 * 547 of arch/x86/entry/syscalls/syscall_64.tbl, with __X32_SYSCALL_BIT.
 */
static bool is_x32_alone(int number)
{
#ifdef __TARGET_ARCH_x86
	return number >= 1 << 30 && (number ^ 1 << 30) >= 512;
#else
	(void)number;
	return false;
#endif
}

static bool is_meant(struct pt_regs *ctx, __u64 cookie)
{
	int number;

	if (cookie & NATIVE)
		return !KSYSCALL_IS_COMPAT(ctx);
	if (!(cookie & COMPAT))
		return true;
	number = KSYSCALL_NR(ctx);
	if (is_x32_alone(number))
		return true;
	return KSYSCALL_IS_COMPAT(ctx) && (!NUMBER(cookie) || number + 1 == (int)NUMBER(cookie));
}

static struct tally *tally_of(__u32 call)
{
	return bpf_map_lookup_elem(&tallies, &call);
}

SEC("kprobe")
int enter(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx), thread = bpf_get_current_pid_tgid();
	struct begun begun = { bpf_ktime_get_ns(), (__u32)cookie }, *before;
	struct tally *tally;

	if (!is_counted(thread >> 32) || !is_meant(ctx, cookie))
		return 0;
	before = bpf_map_lookup_elem(&in_progress, &thread);
	if (before) {
		tally = tally_of(before->call);
		if (tally)
			tally->missed++;
	}
	tally = tally_of(begun.call);
	if (tally)
		tally->calls++;
	if (cookie & NO_RETURN)
		bpf_map_delete_elem(&in_progress, &thread);
	else
		bpf_map_update_elem(&in_progress, &thread, &begun, BPF_ANY);
	return 0;
}

static void count_errno(__u64 call, __u64 number)
{
	__u64 key = call << 32 | number, one = 1, *count = bpf_map_lookup_elem(&errnos, &key);

	if (!count && bpf_map_update_elem(&errnos, &key, &one, BPF_NOEXIST) == 0)
		return;
	count = bpf_map_lookup_elem(&errnos, &key);
	if (count)
		__sync_fetch_and_add(count, 1);
}

static __u32 bits(__u64 number)
{
	__u32 bits = 0;

#pragma unroll
	for (int step = 32; step; step /= 2) {
		if (number >> step) {
			number >>= step;
			bits += step;
		}
	}
	return bits + (number != 0);
}

SEC("kretprobe")
int leave(struct pt_regs *ctx)
{
	__u64 thread = bpf_get_current_pid_tgid(), took;
	struct begun *begun = bpf_map_lookup_elem(&in_progress, &thread);
	struct tally *tally;
	long result = PT_REGS_RC(ctx);
	__u32 call = bpf_get_attach_cookie(ctx), bucket;

	if (!begun || begun->call != call)
		return 0;
	took = bpf_ktime_get_ns() - begun->at;
	bpf_map_delete_elem(&in_progress, &thread);
	tally = tally_of(call);
	if (!tally)
		return 0;
	tally->returns++;
	tally->nanoseconds += took;
	if (took > tally->longest)
		tally->longest = took;
	bucket = bits(took);
	if (bucket >= BUCKETS)
		bucket = BUCKETS - 1;
	tally->took[bucket]++;
	if (result < 0 && result >= -MAX_ERRNO) {
		tally->errors++;
		count_errno(call, -result);
	}
	return 0;
}

/* Of the kernel's own, by their names in its BTF. */
typedef struct __attribute__((preserve_access_index)) {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
} __attribute__((preserve_access_index));

struct task_struct {
	int tgid;
	struct signal_struct *signal;
} __attribute__((preserve_access_index));

/* Its arguments are the parent and the child (include/trace/events/sched.h). */
SEC("raw_tp/sched_process_fork")
int forked(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
	__u32 from = BPF_CORE_READ(parent, tgid), to = BPF_CORE_READ(child, tgid), one = 1;

	if (from != to && bpf_map_lookup_elem(&processes, &from))
		bpf_map_update_elem(&processes, &to, &one, BPF_ANY);
	return 0;
}

/* The number of a process whose last thread ends can become another's. */
SEC("raw_tp/sched_process_exit")
int exited(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 process = BPF_CORE_READ(task, tgid);

	if (BPF_CORE_READ(task, signal, live.counter) == 0)
		bpf_map_delete_elem(&processes, &process);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
