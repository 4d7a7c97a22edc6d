/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Traces the system calls that an attach and a destroy make. */
#include "programs.h"

#include <sys/ptrace.h>
#include <sys/user.h>

/* The traced child marks its progress by making calls with these invalid system call numbers. */
enum { MARK = 100000, MARKS = 6 };

struct trace {
	char text[MARKS][1024];
	int opened[MARKS];
};

static void note(struct trace *trace, int mark, long number)
{
	static const struct {
		long number;
		const char *name;
	} names[] = {
		{ SYS_perf_event_open, "perf_event_open" },
		{ SYS_bpf, "bpf" },
		{ SYS_close, "close" },
		{ SYS_ioctl, "ioctl" },
		{ SYS_openat, "openat" },
		{ SYS_read, "read" },
		{ SYS_mmap, "mmap" },
		{ SYS_madvise, "madvise" },
	};
	char unknown[16];
	const char *name = unknown;
	/* Ignore brk(): the heap may grow for the first link. */
	if (mark == 0 && number == SYS_brk)
		return;
	snprintf(unknown, sizeof(unknown), "%ld", number);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == number)
			name = names[i].name;
	char *text = trace->text[mark];
	size_t length = strlen(text);
	snprintf(text + length, sizeof(trace->text[mark]) - length, "%s%s", length ? " " : "", name);
	trace->opened[mark] += number == SYS_perf_event_open;
}

static void work(const char *name, const struct bpf_ksyscall_opts *opts)
{
	struct programs p = LOAD(count);
	struct bpf_program *prog = program(&p, "on_entry");
	for (int i = 0; i < MARKS - 1; i += 2) {
		syscall(MARK + i);
		struct bpf_link *link = ATTACH(prog, name, opts);
		syscall(MARK + i + 1);
		DESTROY(link);
	}
	syscall(MARK + MARKS);
	unload(&p);
}

/* Attaches and destroys three times in a child, and records the calls that follow each mark. */
static void trace_work(struct trace *trace, const char *name, const struct bpf_ksyscall_opts *opts)
{
	struct user_regs_struct registers;
	int status, mark = -1;
	bool entering = true;
	pid_t child = fork();
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		work(name, opts);
		_exit(PASSED);
	}
	CHECK(waitpid(child, &status, 0) == child);
	ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	while (ptrace(PTRACE_SYSCALL, child, 0, 0) == 0 && waitpid(child, &status, 0) == child &&
	       WIFSTOPPED(status)) {
		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		CHECK(ptrace(PTRACE_GETREGS, child, 0, &registers) == 0);
		long number = (long)registers.orig_rax;
		if (entering && number >= MARK)
			mark = number - MARK;
		else if (entering && mark >= 0 && mark < MARKS)
			note(trace, mark, number);
		entering = !entering;
	}
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), PASSED);
	CHECK_EQ(mark, MARKS);
}

#define FOUR_FILES "openat read close openat read close openat read close openat read close "

static void costs(const char *name, const struct bpf_ksyscall_opts *opts)
{
	static struct trace trace;
	memset(&trace, 0, sizeof(trace));
	trace_work(&trace, name, opts);
	/*
	 * The first attach allocates memory to cache libbpf's functions, reads two files to check whether
	 * the kernel runs probes, and reads sysfs. The attach needs no extra calls to detect kernel features:
	 * the calls that the attach makes anyway reveal the features.
	 */
	CHECK_EQ(trace.opened[0], 1);
	CHECK_TEXT(trace.text[0], has_perf_links() ? "mmap madvise " FOUR_FILES "perf_event_open bpf close"
						   : "mmap madvise " FOUR_FILES
						     "perf_event_open bpf bpf ioctl");
	for (int i = 1; i < MARKS; i++)
		CHECK_TEXT(trace.text[i], i % 2		     ? "close"
					  : has_perf_links() ? "perf_event_open bpf close"
							     : "perf_event_open bpf ioctl");
}

TEST(an_attach_and_a_destroy)
{
	costs(CALL, NULL);
}

TEST(a_return_probe_needs_no_more_system_calls)
{
	costs(CALL, RETPROBE);
}

TEST(a_call_that_another_function_serves_needs_no_more_system_calls)
{
	costs("stat", NULL);
}

MAIN
