/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Counts system calls and user-space instructions by single-stepping: the processor traps after each
 * instruction, and after a system call, orig_rax contains the call's number. A string instruction with a
 * repeat prefix counts once for each repetition.
 *
 *   count calls|steps CONTESTANT kprobe|kretprobe   counts between two marks; `calls` does not count
 *                                                   instructions
 *   count start NAME PROGRAM [VARIABLE=VALUE]       counts from a program's exec to its exit
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "marks.h"

static const char *const names[] = {
	[FIRST_ATTACH - END] = "first_attach",
	[ATTACH - END] = "attach",
	[DESTROY - END] = "destroy",
};

struct counts {
	long instructions, calls;
};

static void die(const char *what)
{
	fprintf(stderr, "count: %s: %s\n", what, strerror(errno));
	exit(1);
}

static pid_t start(char **arguments, char *variable)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (child == 0) {
		if (variable)
			putenv(variable);
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) == 0)
			execv(arguments[0], arguments);
		die(arguments[0]);
	}
	/* The child stops after its exec. */
	if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		exit(1);
	if (ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		die("PTRACE_SETOPTIONS");
	return child;
}

/* Continues the child to its next stop and delivers its signals; returns false if the child terminated. */
static bool go_on(pid_t child, int how, int *status)
{
	int signal = 0;

	do {
		if (ptrace(how, child, 0, signal))
			die("ptrace");
		if (waitpid(child, status, 0) != child)
			die("waitpid");
		if (!WIFSTOPPED(*status))
			return false;
		signal = WSTOPSIG(*status) & 0x7f;
	} while (signal != SIGTRAP);
	return true;
}

static long call_of(pid_t child)
{
	errno = 0;
	long number = ptrace(PTRACE_PEEKUSER, child, offsetof(struct user_regs_struct, orig_rax), 0);
	if (errno)
		die("PTRACE_PEEKUSER");
	return number;
}

/* Single-steps until the child makes the call `END` or exits. */
static struct counts step(pid_t child, int *status)
{
	struct counts counts = { 0 };

	while (go_on(child, PTRACE_SINGLESTEP, status)) {
		long number = call_of(child);
		counts.instructions++;
		counts.calls += number >= 0;
		if (number == END)
			break;
	}
	return counts;
}

static void sample(const char *head, const char *operation, struct counts counts, bool steps)
{
	printf("sample %s operation=%s unit=syscalls value=%ld\n", head, operation, counts.calls);
	if (steps)
		printf("sample %s operation=%s unit=instructions value=%ld\n", head, operation,
		       counts.instructions);
}

static int count_start(char **argv)
{
	char head[128], *arguments[] = { argv[1], NULL };
	int status;
	pid_t child = start(arguments, argv[2]);
	struct counts counts = step(child, &status);

	/* Add the final exit call and its instruction. */
	counts.instructions++;
	counts.calls++;
	snprintf(head, sizeof(head), "contestant=%s", argv[0]);
	sample(head, "start", counts, true);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* Continues until the child makes the call `END` or exits, and counts only system calls. */
static struct counts follow(pid_t child, int *status)
{
	struct counts counts = { 0 };
	bool entering = true;

	while (go_on(child, PTRACE_SYSCALL, status)) {
		counts.calls += entering;
		if (!entering && call_of(child) == END)
			break;
		entering = !entering;
	}
	return counts;
}

static int count_contestant(char **argv, bool steps)
{
	char head[128], *arguments[] = { argv[0], argv[1], "count", NULL };
	const char *slash = strrchr(argv[0], '/');
	struct counts empty = { 0 };
	bool entering = true;
	int status;
	pid_t child = start(arguments, NULL);

	snprintf(head, sizeof(head), "contestant=%s probe=%s", slash ? slash + 1 : argv[0], argv[1]);
	while (go_on(child, PTRACE_SYSCALL, &status)) {
		long number = call_of(child);
		entering = !entering;
		/* Start counting when the call that sets the mark returns. */
		if (!entering || number <= END || number >= MARKS)
			continue;
		struct counts counts = steps ? step(child, &status) : follow(child, &status);
		if (number == EMPTY) {
			empty = counts;
			continue;
		}
		counts.instructions -= empty.instructions;
		counts.calls -= empty.calls;
		sample(head, names[number - END], counts, steps);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	cpu_set_t first;

	/* Run on the same processor as the child: under emulation, this is four times faster. */
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (sched_setaffinity(0, sizeof(first), &first))
		die("sched_setaffinity");
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc >= 4 && strcmp(argv[1], "start") == 0)
		return count_start(argv + 2);
	if (argc == 4 && (strcmp(argv[1], "calls") == 0 || strcmp(argv[1], "steps") == 0))
		return count_contestant(argv + 2, strcmp(argv[1], "steps") == 0);
	fprintf(stderr, "usage: count calls|steps CONTESTANT PROBE | start NAME PROGRAM [VARIABLE=VALUE]\n");
	return 2;
}
