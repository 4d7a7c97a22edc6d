/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Attaches one program to every system call in <asm/unistd.h> by name, all at the same time and each with a
 * different cookie. Then makes each call by its number, in a child and with harmless arguments, and prints
 * one line for each call:
 *
 *	name  number  attached  function  hits  result  others
 *
 * attached is `ok` or the errno. function is the probed function according to the kernel (`-` if unknown).
 * hits is how many times the program ran with the call's cookie. result is how the call ended. others are the
 * calls whose cookies were seen while this call was made.
 *
 * This is a plain libbpf program that does not use libksyscall directly.
 *
 * --names prints the names. With --traced FD, another process has attached the program, and this process only
 * makes the calls. FD is the map. Standard input contains one line for each cookie:
 *
 *	name  errno  function
 *
 * The input may contain calls that this program does not know; see tracer.rs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <asm/unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "child.h"
#include "coverage.h"

static const struct {
	const char *name;
	long number;
} calls[] = {
#include "calls.h"
};

#define CALLS ((int)(sizeof(calls) / sizeof(calls[0])))
_Static_assert(sizeof(calls) / sizeof(calls[0]) <= MAX_CALLS, "MAX_CALLS is too small");

/* With -1 in every argument these calls return ENOSYS for an unknown operation, just like a call
 * that does not exist. */
static const struct {
	const char *name;
	long arguments[6];
} special[] = {
	{ "futex", { 0, 129 /* FUTEX_WAKE | FUTEX_PRIVATE_FLAG */, 0 } },
	{ "futex_time64", { 0, 129, 0 } },
	{ "ipc", { 21 /* SHMAT */, -1, -1, -1, -1, -1 } },
	{ "modify_ldt", { 0, 0, 0 } },
};

/* Shared with the children. */
static volatile struct coverage *coverage;
static volatile struct {
	bool returned;
	long result;
} *outcome;

static bool has_cookies;

/* The attachments, by cookie. */
static struct {
	const char *name;
	int failed;
	const char *function;
} traced[MAX_CALLS];
static int traced_count;

/* The program to attach to call `i`. */
static struct bpf_program *program_for(int i, const char *path)
{
	static struct bpf_object *first;
	struct bpf_object *object;
	struct {
		bool is_own;
		__u32 own;
	} *constants;
	size_t size;

	if (!first || !has_cookies) {
		object = bpf_object__open_file(path, NULL);
		if (!object)
			die(path);
		constants = (void *)bpf_map__initial_value(bpf_object__find_map_by_name(object, ".rodata"),
							   &size);
		if (!constants || size != sizeof(*constants))
			die("the object's constants");
		constants->is_own = !has_cookies;
		constants->own = i;
		if (first && bpf_map__reuse_fd(bpf_object__find_map_by_name(object, "state"),
					       bpf_object__find_map_fd_by_name(first, "state")))
			die("bpf_map__reuse_fd");
		if (bpf_object__load(object)) {
			if (first || !has_cookies)
				die("bpf_object__load");
			/* The kernel may not support cookies (Linux before 5.15). */
			bpf_object__close(object);
			has_cookies = false;
			return program_for(i, path);
		}
		if (!first) {
			first = object;
			coverage = shared(sizeof(*coverage), 0,
					  bpf_object__find_map_fd_by_name(object, "state"));
		}
		return bpf_object__find_program_by_name(object, "count");
	}
	return bpf_object__find_program_by_name(first, "count");
}

/* The members of struct bpf_link_info that Linux 6.6 added for kprobes. */
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

	strcpy(name, "-");
	bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &size);
	return name;
}

static void make_call(int i)
{
	/* sigreturn reads its frame from this part of the stack, and so returns to address 0. */
	volatile char zeros[16384] = { 0 };
	long a[6] = { -1, -1, -1, -1, -1, -1 }, result;
	pid_t self = getpid();

	for (size_t s = 0; s < sizeof(special) / sizeof(special[0]); s++)
		if (!strcmp(calls[i].name, special[s].name))
			memcpy(a, special[s].arguments, sizeof(a));
	/* Detach from the terminal, so that vhangup() cannot hang it up. */
	setsid();
	if (strstr(calls[i].name, "fork")) {
		/* Forbid children: a child would continue from here too. */
		struct rlimit none = { 0, 0 };

		if (setrlimit(RLIMIT_NPROC, &none) || setgid(65534) || setuid(65534))
			_exit(3);
	}
	coverage->armed = self;
	result = syscall(calls[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);
	coverage->armed = 0;
	outcome->result = result == -1 ? -errno : result;
	outcome->returned = true;
	_exit(zeros[0]);
}

/* Makes the call in a child; returns how the call ended. */
static const char *try_call(int i)
{
	static char text[64];
	bool is_blocked;
	int status;

	memset((void *)coverage, 0, sizeof(*coverage));
	outcome->returned = false;
	status = run_child(make_call, i, &coverage->armed, &is_blocked);
	if (outcome->returned && outcome->result < 0)
		snprintf(text, sizeof(text), "%s", strerrorname_np(-outcome->result) ?: "E?");
	else if (outcome->returned)
		snprintf(text, sizeof(text), "returned");
	else if (is_blocked)
		snprintf(text, sizeof(text), "waits");
	else if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "SIG%s", sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(text, sizeof(text), "ends");
	return text;
}

/* Attaches to all calls; call `i` has the cookie `i`. */
static void attach_all(const char *path)
{
	/* Each attached call requires several fds. */
	struct rlimit files = { 16 * MAX_CALLS, 16 * MAX_CALLS };
	Dl_info library;

	libbpf_set_print(NULL);
	if (setrlimit(RLIMIT_NOFILE, &files))
		die("setrlimit");
	has_cookies = true;
	for (int i = 0; i < CALLS; i++) {
		struct bpf_program *program = program_for(i, path);
		LIBBPF_OPTS(bpf_ksyscall_opts, opts, .bpf_cookie = has_cookies ? i : 0);
		struct bpf_link *link = bpf_program__attach_ksyscall(program, calls[i].name, &opts);

		traced[i].failed = link ? 0 : errno;
		traced[i].name = calls[i].name;
		traced[i].function = link ? strdup(function_of(link)) : "-";
	}
	traced_count = CALLS;
	if (!dladdr((void *)bpf_program__attach_ksyscall, &library))
		die("dladdr");
	printf("# %s, %s\n", strrchr(library.dli_fname, '/') + 1,
	       has_cookies ? "by cookies" : "by a program for each call");
}

/* Reads the list of another process's attachments. */
static void read_traced(int fd)
{
	char *line = NULL;
	size_t size = 0;

	coverage = shared(sizeof(*coverage), 0, fd);
	while (traced_count < MAX_CALLS && getline(&line, &size, stdin) > 0) {
		char *rest = strdup(line), *name = strsep(&rest, "\t"), *failed = strsep(&rest, "\t");

		if (!name || !failed || !rest)
			die("a line that is none");
		traced[traced_count].name = name;
		traced[traced_count].failed = atoi(failed);
		traced[traced_count++].function = strsep(&rest, "\n");
	}
	free(line);
}

static void report(int i)
{
	const char *result = try_call(i), *separator = "";
	int own = 0;

	while (own < traced_count && strcmp(traced[own].name, calls[i].name))
		own++;
	if (own == traced_count)
		die(calls[i].name);
	printf("%s\t%ld\t%s\t%s\t%u\t%s\t", calls[i].name, calls[i].number,
	       traced[own].failed ? strerrorname_np(traced[own].failed) ?: "E?" : "ok", traced[own].function,
	       coverage->hits[own], result);
	for (int other = 0; other < traced_count; other++)
		if (other != own && coverage->hits[other]) {
			printf("%s%s", separator, traced[other].name);
			separator = " ";
		}
	printf("%s\n", *separator ? "" : "-");
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--names")) {
		for (int i = 0; i < CALLS; i++)
			puts(calls[i].name);
		return 0;
	}
	outcome = shared(sizeof(*outcome), MAP_ANONYMOUS, -1);
	if (argc == 3 && !strcmp(argv[1], "--traced")) {
		read_traced(atoi(argv[2]));
	} else if (argc == 2) {
		attach_all(argv[1]);
	} else {
		fprintf(stderr, "usage: coverage OBJECT | --names | --traced FD\n");
		return 2;
	}
	for (int i = 0; i < CALLS; i++)
		report(i);
	printf("# end\n");
	fflush(stdout);
	/* Exit without destroying the links: the kernel removes the probes. */
	_exit(0);
}
