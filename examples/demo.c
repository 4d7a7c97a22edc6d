/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Attaches one program to several system calls by name, makes each call three times, and
 * prints a line for each call: its name, the kernel function or the error, and how many
 * times the program ran.
 *
 * This is a plain libbpf program, written without libksyscall in mind. `make demo` runs
 * it with libbpf only, with libksyscall preloaded, and linked with libksyscall.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define CALLS 3

static void call_openat(void)
{
	close(syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY));
}

#ifdef SYS_stat
static void call_stat(void)
{
	struct stat stat;

	syscall(SYS_stat, "/", &stat);
}
#endif

static void call_uname(void)
{
	struct utsname name;

	syscall(SYS_uname, &name);
}

static void call_sendfile(void)
{
	syscall(SYS_sendfile, -1, -1, NULL, 0);
}

static void call_umount2(void)
{
	syscall(SYS_umount2, "", 0);
}

static void call_getpid(void)
{
	syscall(SYS_getpid);
}

static void call_nothing(void)
{
}

static const struct {
	const char *name;
	void (*call)(void);
} calls[] = {
	{ "openat", call_openat },
#ifdef SYS_stat
	{ "stat", call_stat },
#endif
	{ "uname", call_uname },   { "sendfile", call_sendfile },  { "umount2", call_umount2 },
	{ "getpid", call_getpid }, { "frobnicate", call_nothing },
};

/* The part of struct bpf_link_info that describes kprobes (since Linux 6.6). */
struct kprobe_link_info {
	__u32 type, id, prog_id, padding;
	__u32 perf_event_type, more_padding;
	__u64 func_name;
	__u32 name_len, offset;
	__u64 addr, missed, cookie;
};

static const char *function_of(struct bpf_link *link)
{
	static char name[128];
	struct kprobe_link_info info = { .func_name = (__u64)(unsigned long)name, .name_len = sizeof(name) };
	__u32 size = sizeof(info);

	strcpy(name, "(the kernel does not say)");
	bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &size);
	return name;
}

int main(int argc, char **argv)
{
	struct bpf_object *object;
	struct bpf_program *program;
	__u32 zero = 0, process = getpid();
	int hits_fd;

	libbpf_set_print(NULL);
	object = argc == 2 ? bpf_object__open_file(argv[1], NULL) : NULL;
	if (!object || bpf_object__load(object)) {
		fprintf(stderr, "usage: demo OBJECT: cannot load it: %s\n", strerror(errno));
		return 1;
	}
	program = bpf_object__find_program_by_name(object, "count");
	hits_fd = bpf_object__find_map_fd_by_name(object, "hits");
	bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "process"), &zero, &process, 0);

	for (__u32 i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		LIBBPF_OPTS(bpf_ksyscall_opts, opts, .bpf_cookie = i);
		struct bpf_link *link;
		__u64 hits = 0;

		link = bpf_program__attach_ksyscall(program, calls[i].name, &opts);
		if (!link) {
			printf("%s\t%s\t-\n", calls[i].name, strerror(errno));
			continue;
		}
		for (int n = 0; n < CALLS; n++)
			calls[i].call();
		bpf_map_lookup_elem(hits_fd, &i, &hits);
		printf("%s\t%s\t%llu of %d\n", calls[i].name, function_of(link), (unsigned long long)hits,
		       CALLS);
		bpf_link__destroy(link);
	}
	bpf_object__close(object);
	return 0;
}
