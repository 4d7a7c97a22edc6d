/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Opens a path that is not in memory, and prints what path.bpf.c reads at entry and at return. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <bpf/libbpf.h>
#include <ksyscall.h>

/* The same struct as in path.bpf.c. */
struct opened {
	__u64 address;
	__s64 length;
	__u32 at_return;
	char path[256];
};

static int print(void *path, void *data, size_t size)
{
	const struct opened *seen = data;

	/* Skip paths that libbpf opens. */
	if (size < sizeof(*seen) || seen->address != (unsigned long)path)
		return 0;
	printf("at %s: %s\n", seen->at_return ? "return" : "entry",
	       seen->length < 0 ? strerror((int)-seen->length) : seen->path);
	return 0;
}

/* Maps a file that contains the path, but does not touch the mapping. In a new process, strings are often
   mapped but not yet touched. */
static char *untouched(const char *path)
{
	int file = memfd_create("path", 0);

	if (file < 0 || write(file, path, strlen(path) + 1) < 0)
		return MAP_FAILED;
	return mmap(NULL, strlen(path) + 1, PROT_READ, MAP_PRIVATE, file, 0);
}

int main(void)
{
	struct bpf_object *object = bpf_object__open_file("path.bpf.o", NULL);
	struct bpf_link *on_entry, *on_return;
	struct ring_buffer *opened;
	char *path = untouched("/proc/self/status");

	if (!object || bpf_object__load(object) || path == MAP_FAILED)
		return perror("path"), 2;
	on_return = bpf_program__attach(bpf_object__find_program_by_name(object, "on_return"));
	on_entry = bpf_program__attach(bpf_object__find_program_by_name(object, "on_entry"));
	opened = ring_buffer__new(bpf_object__find_map_fd_by_name(object, "opened"), print, path, NULL);
	if (!on_return || !on_entry || !opened)
		return perror("path"), 1;
	syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
	ring_buffer__consume(opened);
	ring_buffer__free(opened);
	bpf_link__destroy(on_entry);
	bpf_link__destroy(on_return);
	bpf_object__close(object);
	return 0;
}
