/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Simulates a tracer with a program for every call in <asm/unistd.h>. The tracer skips a call if the kernel
 * lacks the function that libbpf would probe. All links together must stay within the default limit on open
 * fds.
 */
#include "programs.h"

#include <sys/resource.h>

#include "each.skel.h"

/* The names that syscall_64.tbl lists without an entry point. */
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

/*
 * Enables loading for the programs whose __x64_sys_ function exists; returns their number.
 * Before Linux 6.1, not even libbpf can probe functions that ftrace does not list.
 */
static int choose(const struct bpf_object *object)
{
	const char *list = "/proc/kallsyms", *form = "%*x %*c __x64_sys_%255s";
	struct bpf_program *prog;
	char line[512], name[256];
	int count = 0;
	if (!kernel_is_at_least(6, 1)) {
		list = "/sys/kernel/tracing/available_filter_functions";
		form = "__x64_sys_%255s";
	}
	bpf_object__for_each_program(prog, object)
		CHECK_EQ(bpf_program__set_autoload(prog, false), 0);
	FILE *file = fopen(list, "re");
	CHECK(file);
	while (fgets(line, sizeof(line), file)) {
		char in_object[300];
		if (sscanf(line, form, name) != 1)
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
	struct rlimit usual = { 1024, 1024 };
	CHECK(setrlimit(RLIMIT_NOFILE, &usual) == 0);
	struct each_bpf *skeleton = each_bpf__open();
	CHECK(skeleton);
	int count = choose(skeleton->obj);
	CHECK(count > 300);
	CHECK_EQ(each_bpf__load(skeleton), 0);
	int fds = count_fds(), links = count_links();
	struct bpf_program *prog;
	libbpf_set_print(count_warnings);
	if (each_bpf__attach(skeleton) != 0)
		FAIL("errno %d, the last warning: %s", errno, other);
	CHECK_EQ(count_fds(), fds + count);
	CHECK_EQ(count_links(), has_perf_links() ? links + count : links);
	CHECK_TEXT(other, "");
	int said = 0;
	for (int i = 0; i < UNREACHED; i++) {
		char in_object[64];
		snprintf(in_object, sizeof(in_object), "on_%s", unreached[i]);
		CHECK(prog = bpf_object__find_program_by_name(skeleton->obj, in_object));
		if (warnings_of[i] != bpf_program__autoload(prog))
			FAIL("%d warnings of %s", warnings_of[i], unreached[i]);
		said += warnings_of[i];
	}
	CHECK(said > 0);
	/* Each warning is printed only once. */
	struct bpf_link *again = bpf_program__attach(skeleton->progs.on_set_thread_area);
	CHECK(again);
	CHECK_EQ(warnings, said);
	DESTROY(again);
	each_bpf__detach(skeleton);
	CHECK_EQ(count_fds(), fds);
	each_bpf__destroy(skeleton);
}

MAIN
