/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts calls and their errors, and measures how long the calls take, for `ksyscall count`. The programs run
   at the tracepoints sys_enter and sys_exit, or at probes on the functions that serve the calls. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "ksyscall.bpf.h"

/* Forces the compiler to inline functions that run on every call. */
#define INLINE static inline __attribute__((always_inline))

#define MAX_ERRNO 4095
/* `places` has three pages of call numbers: for native callers, 32-bit callers, and x32. */
#define PAGE 1024
/* After the pages, `places` contains the sub-calls of socketcall(2) and ipc(2): first for native
   callers, then for 32-bit callers. */
#define SUB_CALLS (3 * PAGE)
#define MAX_SUB_CALLS 32

/*
 * A place combines a tally's index plus 1 (0 if the call is not counted) with these flags. A probe's cookie
 * is a place with two more flags. For 32-bit callers the cookie also contains the call's number plus 1,
 * because one function may serve several calls.
 */
#define PLACE(value) ((value) & 0xffffff)
#define NO_RETURN (1U << 24)
/* The return value is not a result: sigreturn restores the register that contains it. */
#define NO_ERROR (1U << 25)
#define RESULT_IS_INT (1U << 26)
/* The call is a multiplexer, which carries out sub-calls. */
#define SOCKETCALL (1U << 27)
#define IPC (1U << 28)
#define NATIVE (1ULL << 33)
#define COMPAT (1ULL << 34)
#define NUMBER(cookie) ((cookie) >> 48)

enum { BUCKETS = 40 };

/* src/count/tally.rs reads this struct as an array of numbers, so every field must have the same size. */
struct tally {
	__u64 calls;
	__u64 returns;
	__u64 errors;
	/* Calls whose return was not seen before the thread's next call. */
	__u64 missed;
	/* Calls during which the calling thread exited. */
	__u64 ended;
	__u64 nanoseconds;
	/* The duration of the longest call in the current and in the previous interval, and the numbers of
	   these intervals. Both arrays are indexed by the lowest bit of the interval's number. */
	__u64 longest[2];
	__u64 interval[2];
	/* Calls that took at least 2^(n-1) ns and less than 2^n ns. */
	__u64 took[BUCKETS];
};

/* One tally for each call. If calls are counted by process, process_tallies is used instead. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tally);
} tallies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tally);
} process_tallies SEC(".maps");

struct name {
	char text[16];
};

/* The names of the processes in process_tallies. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct name);
} process_names SEC(".maps");

/* How many times each errno was returned. The key contains the tally's key and the errno. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u64);
} errnos SEC(".maps");

/* Maps the number of a call or sub-call to its place. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SUB_CALLS + 4 * MAX_SUB_CALLS);
	__type(key, __u32);
	__type(value, __u32);
} places SEC(".maps");

enum { EVERYONE, PROCESSES, FAMILY, CGROUP };
#define ANY_ERROR (-1)

/* src/count/bpf.rs writes this struct. */
struct settings {
	__u32 is_running;
	__u32 filter;
	/* If not 0, only calls that fail with this errno are counted; ANY_ERROR means any errno. */
	__s32 failing;
	__u32 is_by_process;
	__u32 interval;
	/* On x86-64, the offset of thread_info.status in task_struct; 0 if unknown. */
	__u32 status_offset;
	/* Number of entries in searched_map. */
	__u32 searched;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings_map SEC(".maps");

/* Processes with a role: ksyscall itself, and the root of the counted process tree (FAMILY). */
enum { OWN, ROOT, ROLES };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ROLES);
	__type(key, __u32);
	__type(value, __u32);
} roles SEC(".maps");

/* The processes to count if the filter is PROCESSES. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} processes SEC(".maps");

/* The cgroup to count if the filter is CGROUP. */
struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} cgroups SEC(".maps");

/* Processes that search() looks up by their ID in a PID namespace. If a process has the role PROCESS,
   search() adds it to the map `processes`. */
#define PROCESS ROLES
#define FOUND (-1)

struct searched {
	__u64 device;
	__u64 inode;
	__u32 process;
	__s32 role;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct searched);
} searched_map SEC(".maps");

struct thread {
	/* The start time and the place of the current call. Between calls, the place is 0. */
	__u64 begun;
	__u32 place;
	__u32 padding;
};

/*
 * The key is the address of the thread's task_struct: execve(2) may change the thread's ID, but not this
 * address. An entry is removed when its thread exits. If the filter is FAMILY, only threads in the counted
 * process tree have entries.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct thread);
} threads SEC(".maps");

/* Counts what was lost because a map was full: calls by threads without an entry, calls and returns in
   processes without a tally, and errors whose errno has no entry. */
enum { THREADS, CALLERS, ERRNOS, LOSSES };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOSSES);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

static void lose(__u32 what)
{
	__u64 *count = bpf_map_lookup_elem(&lost, &what);

	if (count)
		(*count)++;
}

INLINE struct settings *running(void)
{
	__u32 zero = 0;
	struct settings *settings = bpf_map_lookup_elem(&settings_map, &zero);

	return settings && settings->is_running ? settings : NULL;
}

INLINE __u32 process_of(__u32 role)
{
	__u32 *process = bpf_map_lookup_elem(&roles, &role);

	return process ? *process : 0;
}

INLINE bool is_counted(const struct settings *settings, __u32 process)
{
	if (settings->filter == PROCESSES)
		return bpf_map_lookup_elem(&processes, &process) != NULL;
	if (settings->filter == CGROUP && bpf_current_task_under_cgroup(&cgroups, 0) != 1)
		return false;
	return process != process_of(OWN);
}

static struct thread *new_thread(__u64 task)
{
	struct thread thread = {};

	if (bpf_map_update_elem(&threads, &task, &thread, BPF_ANY)) {
		lose(THREADS);
		return NULL;
	}
	return bpf_map_lookup_elem(&threads, &task);
}

/* Returns the current thread's entry, or NULL if the thread's calls are not counted. */
INLINE struct thread *current_thread(const struct settings *settings)
{
	__u32 process = bpf_get_current_pid_tgid() >> 32, root = ROOT, none = 0;
	__u64 task = bpf_get_current_task();
	struct thread *thread;

	if (settings->filter != FAMILY && !is_counted(settings, process))
		return NULL;
	thread = bpf_map_lookup_elem(&threads, &task);
	if (thread)
		return thread;
	if (settings->filter == FAMILY) {
		if (process != process_of(ROOT))
			return NULL;
		/* Forget the root: its process ID may be reused. */
		bpf_map_update_elem(&roles, &root, &none, BPF_ANY);
	}
	return new_thread(task);
}

static void name_process(__u32 process)
{
	struct name name = {};

	bpf_get_current_comm(&name, sizeof(name));
	bpf_map_update_elem(&process_names, &process, &name, BPF_ANY);
}

static struct tally *tally_of_process(__u32 process)
{
	struct tally *tally = bpf_map_lookup_elem(&process_tallies, &process), *empty;
	__u32 zero = 0;

	if (tally)
		return tally;
	/* Copy tallies[0], which stays empty when calls are counted by process. */
	empty = bpf_map_lookup_elem(&tallies, &zero);
	if (!empty || bpf_map_update_elem(&process_tallies, &process, empty, BPF_NOEXIST)) {
		tally = bpf_map_lookup_elem(&process_tallies, &process);
		if (!tally)
			lose(CALLERS);
		return tally;
	}
	name_process(process);
	return bpf_map_lookup_elem(&process_tallies, &process);
}

INLINE __u32 key_of(const struct settings *settings, __u32 place)
{
	return settings->is_by_process ? bpf_get_current_pid_tgid() >> 32 : PLACE(place) - 1;
}

INLINE struct tally *tally_of(const struct settings *settings, __u32 key)
{
	return settings->is_by_process ? tally_of_process(key) : bpf_map_lookup_elem(&tallies, &key);
}

INLINE void begin(const struct settings *settings, __u32 place)
{
	struct thread *thread = current_thread(settings);
	struct tally *tally;

	if (!thread)
		return;
	if (thread->place) {
		tally = tally_of(settings, key_of(settings, thread->place));
		if (tally)
			tally->missed++;
	}
	thread->place = 0;
	if (!settings->failing) {
		tally = tally_of(settings, key_of(settings, place));
		if (!tally)
			return;
		tally->calls++;
	}
	if (place & NO_RETURN)
		return;
	thread->place = place;
	thread->begun = bpf_ktime_get_ns();
}

static void count_errno(__u64 key, __u64 number)
{
	__u64 one = 1, *count;

	key = key << 32 | number;
	count = bpf_map_lookup_elem(&errnos, &key);
	if (!count && bpf_map_update_elem(&errnos, &key, &one, BPF_NOEXIST) == 0)
		return;
	count = bpf_map_lookup_elem(&errnos, &key);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		lose(ERRNOS);
}

INLINE __u32 bits(__u64 number)
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

INLINE void count_time(struct tally *tally, __u32 interval, __u64 took)
{
	__u32 slot = interval & 1, bucket = bits(took);

	tally->nanoseconds += took;
	if (tally->interval[slot] != interval) {
		tally->interval[slot] = interval;
		tally->longest[slot] = 0;
	}
	if (took > tally->longest[slot])
		tally->longest[slot] = took;
	tally->took[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

/* Records the return of the current thread's call. If `place` is not 0, only a call with that place is
   recorded. */
INLINE void finish(const struct settings *settings, __u32 place, long result)
{
	__u64 now = bpf_ktime_get_ns(), task = bpf_get_current_task();
	struct thread *thread = bpf_map_lookup_elem(&threads, &task);
	struct tally *tally;
	bool is_error;
	__u32 key;

	if (!thread || !thread->place || (place && PLACE(thread->place) != PLACE(place)))
		return;
	place = thread->place;
	thread->place = 0;
	if (place & RESULT_IS_INT)
		result = (int)result;
	is_error = !(place & NO_ERROR) && result < 0 && result >= -MAX_ERRNO;
	if (settings->failing &&
	    !(is_error && (settings->failing == ANY_ERROR || settings->failing == -result)))
		return;
	key = key_of(settings, place);
	tally = tally_of(settings, key);
	if (!tally)
		return;
	if (settings->failing)
		tally->calls++;
	tally->returns++;
	count_time(tally, settings->interval, now - thread->begun);
	if (is_error) {
		tally->errors++;
		count_errno(key, -result);
	}
}

/* Whether a 32-bit caller made the current thread's call. `regs` is the address of the caller's registers. */
INLINE bool is_compat(const struct settings *settings, __u64 regs)
{
#if defined(__TARGET_ARCH_x86) && KSYSCALL_BITS == 64
	/* In `status`, TS_COMPAT (arch/x86/include/asm/thread_info.h) identifies 32-bit callers. If the
	   offset of `status` is unknown, the code segment __USER32_CS identifies 32-bit callers, and 32-bit
	   calls that 64-bit code makes with `int $0x80` are mistaken for native calls. */
	if (settings->status_offset)
		return ksyscall_read_(bpf_get_current_task() + settings->status_offset) & 2;
	return (ksyscall_read_(regs + 136) & 0xffff) == 0x23;
#else
	(void)settings;
	return ksyscall_is_compat_(regs);
#endif
}

/* --- Tracepoints --- */

#define X32_BIT (1U << 30)

/* Returns the entry in `places` of the call that a multiplexer carries out, or NULL if this call is
   not counted separately. */
INLINE __u32 *sub_call(__u32 multiplexer, __u64 regs, bool is_compat)
{
	struct ksyscall_ call = { .from = regs, .has_regs = 1 };
	__u32 index, number = ksyscall_word_(&call, is_compat, 0);
	__u32 *place;

	/* The upper half of ipc's first argument is a version: see ksys_ipc() in ipc/syscall.c. */
	if (multiplexer & IPC)
		number &= 0xffff;
	if (number >= MAX_SUB_CALLS)
		return NULL;
	index = SUB_CALLS + 2 * MAX_SUB_CALLS * is_compat + (multiplexer & IPC ? MAX_SUB_CALLS : 0) + number;
	place = bpf_map_lookup_elem(&places, &index);
	return place && *place ? place : NULL;
}

SEC("raw_tp/sys_enter")
int on_enter(struct bpf_raw_tracepoint_args *ctx)
{
	struct settings *settings = running();
	__u32 number = ctx->args[1], index, *native, *compat, *place, *sub_place;
	bool is_of_compat;

	if (!settings)
		return 0;
#ifdef __TARGET_ARCH_mips
	number -= 5000;
#endif
#ifdef __TARGET_ARCH_x86
	if (number & X32_BIT && (number ^ X32_BIT) < PAGE) {
		index = 2 * PAGE + (number ^ X32_BIT);
		place = bpf_map_lookup_elem(&places, &index);
		if (place && *place)
			begin(settings, *place);
		return 0;
	}
#endif
	if (number >= PAGE)
		return 0;
	index = number + PAGE;
	native = bpf_map_lookup_elem(&places, &number);
	compat = bpf_map_lookup_elem(&places, &index);
	if (!native || !compat || !(*native | *compat))
		return 0;
	is_of_compat = is_compat(settings, ctx->args[0]);
	place = is_of_compat ? compat : native;
	if (*place & (SOCKETCALL | IPC)) {
		sub_place = sub_call(*place, ctx->args[0], is_of_compat);
		place = sub_place ?: place;
	}
	if (PLACE(*place))
		begin(settings, *place);
	return 0;
}

SEC("raw_tp/sys_exit")
int on_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct settings *settings = running();

	if (settings)
		finish(settings, 0, ctx->args[1]);
	return 0;
}

/* --- Probes --- */

/*
 * x32 processes count as 64-bit callers, except for calls that have separate functions for x32. The numbers
 * of these calls are 512 to 547 (arch/x86/entry/syscalls/syscall_64.tbl), plus __X32_SYSCALL_BIT.
 */
INLINE bool is_x32_alone(int number)
{
#ifdef __TARGET_ARCH_x86
	return number >= 1 << 30 && (number ^ 1 << 30) >= 512;
#else
	(void)number;
	return false;
#endif
}

INLINE bool is_meant(const struct settings *settings, struct pt_regs *ctx, __u64 cookie)
{
	int number;

	if (!(cookie & (NATIVE | COMPAT)))
		return true;
	if (cookie & COMPAT) {
		number = KSYSCALL_NR(ctx);
		if (is_x32_alone(number))
			return true;
		if (NUMBER(cookie) && number + 1 != (int)NUMBER(cookie))
			return false;
	}
	return is_compat(settings, ksyscall_regs_(ctx)) == !(cookie & NATIVE);
}

SEC("kprobe")
int enter(struct pt_regs *ctx)
{
	struct settings *settings = running();
	__u64 cookie = bpf_get_attach_cookie(ctx);

	if (settings && is_meant(settings, ctx, cookie))
		begin(settings, cookie);
	return 0;
}

SEC("kretprobe")
int leave(struct pt_regs *ctx)
{
	struct settings *settings = running();

	if (settings)
		finish(settings, bpf_get_attach_cookie(ctx), PT_REGS_RC(ctx));
	return 0;
}

/* --- Threads and processes --- */

/* The tracepoint's arguments are the parent and the child (include/trace/events/sched.h). */
SEC("raw_tp/sched_process_fork")
int on_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct settings *settings = running();

	if (settings && current_thread(settings))
		new_thread(ctx->args[1]);
	return 0;
}

SEC("raw_tp/sched_process_exit")
int on_end(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 task = ctx->args[0];
	struct thread *thread = bpf_map_lookup_elem(&threads, &task);
	struct settings *settings = running();
	struct tally *tally;

	if (!thread)
		return 0;
	if (settings && thread->place) {
		tally = tally_of(settings, key_of(settings, thread->place));
		if (tally)
			tally->ended++;
	}
	bpf_map_delete_elem(&threads, &task);
	return 0;
}

SEC("raw_tp/sched_process_exec")
int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 process = bpf_get_current_pid_tgid() >> 32;

	(void)ctx;
	if (bpf_map_lookup_elem(&process_tallies, &process))
		name_process(process);
	return 0;
}

/* Looks up the calling process in searched_map, by its ID in each entry's PID namespace. */
SEC("raw_tp/sys_enter")
int search(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 zero = 0, process = bpf_get_current_pid_tgid() >> 32;
	struct settings *settings = bpf_map_lookup_elem(&settings_map, &zero);
	struct bpf_pidns_info ids;
	struct searched *searched;

	(void)ctx;
	for (__u32 i = 0; settings && i < 64 && i < settings->searched; i++) {
		__u32 index = i, role;

		searched = bpf_map_lookup_elem(&searched_map, &index);
		if (!searched || searched->role == FOUND ||
		    bpf_get_ns_current_pid_tgid(searched->device, searched->inode, &ids, sizeof(ids)) ||
		    ids.tgid != searched->process)
			continue;
		role = searched->role;
		searched->role = FOUND;
		if (role == PROCESS)
			bpf_map_update_elem(&processes, &process, &zero, BPF_ANY);
		else
			bpf_map_update_elem(&roles, &role, &process, BPF_ANY);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
