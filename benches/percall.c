/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Measures the cost that each kind of probe adds to a call: attaches an empty program to getpgid(2),
 * times calls, and detaches the program. Each round measures every kind once.
 *
 *   percall ROUNDS CALLS
 *
 * Each output line is a sample in picoseconds per call. If the kernel refuses a kind of probe,
 * `percall` prints the reason on standard error instead of a sample.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "ksyscall.h"

#define CALL "getpgid"
#define FUNCTION "__x64_sys_getpgid"

enum { MAX_ACTIVE = 1000 };

/* At most one member is not NULL. */
struct attached {
	struct bpf_link *link;
	struct ksyscall_links *max_active;
};

typedef void attach_fn(struct bpf_program *program, struct attached *attached);

static void entry(struct bpf_program *program, struct attached *attached)
{
	attached->link = bpf_program__attach_ksyscall(program, CALL, NULL);
}

static void returning(struct bpf_program *program, struct attached *attached)
{
	LIBBPF_OPTS(bpf_ksyscall_opts, opts, .retprobe = true);
	attached->link = bpf_program__attach_ksyscall(program, CALL, &opts);
}

static void with_max_active(struct bpf_program *program, struct attached *attached)
{
	LIBBPF_OPTS(ksyscall_links_opts, opts, .retprobe = true, .max_active = MAX_ACTIVE);
	const char *name = CALL;
	attached->max_active = ksyscall_links__attach(program, &name, 1, &opts);
}

static void multi(struct bpf_program *program, struct attached *attached, bool is_return, bool is_session)
{
	const char *symbol = FUNCTION;
	LIBBPF_OPTS(bpf_kprobe_multi_opts, opts, .syms = &symbol, .cnt = 1, .retprobe = is_return,
		    .session = is_session);
	attached->link = bpf_program__attach_kprobe_multi_opts(program, NULL, &opts);
}

static void multi_entry(struct bpf_program *program, struct attached *attached)
{
	multi(program, attached, false, false);
}

static void multi_return(struct bpf_program *program, struct attached *attached)
{
	multi(program, attached, true, false);
}

static void session(struct bpf_program *program, struct attached *attached)
{
	multi(program, attached, false, true);
}

static void enter(struct bpf_program *program, struct attached *attached)
{
	attached->link = bpf_program__attach_raw_tracepoint(program, "sys_enter");
}

static void leave(struct bpf_program *program, struct attached *attached)
{
	attached->link = bpf_program__attach_raw_tracepoint(program, "sys_exit");
}

static void trace(struct bpf_program *program, struct attached *attached)
{
	attached->link = bpf_program__attach_trace(program);
}

static const struct way {
	const char *name, *program;
	attach_fn *attach;
} ways[] = {
	{ "kprobe", "on_kprobe", entry },
	{ "kretprobe", "on_kprobe", returning },
	{ "max_active", "on_kprobe", with_max_active },
	{ "multi_entry", "on_kprobe_multi", multi_entry },
	{ "multi_return", "on_kprobe_multi", multi_return },
	{ "session", "on_kprobe_session", session },
	{ "sys_enter", "on_raw_tracepoint", enter },
	{ "sys_exit", "on_raw_tracepoint", leave },
	{ "fentry", "on_fentry", trace },
	{ "fexit", "on_fexit", trace },
};

static void die(const char *what)
{
	fprintf(stderr, "percall: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long long nanoseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void sample(const char *way, int calls)
{
	long long start = nanoseconds();
	for (int i = 0; i < calls; i++)
		syscall(SYS_getpgid, 0);
	printf("sample contestant=%s operation=call unit=ps value=%lld\n", way,
	       (nanoseconds() - start) * 1000 / calls);
}

/* Loads only the program for this kind of probe: if the kernel refuses this program, the other kinds are
   still measured. */
static void measure(const struct way *way, int calls)
{
	struct bpf_object *object = bpf_object__open_file("percall.bpf.o", NULL);
	struct bpf_program *program;
	struct attached attached = { 0 };

	if (!object)
		die("percall.bpf.o");
	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program, strcmp(bpf_program__name(program), way->program) == 0);
	if (bpf_object__load(object) == 0) {
		way->attach(bpf_object__find_program_by_name(object, way->program), &attached);
		if (attached.link || attached.max_active)
			sample(way->name, calls);
		else
			perror(way->name);
		bpf_link__destroy(attached.link);
		ksyscall_links__destroy(attached.max_active);
	} else {
		perror(way->name);
	}
	bpf_object__close(object);
}

int main(int argc, char **argv)
{
	int rounds = argc == 3 ? atoi(argv[1]) : 0, calls = argc == 3 ? atoi(argv[2]) : 0;

	if (rounds < 1 || calls < 1) {
		fprintf(stderr, "usage: percall ROUNDS CALLS\n");
		return 2;
	}
	libbpf_set_print(NULL);
	while (rounds--) {
		sample("none", calls);
		for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
			measure(&ways[i], calls);
	}
	return 0;
}
