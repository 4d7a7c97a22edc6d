/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Runs and measures a contestant; all contestants in C include this file. A contestant defines load(),
 * attach() and destroy(), which load a kprobe program, attach the program to a system call and destroy the
 * link. rust/src/lib.rs is the counterpart for Rust.
 *
 *   CONTESTANT kprobe|kretprobe time MORE     times the first attach and destroy, then MORE of each
 *   CONTESTANT kprobe|kretprobe count         marks each operation, so that `count` can trace it
 *   CONTESTANT kprobe|kretprobe many COUNT    attaches to the first COUNT calls of a list on standard
 *                                             input one by one, then destroys the links one by one
 *
 * The BPF object is in the current folder. The output contains one line for each sample:
 *
 *   sample contestant=raw probe=kprobe operation=attach unit=ns value=17000000
 */
#ifndef BENCH_H
#define BENCH_H

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "marks.h"

/* A call to attach to, and its kernel function. */
struct target {
	char call[64], symbol[80];
};

/* The C library never makes this call by itself. */
static const struct target target = { "getpgid", "__x64_sys_getpgid" };

/* This function is inline, so that `count` counts as few unrelated instructions as possible. */
static inline void mark(enum mark mark)
{
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"((long)mark) : "rcx", "r11", "memory");
}

static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

static inline long long nanoseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static inline long page_faults(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

static inline int open_fds(void)
{
	int count = 0;
	DIR *folder = opendir("/proc/self/fd");
	if (!folder)
		die("/proc/self/fd");
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

/* Each contestant defines these functions, which call die() on an error. */
struct link;
static void load(bool is_return);
static struct link *attach(const struct target *target, bool is_return);
static void destroy(struct link *link);

static inline void sample(const char *probe, const char *operation, const char *unit, long long value)
{
	printf("sample contestant=%s probe=%s operation=%s unit=%s value=%lld\n",
	       program_invocation_short_name, probe, operation, unit, value);
}

static inline void measure(const char *probe, bool is_return, int count)
{
	struct {
		long long attach, destroy;
		long faults;
	} rounds[count + 1];

	/* Use the memory, the clock and getrusage() once, so that their first use is not measured. */
	memset(rounds, 1, sizeof(rounds));
	nanoseconds();
	page_faults();
	for (int i = 0; i <= count; i++) {
		long faults = page_faults();
		long long start = nanoseconds();
		struct link *link = attach(&target, is_return);
		rounds[i].attach = nanoseconds() - start;
		rounds[i].faults = page_faults() - faults;
		start = nanoseconds();
		destroy(link);
		rounds[i].destroy = nanoseconds() - start;
	}
	for (int i = 0; i <= count; i++) {
		sample(probe, i ? "attach" : "first_attach", "ns", rounds[i].attach);
		sample(probe, i ? "attach" : "first_attach", "faults", rounds[i].faults);
		sample(probe, "destroy", "ns", rounds[i].destroy);
	}
}

static inline void be_followed(const char *probe, bool is_return)
{
	struct link *link;
	int fds;

	mark(EMPTY);
	mark(END);
	mark(FIRST_ATTACH);
	link = attach(&target, is_return);
	mark(END);
	destroy(link);
	fds = open_fds();
	mark(ATTACH);
	link = attach(&target, is_return);
	mark(END);
	sample(probe, "attach", "fds", open_fds() - fds);
	mark(DESTROY);
	destroy(link);
	mark(END);
}

static inline void sample_many(const char *probe, const char *operation, int names, long long value)
{
	printf("sample contestant=%s probe=%s operation=%s names=%d unit=ns value=%lld\n",
	       program_invocation_short_name, probe, operation, names, value);
}

static inline void measure_many(const char *probe, bool is_return, int count)
{
	struct target *targets = calloc((size_t)count, sizeof(*targets));
	struct link **links = calloc((size_t)count, sizeof(*links));
	/* libbpf keeps two fds for each link. */
	const struct rlimit fds = { 2 * (rlim_t)count + 64, 2 * (rlim_t)count + 64 };
	long long start;

	if (!targets || !links || setrlimit(RLIMIT_NOFILE, &fds))
		die("memory or descriptors");
	for (int i = 0; i < count; i++) {
		if (scanf("%63s", targets[i].call) != 1)
			die("too few calls on the input");
		snprintf(targets[i].symbol, sizeof(targets[i].symbol), "__x64_sys_%s", targets[i].call);
	}
	start = nanoseconds();
	for (int i = 0; i < count; i++)
		links[i] = attach(&targets[i], is_return);
	sample_many(probe, "attach_many", count, nanoseconds() - start);
	start = nanoseconds();
	for (int i = 0; i < count; i++)
		destroy(links[i]);
	sample_many(probe, "destroy_many", count, nanoseconds() - start);
	free(links);
	free(targets);
}

int main(int argc, char **argv)
{
	bool is_return = argc > 1 && strcmp(argv[1], "kretprobe") == 0;

	if (argc == 4 && strcmp(argv[2], "time") == 0) {
		load(is_return);
		measure(argv[1], is_return, atoi(argv[3]));
	} else if (argc == 3 && strcmp(argv[2], "count") == 0) {
		load(is_return);
		be_followed(argv[1], is_return);
	} else if (argc == 4 && strcmp(argv[2], "many") == 0) {
		load(is_return);
		measure_many(argv[1], is_return, atoi(argv[3]));
	} else {
		fprintf(stderr, "usage: %s kprobe|kretprobe time MORE | count | many COUNT\n", argv[0]);
		return 2;
	}
	return 0;
}

#endif
