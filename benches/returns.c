/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Measures how many returns each kind of return probe sees while many tasks sleep in a call, and what
 * the probe costs. testing/returns.py runs this program and generates docs/returns.md from the
 * output, which contains one line of tab-separated fields for each kind.
 *
 *   returns OBJECT TASKS ROUNDS COPIES
 *
 * Attaching is timed in ROUNDS rounds. COPIES probes are attached at once to measure the memory that each
 * probe uses.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/membarrier.h>
#include <linux/perf_event.h>

#include "returns.h"

#define FUNCTION "__x64_sys_clock_nanosleep"
#define TRACEFS "/sys/kernel/tracing"

/* include/uapi/linux/bpf.h has defined this value since Linux 6.10. */
enum { KPROBE_SESSION = 56 };

/* After this many equal readings, the memory use is considered steady. */
enum { STEADY = 20 };

enum { MOST_TASKS = 4096, MOST_ROUNDS = 99, MOST_COPIES = 64, MOST_CPUS = 64 };

enum kind { PMU, KPROBE_EVENT, MULTI, SESSION, FPROBE_EVENT };

static const struct way {
	const char *name;
	enum kind kind;
	/* 0 selects the kernel's default. */
	int max_active;
} ways[] = {
	{ "kprobe PMU", PMU, 0 },
	{ "tracefs `r`", KPROBE_EVENT, 0 },
	{ "tracefs `r10`", KPROBE_EVENT, 10 },
	{ "tracefs `r100`", KPROBE_EVENT, 100 },
	{ "tracefs `r1000`", KPROBE_EVENT, 1000 },
	{ "tracefs `r4096`", KPROBE_EVENT, 4096 },
	{ "kprobe.multi", MULTI, 0 },
	{ "kprobe.session", SESSION, 0 },
	{ "tracefs `f`", FPROBE_EVENT, 0 },
	{ "tracefs `f1000`", FPROBE_EVENT, 1000 },
};
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

/* The resources of an attachment; `link` is -1 if there is no link. */
struct attachment {
	int link;
	/* The perf events. An fprobe event, which only counts and cannot run a program, requires a
	   perf event on each CPU. */
	int events[MOST_CPUS];
	int count;
	/* The tracefs event, as GROUP/NAME. */
	char entry[64];
	/* The errno if the program cannot be attached to the event, or else 0. */
	int refused;
};

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "returns: ");
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	exit(1);
}

static long bpf_call(int command, void *attr, size_t size)
{
	return syscall(SYS_bpf, command, attr, size);
}

/* Reads a number from a file; fails if the file contains none. */
static long number_in(const char *path)
{
	FILE *file = fopen(path, "re");
	long number;
	if (!file || fscanf(file, "%ld", &number) != 1)
		fail("%s: %s", path, strerror(errno));
	fclose(file);
	return number;
}

/*
 * Returns the memory that the kernel has allocated for itself, in kB. First flushes the per-CPU counters into
 * the totals. (MemAvailable is unsuitable: it does not count the pages in per-CPU lists as free.)
 */
static long allocated(void)
{
	static const char *const names[] = { "Slab:", "VmallocUsed:", "Percpu:" };
	FILE *refresh = fopen("/proc/sys/vm/stat_refresh", "we");
	if (!refresh || fputs("1", refresh) < 0 || fclose(refresh) != 0)
		fail("/proc/sys/vm/stat_refresh: %s", strerror(errno));
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128], name[64];
	long kilobytes, sum = 0;
	while (file && fgets(line, sizeof(line), file))
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (sscanf(line, "%63s %ld", name, &kilobytes) == 2 && strcmp(name, names[i]) == 0)
				sum += kilobytes;
	if (!sum)
		fail("/proc/meminfo: %s", strerror(errno));
	fclose(file);
	return sum;
}

/*
 * Waits until allocated() no longer changes: the kernel frees the memory of exited tasks and removed probes
 * with a delay.
 */
static long settled(void)
{
	long last = allocated();
	for (int same = 0, tries = 0; same < STEADY && tries < 1000; tries++) {
		/* Wait until each CPU has passed through the scheduler. */
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0);
		long is = allocated();
		same = labs(is - last) <= 8 ? same + 1 : 0;
		last = is;
	}
	return last;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* Writes a line to a tracefs file; returns 0 or an errno. */
static int command(const char *file, const char *line)
{
	char path[128];
	snprintf(path, sizeof(path), TRACEFS "/%s", file);
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC), error = 0;
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	return error;
}

static int perf_event(struct perf_event_attr *attr, int cpu)
{
	attr->size = sizeof(*attr);
	return (int)syscall(SYS_perf_event_open, attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static int link_event(int program, int event)
{
	union bpf_attr attr = {
		.link_create = {
			.prog_fd = (__u32)program,
			.target_fd = (__u32)event,
			.attach_type = BPF_PERF_EVENT,
			.perf_event.bpf_cookie = COOKIE,
		},
	};
	return (int)bpf_call(BPF_LINK_CREATE, &attr, sizeof(attr));
}

static int link_multi(int program, enum kind kind)
{
	const char *symbol = FUNCTION;
	__u64 cookie = COOKIE;
	union bpf_attr attr = {
		.link_create = {
			.prog_fd = (__u32)program,
			.attach_type = kind == SESSION ? KPROBE_SESSION : BPF_TRACE_KPROBE_MULTI,
			.kprobe_multi = {
				.flags = kind == SESSION ? 0 : BPF_F_KPROBE_MULTI_RETURN,
				.cnt = 1,
				.syms = (__u64)(uintptr_t)&symbol,
				.cookies = (__u64)(uintptr_t)&cookie,
			},
		},
	};
	return (int)bpf_call(BPF_LINK_CREATE, &attr, sizeof(attr));
}

static int open_pmu_event(void)
{
	const char *symbol = FUNCTION;
	struct perf_event_attr attr = {
		.type = (__u32)number_in("/sys/bus/event_source/devices/kprobe/type"),
		.config = 1, /* Bit 0 requests a return probe; see `format/retprobe`, beside `type`. */
		.config1 = (__u64)(uintptr_t)symbol,
	};
	return perf_event(&attr, 0);
}

static const char *events_file(enum kind kind)
{
	return kind == FPROBE_EVENT ? "dynamic_events" : "kprobe_events";
}

static void detach(const struct way *way, struct attachment *attachment)
{
	char line[128];
	if (attachment->link >= 0)
		close(attachment->link);
	for (int i = 0; i < attachment->count; i++)
		close(attachment->events[i]);
	if (!attachment->entry[0])
		return;
	snprintf(line, sizeof(line), "-:%s\n", attachment->entry);
	int error = command(events_file(way->kind), line);
	if (error)
		fail("remove %s: %s", attachment->entry, strerror(error));
}

/* Returns 0. On failure, returns an errno and leaves nothing attached. */
static int attach_tracefs(const struct way *way, int program, struct attachment *attachment)
{
	static int number;
	char line[256], path[160], max_active[16] = "";
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT };
	int cpus = way->kind == FPROBE_EVENT ? (int)sysconf(_SC_NPROCESSORS_ONLN) : 1;
	if (way->max_active)
		snprintf(max_active, sizeof(max_active), "%d", way->max_active);
	snprintf(attachment->entry, sizeof(attachment->entry), "returns/p%d", number++);
	snprintf(line, sizeof(line), "%c%s:%s %s%s\n", way->kind == FPROBE_EVENT ? 'f' : 'r', max_active,
		 attachment->entry, FUNCTION, way->kind == FPROBE_EVENT ? "%return" : "");
	int error = command(events_file(way->kind), line);
	if (error)
		return error;
	snprintf(path, sizeof(path), TRACEFS "/events/%s/id", attachment->entry);
	attr.config = (__u64)number_in(path);
	for (int cpu = 0; cpu < cpus; cpu++) {
		int event = perf_event(&attr, cpu);
		if (event < 0)
			fail("perf_event_open of %s: %s", attachment->entry, strerror(errno));
		attachment->events[attachment->count++] = event;
	}
	attachment->link = link_event(program, attachment->events[0]);
	if (attachment->link < 0)
		attachment->refused = errno;
	if (attachment->refused && way->kind != FPROBE_EVENT)
		fail("link of %s: %s", attachment->entry, strerror(attachment->refused));
	return 0;
}

/* Returns 0. On failure, returns an errno and leaves nothing attached. */
static int attach(const struct way *way, int program, struct attachment *attachment)
{
	*attachment = (struct attachment){ .link = -1 };
	if (way->kind == KPROBE_EVENT || way->kind == FPROBE_EVENT)
		return attach_tracefs(way, program, attachment);
	if (way->kind == PMU) {
		int event = open_pmu_event();
		if (event < 0)
			return errno;
		attachment->link = link_event(program, event);
		if (attachment->link < 0)
			fail("link of a kprobe: %s", strerror(errno));
		close(event);
	} else {
		attachment->link = link_multi(program, way->kind);
	}
	return attachment->link < 0 ? errno : 0;
}

/* Loads the program for a kind of probe; returns NULL if the kernel does not support the kind. */
static struct bpf_object *load(const char *path, const struct way *way, int *program, int *tally)
{
	const char *name = way->kind == SESSION ? "in_session" : "at_return";
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	if (!object)
		fail("%s: %s", path, strerror(errno));
	struct bpf_program *each;
	bpf_object__for_each_program(each, object) {
		bool is_wanted = strcmp(bpf_program__name(each), name) == 0;
		bpf_program__set_autoload(each, is_wanted);
		if (way->kind == MULTI || way->kind == SESSION)
			bpf_program__set_expected_attach_type(
				each, way->kind == SESSION ? (enum bpf_attach_type)KPROBE_SESSION
							   : BPF_TRACE_KPROBE_MULTI);
	}
	if (bpf_object__load(object) != 0) {
		if (errno != EINVAL)
			fail("load: %s", strerror(errno));
		bpf_object__close(object);
		return NULL;
	}
	*program = bpf_program__fd(bpf_object__find_program_by_name(object, name));
	*tally = bpf_object__find_map_fd_by_name(object, "tally");
	return object;
}

/* ---- Sleeping tasks ------------------------------------------------------------- */

struct sleeper {
	pthread_t thread;
	pid_t id;
	bool was_interrupted;
};

static struct sleeper sleepers[MOST_TASKS];
static pthread_barrier_t are_there, may_sleep;

static void *sleep_long(void *argument)
{
	struct sleeper *sleeper = argument;
	struct timespec hour = { .tv_sec = 3600 };
	sleeper->id = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&are_there);
	pthread_barrier_wait(&may_sleep);
	sleeper->was_interrupted = syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &hour, NULL) < 0 &&
				   errno == EINTR;
	return NULL;
}

static void start(int tasks)
{
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 32768);
	pthread_barrier_init(&are_there, NULL, (unsigned int)tasks + 1);
	pthread_barrier_init(&may_sleep, NULL, (unsigned int)tasks + 1);
	for (int i = 0; i < tasks; i++)
		if (pthread_create(&sleepers[i].thread, &attr, sleep_long, &sleepers[i]) != 0)
			fail("thread %d: %s", i, strerror(errno));
	pthread_barrier_wait(&are_there);
}

/*
 * Waits until the task is blocked inside the call: for a blocked task, /proc/PID/syscall contains the
 * number of its current call (proc_pid_syscall(5)).
 */
static void wait_until_asleep(const struct sleeper *sleeper)
{
	char path[64], text[64];
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", sleeper->id);
	for (;;) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		if (length <= 0)
			fail("%s: %s", path, strerror(errno));
		close(fd);
		text[length] = '\0';
		if (strtol(text, NULL, 10) == SYS_clock_nanosleep)
			return;
		sched_yield();
	}
}

/* Makes all tasks sleep at the same time, wakes them, and waits until they have returned. */
static void sleep_and_wake(int tasks)
{
	pthread_barrier_wait(&may_sleep);
	for (int i = 0; i < tasks; i++)
		wait_until_asleep(&sleepers[i]);
	for (int i = 0; i < tasks; i++)
		if (syscall(SYS_tgkill, getpid(), sleepers[i].id, SIGUSR1) != 0)
			fail("tgkill: %s", strerror(errno));
	for (int i = 0; i < tasks; i++) {
		pthread_join(sleepers[i].thread, NULL);
		if (!sleepers[i].was_interrupted)
			fail("sleeper %d was not ended by the signal", i);
	}
	pthread_barrier_destroy(&are_there);
	pthread_barrier_destroy(&may_sleep);
}

static void wake(int number)
{
	(void)number;
}

/* ---- Lost returns according to the kernel --------------------------------------- */

/* Returns the number of misses in bpf_link_info, or -1 if the kernel does not report it (before 6.7). */
static long missed_of_link(const struct way *way, const struct attachment *attachment)
{
	/* struct bpf_link_info (include/uapi/linux/bpf.h) as 64-bit words. */
	__u64 info[16] = { 0 };
	union bpf_attr attr = {
		.info = { .bpf_fd = (__u32)attachment->link,
			  .info_len = sizeof(info),
			  .info = (uintptr_t)info },
	};
	bool is_event = way->kind == PMU || way->kind == KPROBE_EVENT;
	/* perf_event.kprobe.missed ends at byte 56, and kprobe_multi.missed ends at byte 40. */
	if (attachment->link < 0 || bpf_call(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)) != 0 ||
	    attr.info.info_len < 56)
		return -1;
	return (long)info[is_event ? 6 : 4];
}

/* Returns the number of misses in kprobe_profile, or -1 if the file contains no line for the event. */
static long missed_of_profile(const struct attachment *attachment)
{
	FILE *file = fopen(TRACEFS "/kprobe_profile", "re");
	const char *name = strchr(attachment->entry, '/');
	char line[256], event[64];
	long missed = -1, hits, number;
	while (name && file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %ld %ld", event, &hits, &number) == 3 && strcmp(event, name + 1) == 0)
			missed = number;
	if (file)
		fclose(file);
	return missed;
}

static long counted_by_events(const struct attachment *attachment)
{
	long sum = 0;
	for (int i = 0; i < attachment->count; i++) {
		__u64 value;
		if (read(attachment->events[i], &value, sizeof(value)) != sizeof(value))
			fail("read of an event: %s", strerror(errno));
		sum += (long)value;
	}
	return sum;
}

/* ---- Measurement ---------------------------------------------------------------- */

/* A negative number means that the value is unknown. */
struct result {
	/* The errno of a failed attach. */
	int error;
	int refused;
	long returns, cookies, results;
	long missed_link, missed_profile;
	/* Memory in kB. */
	long first, each;
	double attach[MOST_ROUNDS], detach[MOST_ROUNDS];
};

static void measure_returns(const struct way *way, int program, int tally, int tasks, struct result *result)
{
	struct attachment attachment;
	__u32 zero = 0;
	struct tally seen;
	start(tasks);
	long before = settled();
	result->error = attach(way, program, &attachment);
	result->first = settled() - before;
	sleep_and_wake(tasks);
	if (result->error)
		return;
	if (bpf_map_lookup_elem(tally, &zero, &seen) != 0)
		fail("tally: %s", strerror(errno));
	result->returns = (long)seen.returns;
	result->cookies = (long)seen.cookies;
	result->results = (long)seen.results;
	result->refused = attachment.refused;
	if (attachment.refused) {
		result->returns = counted_by_events(&attachment);
		result->cookies = result->results = -1;
	}
	result->missed_link = missed_of_link(way, &attachment);
	result->missed_profile = missed_of_profile(&attachment);
	detach(way, &attachment);
}

static void measure_memory(const struct way *way, int program, int copies, struct result *result)
{
	static struct attachment attachments[MOST_COPIES];
	/* The first attachment also allocates memory that all attachments share. */
	struct attachment shared;
	if (attach(way, program, &shared))
		fail("%s: %s", way->name, strerror(errno));
	long before = settled();
	for (int i = 0; i < copies; i++)
		if (attach(way, program, &attachments[i]))
			fail("%s, copy %d: %s", way->name, i, strerror(errno));
	result->each = (settled() - before) / copies;
	for (int i = 0; i < copies; i++)
		detach(way, &attachments[i]);
	detach(way, &shared);
}

static void measure_time(const struct way *way, int program, int round, struct result *result)
{
	struct attachment attachment;
	double begin = now();
	if (attach(way, program, &attachment))
		fail("%s: %s", way->name, strerror(errno));
	double middle = now();
	detach(way, &attachment);
	result->attach[round] = middle - begin;
	result->detach[round] = now() - middle;
}

static int compare(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;
	return (a > b) - (a < b);
}

static double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), compare);
	return values[count / 2];
}

/* Enables or disables expedited RCU grace periods; real machines usually run without them. */
static void hurry(bool is_wanted)
{
	FILE *file = fopen("/sys/kernel/rcu_expedited", "we");
	if (!file || fprintf(file, "%d\n", is_wanted) < 0 || fclose(file) != 0)
		fail("/sys/kernel/rcu_expedited: %s", strerror(errno));
}

static int argument(char **argv, int index, int most)
{
	int number = atoi(argv[index]);
	if (number < 1 || number > most)
		fail("%s is not 1 to %d", argv[index], most);
	return number;
}

int main(int argc, char **argv)
{
	static struct result results[WAYS];
	struct bpf_object *objects[WAYS];
	int programs[WAYS], tallies[WAYS];
	struct utsname kernel;
	struct sigaction action = { .sa_handler = wake };
	if (argc != 5)
		fail("OBJECT TASKS ROUNDS COPIES");
	int tasks = argument(argv, 2, MOST_TASKS), rounds = argument(argv, 3, MOST_ROUNDS);
	int copies = argument(argv, 4, MOST_COPIES);
	sigaction(SIGUSR1, &action, NULL);
	libbpf_set_print(NULL);
	uname(&kernel);
	hurry(true);
	/* The system's first perf event allocates memory that later events share. */
	objects[0] = load(argv[1], &ways[0], &programs[0], &tallies[0]);
	measure_time(&ways[0], programs[0], 0, &results[0]);
	bpf_object__close(objects[0]);
	for (int i = 0; i < WAYS; i++) {
		objects[i] = load(argv[1], &ways[i], &programs[i], &tallies[i]);
		results[i].error = EINVAL;
		if (!objects[i])
			continue;
		measure_returns(&ways[i], programs[i], tallies[i], tasks, &results[i]);
		if (!results[i].error)
			measure_memory(&ways[i], programs[i], copies, &results[i]);
	}
	hurry(false);
	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < WAYS; i++)
			if (!results[i].error)
				measure_time(&ways[i], programs[i], round, &results[i]);
	printf("%s\t%d\t%d\t%d\n", kernel.release, tasks, rounds, copies);
	for (int i = 0; i < WAYS; i++) {
		struct result *r = &results[i];
		printf("%s\t%d\t%d\t%ld\t%ld\t%ld\t%ld\t%ld\t%ld\t%ld\t%.3f\t%.3f\n", ways[i].name, r->error,
		       r->refused, r->returns, r->cookies, r->results, r->missed_link, r->missed_profile,
		       r->first, r->each, median(r->attach, rounds), median(r->detach, rounds));
		if (objects[i])
			bpf_object__close(objects[i]);
	}
	return 0;
}
