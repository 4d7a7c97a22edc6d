/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts all system calls of all processes while a command runs. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ksyscall.h>

#define MAX 1024

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static int show(void *ctx, size_t done, size_t n)
{
	(void)ctx;
	fprintf(stderr, "\r%zu of %zu%s", done, n, done == n ? "\n" : "");
	return 0;
}

/* Loads the program for an attach type, and attaches it to all calls that the kernel supports. */
static struct ksyscall_links *attach(struct bpf_object **object, enum bpf_attach_type type,
				     const char *const *names, size_t n)
{
	LIBBPF_OPTS(ksyscall_links_opts, opts, .best_effort = true, .progress = show);
	struct bpf_program *program;

	*object = bpf_object__open_file("count.bpf.o", NULL);
	if (!*object)
		return NULL;
	program = bpf_object__find_program_by_name(*object, "count");
	bpf_program__set_expected_attach_type(program, type);
	if (bpf_object__load(*object))
		return NULL;
	return ksyscall_links__attach(program, names, n, &opts);
}

int main(int argc, char **argv)
{
	static const char *names[MAX];
	struct ksyscall_links *links;
	struct bpf_object *object;
	double start = now(), attached_in;
	__u64 hits = 0;
	__u32 key = 0;
	size_t n = 0, attached;

	if (argc != 2)
		return fprintf(stderr, "usage: all COMMAND\n"), 2;
	while (n < MAX && (names[n] = ksyscall__name(n)))
		n++;
	/* Use one BPF link for all calls if the kernel supports this, or else a perf event for each call. */
	links = attach(&object, BPF_TRACE_KPROBE_MULTI, names, n);
	if (!links) {
		bpf_object__close(object);
		links = attach(&object, 0, names, n);
	}
	if (!links)
		return perror("all"), 1;
	attached_in = now() - start;
	attached = ksyscall_links__count(links);
	if (system(argv[1]) == 0 &&
	    !bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(object, "hits"), &key, &hits))
		printf("%llu calls\n", (unsigned long long)hits);
	start = now();
	ksyscall_links__destroy(links);
	printf("%zu\tattached to in %.1f s, detached from in %.1f s\n", attached, attached_in, now() - start);
	bpf_object__close(object);
	return 0;
}
