/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Makes a system call as 32-bit processes do, and counts how many times a BPF program sees the call. This
 * is a plain libbpf program, written without libksyscall in mind.
 */
#include <stdio.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define CALL "getpgid"
#define CALLS 3

static void call_getpgid(void)
{
#ifdef __x86_64__
	/* The number in arch/x86/entry/syscalls/syscall_32.tbl. */
	long result = 132;

	__asm__ volatile("int $0x80" : "+a"(result) : "b"(0L) : "r8", "r9", "r10", "r11", "memory");
#endif
}

int main(void)
{
	struct bpf_object *object = bpf_object__open_file("demo.bpf.o", NULL);
	struct bpf_program *program;
	struct bpf_link *link;
	__u32 zero = 0, process = getpid();
	__u64 hits = 0;

	if (!object || bpf_object__load(object))
		return perror("demo.bpf.o"), 1;
	program = bpf_object__find_program_by_name(object, "count");
	bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "process"), &zero, &process, 0);
	link = bpf_program__attach_ksyscall(program, CALL, NULL);
	if (!link)
		return perror(CALL), 1;
	for (int i = 0; i < CALLS; i++)
		call_getpgid();
	bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(object, "hits"), &zero, &hits);
	printf("%llu of %d\n", (unsigned long long)hits, CALLS);
	bpf_link__destroy(link);
	bpf_object__close(object);
	return 0;
}
