/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Loads the programs; performs one attach and reports its result, its effect and any leaks. */
#include "answers.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sys/resource.h>

/* Returns the number that the next fd will get. A leaked fd raises this number. */
static int next_fd(void)
{
	int fd = dup(0);
	close(fd);
	return fd;
}

/* The kprobe_events file, opened at the start because some situations hide it. */
static int events_fd = -1;

static int entries(void)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", events_fd);
	return count_entries(path, "");
}

/* The usual limit on open fds, and the limit during an attach. */
static struct rlimit usual_limit, attach_limit;

static void set_limit(const struct rlimit *limit)
{
	CHECK(setrlimit(RLIMIT_NOFILE, limit) == 0);
}

/* RLIMIT_NOFILE limits fd numbers, so start from the lowest unused number. */
void leave_fds(int count)
{
	attach_limit.rlim_cur = (rlim_t)(next_fd() + count);
}

void give_fds_back(void)
{
	attach_limit = usual_limit;
}

struct loaded loaded;

enum { HIGH_FD = 200 };

void load_programs(void)
{
	events_fd = open(KPROBE_EVENTS, O_RDONLY | O_CLOEXEC);
	CHECK(events_fd >= 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &usual_limit) == 0);
	attach_limit = usual_limit;
	/* Load these programs with high fds: when the fds are closed, no later fd may reuse their numbers. */
	while (dup(0) < HIGH_FD)
		;
	loaded.closed = LOAD(count);
	CHECK(close(bpf_program__fd(program(&loaded.closed, "on_entry"))) == 0);
	CHECK(close(bpf_program__fd(program(&loaded.closed, "on_return"))) == 0);
	for (int fd = 3; fd <= HIGH_FD; fd++)
		if (fd != events_fd)
			close(fd);
	loaded.probes = LOAD(cookie);
	loaded.others = LOAD(count);
	loaded.unloaded.object = open_object(start_count, end_count);
}

struct bpf_program *probe(bool retprobe)
{
	return program(&loaded.probes, retprobe ? "on_return_by_cookie" : "on_entry_by_cookie");
}

struct bpf_program *program_of(enum program_kind kind, bool retprobe)
{
	const char *name = retprobe ? "on_return" : "on_entry";
	switch (kind) {
	case UNLOADED:
		return program(&loaded.unloaded, name);
	case TRACEPOINT:
		return program(&loaded.others, "on_tracepoint");
	case SOCKET:
		return program(&loaded.others, "on_packet");
	case CLOSED:
		return program(&loaded.closed, name);
	case NO_PROGRAM:
		return NULL;
	default:
		return probe(retprobe);
	}
}

int runs(__u32 slot, long number)
{
	static const struct calls none;
	CHECK(bpf_map_update_elem(loaded.probes.calls, &slot, &none, BPF_ANY) == 0);
	syscall(number, NOBODY, -1, -1, -1, -1, -1);
	return (int)counted(&loaded.probes, slot);
}

void ask(const struct question *q)
{
	int fd = next_fd(), events = entries();
	__u32 slot = (__u32)(q->cookie % SLOTS);
	set_limit(&attach_limit);
	errno = 0;
	struct bpf_link *link = bpf_program__attach_ksyscall(q->prog, q->name, q->opts);
	int error = errno;
	set_limit(&usual_limit);
	if (link) {
		part("link");
		part("runs %d", runs(slot, q->number));
		struct calls calls = seen(&loaded.probes, slot);
		part("cookie %#llx", (unsigned long long)calls.cookie);
		if (q->number == SYS_getpgid && !q->retprobe)
			part("argument %#llx", (unsigned long long)calls.argument);
		if (q->number == SYS_getpgid && q->retprobe)
			part("result %lld", (long long)calls.result);
		say_destroy(link);
		part("then runs %d", runs(slot, q->number));
	} else {
		part("%s", errno_name(error));
	}
	if (next_fd() != fd)
		part("leaves an fd");
	if (entries() != events)
		part("leaves a tracefs entry");
	finish();
}

static sigjmp_buf before_crash;

static void on_crash(int number)
{
	siglongjmp(before_crash, number);
}

void in_peril(void (*ask_it)(const struct question *), const struct question *q)
{
	struct sigaction action = { .sa_handler = on_crash }, old;
	CHECK(sigaction(SIGSEGV, &action, &old) == 0);
	int crash = sigsetjmp(before_crash, 1);
	if (crash == 0) {
		ask_it(q);
	} else {
		set_limit(&usual_limit);
		part("signal %d", crash);
		finish();
	}
	CHECK(sigaction(SIGSEGV, &old, NULL) == 0);
}
