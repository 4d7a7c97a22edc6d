/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* interrupted N COMMAND...: runs a command and sends it SIGINT at its Nth perf_event_open(2). Exits with the
   command's exit status, or with 128 plus the number of the signal that killed it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct __ptrace_syscall_info info;
	int left = argc > 2 ? atoi(argv[1]) : 0, status;
	pid_t pid;

	if (left < 1 || (pid = fork()) < 0)
		return 2;
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	/* PTRACE_TRACEME stops the command after its execve(2). */
	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (int signal = 0; !WIFEXITED(status) && !WIFSIGNALED(status);) {
		if (ptrace(PTRACE_SYSCALL, pid, 0, signal) || waitpid(pid, &status, 0) != pid) {
			perror("ptrace");
			return 2;
		}
		signal = 0;
		if (!WIFSTOPPED(status))
			continue;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
			signal = WSTOPSIG(status);
			continue;
		}
		ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_perf_event_open &&
		    --left == 0)
			kill(pid, SIGINT);
	}
	if (left > 0) {
		fprintf(stderr, "there were %d calls too few\n", left);
		return 2;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
