/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Measures how long a system call takes while a tool counts the call, and how long the tool takes to start:
 *
 *   calls NAME                         runs alone, or is started by the tool
 *   calls NAME WORD COMMAND...         runs alongside COMMAND, once COMMAND has printed WORD on its terminal
 */
#include <errno.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 10000, ROUNDS = 5 };

static long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "calls: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Starts the command and waits until it prints `word`. */
static pid_t start(char **argv, const char *name, const char *word, int *terminal)
{
	char text[4096] = "";
	size_t length = 0;
	long begun = now();
	pid_t pid = forkpty(terminal, NULL, NULL, NULL);

	if (pid < 0)
		die("forkpty");
	if (pid == 0) {
		execv(argv[0], argv);
		die(argv[0]);
	}
	while (!strstr(text, word)) {
		ssize_t count = read(*terminal, text + length, sizeof(text) - 1 - length);
		if (count <= 0) {
			fprintf(stderr, "calls: %s ended: %s\n", argv[0], text);
			exit(1);
		}
		length += count;
		text[length] = 0;
	}
	printf("sample contestant=%s operation=ready value=%ld\n", name, now() - begun);
	return pid;
}

static void measure(const char *name)
{
	for (int round = 0; round < ROUNDS; round++) {
		long begun = now();
		for (int i = 0; i < CALLS; i++)
			syscall(SYS_getppid);
		/* Discard the first round, which includes one-time costs. */
		if (round)
			printf("sample contestant=%s operation=call value=%ld\n", name,
			       (now() - begun) / CALLS);
	}
}

int main(int argc, char **argv)
{
	char rest[4096];
	int terminal;
	pid_t pid = 0;

	if (argc == 3 || argc < 2)
		return 2;
	if (argc > 3)
		pid = start(argv + 3, argv[1], argv[2], &terminal);
	measure(argv[1]);
	fflush(stdout);
	if (pid) {
		kill(pid, SIGINT);
		while (read(terminal, rest, sizeof(rest)) > 0)
			;
		waitpid(pid, NULL, 0);
	}
	return 0;
}
