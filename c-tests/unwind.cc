/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests that a C++ exception from the print callback propagates through the library's frames. A C++
 * program requires no special setup for this.
 */
#include "messages.h"
#include "programs.h"

#include <string>

#ifdef LIBBPF_MAJOR_VERSION
EMBED(sections, BPF_FOLDER "/sections.bpf.o");
#endif

struct warning {
	std::string text;
};

static int throw_warning(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char text[1024];
	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(text, sizeof(text), format, arguments);
	throw warning{ text };
}

/* An object in an unwound frame; `alive` counts the objects whose destructors have not run. */
struct guard {
	static int alive;
	guard()
	{
		alive++;
	}
	~guard()
	{
		alive--;
	}
};
int guard::alive;

template <typename Action> static void throws(Action action, const char *said)
{
	int fds = count_fds();
	libbpf_set_print(throw_warning);
	try {
		guard in_this_frame;
		action();
		FAIL("nothing was thrown that says '%s'", said);
	} catch (const warning &caught) {
		CHECK_HAS(caught.text.c_str(), said);
	}
	CHECK_EQ(guard::alive, 0);
	CHECK_EQ(count_fds(), fds);
	CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
	/* The callback is still installed. */
	CHECK(libbpf_set_print(keep_warning) == throw_warning);
}

static void attach(const struct programs &p, const char *prog, const char *name, bool retprobe = false)
{
	guard in_this_frame;
	struct bpf_ksyscall_opts opts = {};
	opts.sz = sizeof(opts);
	opts.retprobe = retprobe;
	bpf_program__attach_ksyscall(program(&p, prog), name, &opts);
}

static void works_and_warns(const struct programs &p)
{
	forget_warnings();
	libbpf_set_print(keep_warning);
	CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), "no_such_call", NULL), ENOENT);
	CHECK_EQ(warnings, 1);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	CHECK_EQ(warnings, 1);
}

TEST(an_exception_of_a_warning_reaches_the_caller)
{
	struct programs p = LOAD(count);
	for (int i = 0; i < 2; i++) {
		bool retprobe = i == 1;
		throws([&] { attach(p, "on_entry", "no_such_call", retprobe); }, "'no_such_call'");
		throws([&] { attach(p, "on_entry", "no such call", retprobe); }, "'no such call'");
		throws([&] { attach(p, "on_packet", CALL, retprobe); }, CALL_SYMBOL);
		throws([&] { bpf_program__attach_ksyscall(NULL, CALL, NULL); }, "NULL");
		works_and_warns(p);
	}
	unload(&p);
}

/* The library warns before it attaches: if the callback threw after the attach, nobody would own the link. */
TEST(also_the_warning_about_a_function_that_no_call_reaches)
{
	struct programs p = LOAD(count);
	throws([&] { attach(p, "on_entry", "uselib"); }, "__x64_sys_uselib");
	works_and_warns(p);
	/* The warning is not repeated. */
	forget_warnings();
	DESTROY(ATTACH(program(&p, "on_entry"), "uselib", NULL));
	CHECK_EQ(warnings, 0);
	unload(&p);
}

#ifdef LIBBPF_MAJOR_VERSION
TEST(an_attach_by_section_also_throws)
{
	struct programs p = LOAD(sections);
	throws([&] { bpf_program__attach(program(&p, "on_no_call")); }, "no_such_call");
	forget_warnings();
	CHECK(!bpf_program__attach(program(&p, "on_no_call")));
	CHECK(warnings > 0);
	struct bpf_link *link = bpf_program__attach(program(&p, "on_entry"));
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	unload(&p);
}
#endif

MAIN
