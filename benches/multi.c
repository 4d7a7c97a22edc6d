/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Measures how long libbpf's bpf_program__attach_kprobe_multi_opts() takes to attach a program to many
 * functions, and how long detaching the program takes.
 *
 *   multi COUNT     attaches to the functions of the first COUNT calls of a list on standard input
 *                   and detaches; prints nothing if the kernel does not support kprobe.multi links
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/libbpf.h>

enum { MOST = 1024 };

static void die(const char *what)
{
	fprintf(stderr, "multi: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long long nanoseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void sample(const char *operation, int names, long long start)
{
	printf("sample contestant=libbpf-multi operation=%s_many names=%d unit=ns value=%lld\n", operation,
	       names, nanoseconds() - start);
}

int main(int argc, char **argv)
{
	static char symbols[MOST][80];
	static const char *pointers[MOST];
	int count = argc == 2 ? atoi(argv[1]) : 0;

	if (count < 1 || count > MOST) {
		fprintf(stderr, "usage: multi COUNT, 1 to %d\n", MOST);
		return 2;
	}
	for (int i = 0; i < count; i++) {
		char call[64];
		if (scanf("%63s", call) != 1)
			die("too few calls on the input");
		snprintf(symbols[i], sizeof(symbols[i]), "__x64_sys_%s", call);
		pointers[i] = symbols[i];
	}
	struct bpf_object *object = bpf_object__open_file("multi.bpf.o", NULL);
	if (!object || bpf_object__load(object))
		die("multi.bpf.o");
	struct bpf_program *program = bpf_object__next_program(object, NULL);
	LIBBPF_OPTS(bpf_kprobe_multi_opts, opts, .syms = pointers, .cnt = (size_t)count);
	long long start = nanoseconds();
	struct bpf_link *link = bpf_program__attach_kprobe_multi_opts(program, NULL, &opts);
	if (!link && errno == EOPNOTSUPP)
		return 0;
	if (!link)
		die("attach");
	sample("attach", count, start);
	start = nanoseconds();
	if (bpf_link__destroy(link))
		die("bpf_link__destroy");
	sample("destroy", count, start);
	bpf_object__close(object);
	return 0;
}
