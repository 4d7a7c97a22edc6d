/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A tool with a program for every call of <asm/unistd.h>, as tracers have. It attaches
 * all for which libbpf's name of the function exists, with the usual limit of fds.
 */
#include "programs.h"

#include <sys/resource.h>

#include "each.skel.h"

/* Of the names, those that the kernel's syscall_64.tbl has without an entry point. */
static const char *const unreached[] = { "uselib", "set_thread_area", "get_thread_area" };
enum { UNREACHED = sizeof(unreached) / sizeof(unreached[0]) };

static int warnings, warnings_of[UNREACHED];
static char other[1024];

static int count_warnings(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char text[1024], prog[64];
	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(text, sizeof(text), format, arguments);
	warnings++;
	for (int i = 0; i < UNREACHED; i++) {
		snprintf(prog, sizeof(prog), "prog 'on_%s'", unreached[i]);
		if (strstr(text, prog) && strstr(text, "no system call reaches")) {
			warnings_of[i]++;
			return 0;
		}
	}
	snprintf(other, sizeof(other), "%s", text);
	return 0;
}

/* Has libbpf load the programs whose function of libbpf's name exists; says how many. */
static int choose(const struct bpf_object *object)
{
	struct bpf_program *prog;
	char line[512], name[256];
	int count = 0;
	bpf_object__for_each_program(prog, object)
		CHECK_EQ(bpf_program__set_autoload(prog, false), 0);
	FILE *file = fopen("/proc/kallsyms", "re");
	CHECK(file);
	while (fgets(line, sizeof(line), file)) {
		char in_object[300];
		if (sscanf(line, "%*x %*c __x64_sys_%255s", name) != 1)
			continue;
		snprintf(in_object, sizeof(in_object), "on_%s", name);
		prog = bpf_object__find_program_by_name(object, in_object);
		if (!prog)
			continue;
		CHECK_EQ(bpf_program__set_autoload(prog, true), 0);
		count++;
	}
	fclose(file);
	return count;
}

TEST(a_program_for_every_call_attaches)
{
	if (!kernel_is_at_least(6, 1))
		SKIP("before 6.1 the kernel refuses probes on some of the functions, libbpf's too");
	struct rlimit usual = { 1024, 1024 };
	CHECK(setrlimit(RLIMIT_NOFILE, &usual) == 0);
	struct each_bpf *skeleton = each_bpf__open();
	CHECK(skeleton);
	int count = choose(skeleton->obj);
	CHECK(count > 300);
	CHECK_EQ(each_bpf__load(skeleton), 0);
	int fds = count_fds(), links = count_links();
	libbpf_set_print(count_warnings);
	if (each_bpf__attach(skeleton) != 0)
		FAIL("errno %d, the last warning: %s", errno, other);
	CHECK_EQ(count_fds(), fds + count);
	CHECK_EQ(count_links(), links + count);
	CHECK_TEXT(other, "");
	for (int i = 0; i < UNREACHED; i++)
		if (warnings_of[i] != 1)
			FAIL("%d warnings of %s", warnings_of[i], unreached[i]);
	/* Not again: each is said once. */
	struct bpf_link *again = bpf_program__attach(skeleton->progs.on_uselib);
	CHECK(again);
	CHECK_EQ(warnings, UNREACHED);
	DESTROY(again);
	each_bpf__detach(skeleton);
	CHECK_EQ(count_fds(), fds);
	each_bpf__destroy(skeleton);
}

MAIN
