/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Attaches one program to every system call of <asm/unistd.h> by name, all at the
 * same time and each with a cookie of its own. Then makes each call by its number,
 * in a child and with harmless arguments, and prints a line for it:
 *
 *	name  number  attached  function  hits  result  others
 *
 * attached is `ok` or the errno, function what the kernel says that the probe is on
 * (`-` where it does not say), hits how often the program ran with the call's own
 * cookie, result how the call ended, others the calls whose cookies were seen while
 * this one was made.
 *
 * A plain libbpf program: nothing in it knows of libksyscall.
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

/* Calls that -1 in every argument would not bring past the check for an unknown
 * operation, whose answer is ENOSYS, the same as of a call that is not there. */
static const struct {
	const char *name;
	long arguments[6];
} special[] = {
	{ "futex", { 0, 129 /* FUTEX_WAKE | FUTEX_PRIVATE_FLAG */, 0 } },
	{ "futex_time64", { 0, 129, 0 } },
	{ "ipc", { 21 /* SHMAT */, -1, -1, -1, -1, -1 } },
	{ "modify_ldt", { 0, 0, 0 } },
};

/* In memory that children share. */
static volatile struct coverage *coverage;
static volatile struct {
	bool returned;
	long result;
} *outcome;

static bool has_cookies;

/* The program that is attached to call `i`. */
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
			/* Perhaps the kernel has no cookies: Linux before 5.15. */
			bpf_object__close(object);
			has_cookies = false;
			return program_for(i, path);
		}
		if (!first) {
			first = object;
			coverage = mmap(NULL, sizeof(*coverage), PROT_READ | PROT_WRITE, MAP_SHARED,
					bpf_object__find_map_fd_by_name(object, "state"), 0);
			if (coverage == MAP_FAILED)
				die("mmap");
		}
		return bpf_object__find_program_by_name(object, "count");
	}
	return bpf_object__find_program_by_name(first, "count");
}

/* The part of struct bpf_link_info that Linux 6.6 added for kprobes. */
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
	/* A sigreturn reads what it returns to from here up: the address 0. */
	volatile char zeros[16384] = { 0 };
	long a[6] = { -1, -1, -1, -1, -1, -1 }, result;
	pid_t self = getpid();

	for (size_t s = 0; s < sizeof(special) / sizeof(special[0]); s++)
		if (!strcmp(calls[i].name, special[s].name))
			memcpy(a, special[s].arguments, sizeof(a));
	/* So that no terminal is there to hang up. */
	setsid();
	if (strstr(calls[i].name, "fork")) {
		/* May not have children: a child would go on from here, too. */
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

/* Makes the call in a child; how it ended. */
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

int main(int argc, char **argv)
{
	static struct bpf_link *links[MAX_CALLS];
	static int failed[MAX_CALLS];
	/* Each call takes some. */
	struct rlimit files = { 16 * MAX_CALLS, 16 * MAX_CALLS };
	Dl_info library;

	if (argc != 2) {
		fprintf(stderr, "usage: coverage OBJECT\n");
		return 2;
	}
	libbpf_set_print(NULL);
	if (setrlimit(RLIMIT_NOFILE, &files))
		die("setrlimit");
	outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outcome == MAP_FAILED)
		die("mmap");

	has_cookies = true;
	for (int i = 0; i < CALLS; i++) {
		struct bpf_program *program = program_for(i, argv[1]);
		LIBBPF_OPTS(bpf_ksyscall_opts, opts, .bpf_cookie = has_cookies ? i : 0);

		links[i] = bpf_program__attach_ksyscall(program, calls[i].name, &opts);
		failed[i] = links[i] ? 0 : errno;
	}
	if (!dladdr(dlsym(RTLD_DEFAULT, "bpf_program__attach_ksyscall"), &library))
		die("dladdr");
	printf("# %s, %s\n", strrchr(library.dli_fname, '/') + 1,
	       has_cookies ? "by cookies" : "by a program for each call");

	for (int i = 0; i < CALLS; i++) {
		const char *result = try_call(i), *separator = "";

		printf("%s\t%ld\t%s\t%s\t%u\t%s\t", calls[i].name, calls[i].number,
		       links[i] ? "ok" : strerrorname_np(failed[i]) ?: "E?",
		       links[i] ? function_of(links[i]) : "-", coverage->hits[i], result);
		for (int other = 0; other < CALLS; other++)
			if (other != i && coverage->hits[other]) {
				printf("%s%s", separator, calls[other].name);
				separator = " ";
			}
		printf("%s\n", *separator ? "" : "-");
	}
	printf("# end\n");
	fflush(stdout);
	/* The kernel takes the probes away. */
	_exit(0);
}
