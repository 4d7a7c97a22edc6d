/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Attaches one program to several system calls with libbpf, one after another, and prints the time taken. */
#include <stdio.h>
#include <time.h>
#include <bpf/libbpf.h>

#define MAX 64

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct bpf_object *object = bpf_object__open_file("demo.bpf.o", NULL);
	struct bpf_program *program;
	struct bpf_link *links[MAX];
	double start, attached_in;
	int n = 0;

	if (argc > MAX || !object || bpf_object__load(object))
		return perror("demo.bpf.o"), 1;
	program = bpf_object__find_program_by_name(object, "count");
	for (start = now(); n < argc - 1; n++) {
		links[n] = bpf_program__attach_ksyscall(program, argv[n + 1], NULL);
		if (!links[n])
			return perror(argv[n + 1]), 1;
	}
	attached_in = now() - start;
	start = now();
	for (int i = 0; i < n; i++)
		bpf_link__destroy(links[i]);
	printf("%d\tattached to in %.1f s, detached from in %.1f s\n", n, attached_in, now() - start);
	bpf_object__close(object);
	return 0;
}
