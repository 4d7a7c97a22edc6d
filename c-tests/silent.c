/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests kernel states in which an attach succeeds but the program never runs. A process's first attach
 * must warn about the state.
 */
#include "programs.h"

#include "messages.h"

#define FTRACE_ENABLED "/proc/sys/kernel/ftrace_enabled"
#define KPROBES_ENABLED "/sys/kernel/debug/kprobes/enabled"

/*
 * Runs in a child that has not attached before. Even if the child fails, the parent enables kprobes again.
 */
static void attach_while_kprobes_are_off(const struct programs *p)
{
	struct bpf_program *prog = program(p, "on_entry");
	libbpf_set_print(keep_warning);
	struct bpf_link *link = ATTACH(prog, CALL, NULL);
	CHECK_HAS(warned, KPROBES_ENABLED " is 0");
	CHECK_EQ(warnings, 1);
	CHECK(!fires(p, ON_ENTRY));
	DESTROY(link);
	/* The warning is not repeated. */
	DESTROY(ATTACH(prog, CALL, NULL));
	CHECK_EQ(warnings, 1);
}

TEST(disabled_kprobes_are_reported)
{
	struct programs p = LOAD(count);
	CHECK(write_file(KPROBES_ENABLED, "0"));
	pid_t child = fork();
	if (child == 0) {
		watch(p.object);
		attach_while_kprobes_are_off(&p);
		_exit(PASSED);
	}
	int status = FAILED;
	waitpid(child, &status, 0);
	CHECK(write_file(KPROBES_ENABLED, "1"));
	CHECK(child > 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != PASSED)
		_exit(FAILED);
	/* Programs run again. The map still names the child, so make the programs watch this process again. */
	watch(p.object);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	unload(&p);
}

/*
 * Simulates disabled ftrace. If a probe were detached while ftrace was really disabled, Linux 6.1 and 6.12
 * would shut ftrace down until the next boot.
 */
TEST(disabled_ftrace_is_reported)
{
	struct programs p = LOAD(count);
	own_mounts();
	CHECK(write_file("/tmp/ftrace_enabled", "0\n"));
	CHECK(mount("/tmp/ftrace_enabled", FTRACE_ENABLED, NULL, MS_BIND, NULL) == 0);
	libbpf_set_print(keep_warning);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	CHECK_HAS(warned, "kernel.ftrace_enabled is 0");
	CHECK_HAS(warned, "'on_entry'");
	CHECK_EQ(warnings, 1);
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	unload(&p);
}

MAIN
