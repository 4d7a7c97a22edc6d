/* Counts how many times a system call is made while a command runs. */
#include <stdio.h>
#include <stdlib.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ksyscall.h>

int main(int argc, char **argv)
{
	struct bpf_object *object = bpf_object__open_file("count.bpf.o", NULL);
	struct bpf_link *link;
	__u32 key = 0;
	__u64 hits = 0;

	if (argc != 3 || !object || bpf_object__load(object))
		return 2;
	link = bpf_program__attach_ksyscall(bpf_object__find_program_by_name(object, "count"), argv[1], NULL);
	if (!link)
		return perror(argv[1]), 1;
	if (system(argv[2]) == 0 &&
	    !bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(object, "hits"), &key, &hits))
		printf("%s: %llu calls\n", argv[1], (unsigned long long)hits);
	bpf_link__destroy(link);
	bpf_object__close(object);
	return 0;
}
