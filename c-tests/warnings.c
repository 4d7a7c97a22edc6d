/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tests that a failed attach reports its reason once, through the callback set by libbpf_set_print(). */
#include "messages.h"
#include "programs.h"

/* The snapshots in src/snapshots contain the full text. */
TEST(a_failure_is_reported_once_with_both_names)
{
	struct programs p = LOAD(count);
	struct bpf_program *prog = program(&p, "on_entry");
	libbpf_set_print(keep_warning);
	CHECK_FAILS(bpf_program__attach_ksyscall(prog, "opnat", NULL), ENOENT);
	CHECK_TEXT(warned,
		   "libksyscall: prog 'on_entry': syscall 'opnat': no system call opnat: this kernel does "
		   "not have it: tried __x64_sys_opnat; did you mean openat?\n");
	forget_warnings();
	CHECK_FAILS(bpf_program__attach_ksyscall(NULL, NULL, NULL), EINVAL);
	CHECK_TEXT(warned, "libksyscall: prog '(null)': syscall '(null)': the name is NULL\n");
	CHECK_EQ(warnings, 1);
	unload(&p);
}

/*
 * Kernel functions with these names exist, but no x86-64 system call reaches them. With libbpf, a tool with
 * one program per name attaches to these functions, so the attach must succeed here too.
 */
TEST(a_function_that_no_call_reaches_is_attached_to_with_one_warning)
{
	static const char *const names[] = { "uselib", "socketcall", "getuid16" };
	struct programs p = LOAD(count);
	libbpf_set_print(keep_warning);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char says[80];
		snprintf(says, sizeof(says), "no system call reaches __x64_sys_%s ", names[i]);
		forget_warnings();
		struct bpf_link *entry = ATTACH(program(&p, "on_entry"), names[i], NULL);
		CHECK_EQ(warnings, 1);
		CHECK_HAS(warned, "'on_entry'");
		CHECK_HAS(warned, says);
		/* The warning is printed once per function, for entry and return probes together. */
		struct bpf_link *back = ATTACH(program(&p, "on_return"), names[i], RETPROBE);
		CHECK_EQ(warnings, 1);
		syscall(SYS_uselib, "");
		syscall(SYS_getuid);
		CHECK_EQ(counted(&p, ON_ENTRY), 0);
		CHECK_EQ(counted(&p, ON_RETURN), 0);
		DESTROY(back);
		DESTROY(entry);
	}
	unload(&p);
}

TEST(the_callback_is_unchanged)
{
	struct programs p = LOAD(count);
	libbpf_set_print(keep_warning);
	CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), "no_such_call", NULL), ENOENT);
	CHECK(libbpf_set_print(NULL) == keep_warning);
	messages = 0;
	CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), "no_such_call", NULL), ENOENT);
	CHECK_EQ(messages, 0);
	CHECK(!libbpf_set_print(keep_warning));
	DESTROY(ATTACH(program(&p, "on_entry"), CALL, NULL));
	CHECK_EQ(warnings, 1);
	unload(&p);
}

/* libbpf's default callback prints to stderr with vfprintf(). */
TEST(without_a_callback_it_goes_to_stderr)
{
	struct programs p = LOAD(count);
	char said[2048];
	CAPTURE_STDERR(said, {
		DESTROY(ATTACH(program(&p, "on_entry"), CALL, NULL));
		CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), "no%dcall", NULL), EINVAL);
	});
	CHECK_HAS(said, "'on_entry'");
	CHECK_HAS(said, "'no%dcall'");
	CHECK(strchr(said, '\n') == said + strlen(said) - 1);
	unload(&p);
}

MAIN
