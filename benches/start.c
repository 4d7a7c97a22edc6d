/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Measures how long a program runs from start to end, alternately with and without a preloaded
 * library.
 *
 *   start ROUNDS PROGRAM LIBRARY
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void run(char *program, const char *name, char *variable)
{
	char *arguments[] = { program, NULL }, *environment[] = { variable, NULL };
	struct timespec start, end;
	struct rusage usage;
	int status;
	pid_t child;

	clock_gettime(CLOCK_MONOTONIC, &start);
	errno = posix_spawn(&child, program, NULL, NULL, arguments, environment);
	if (errno || wait4(child, &status, 0, &usage) != child || !WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "start: %s: %s\n", program, strerror(errno));
		exit(1);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("sample contestant=%s operation=start unit=ns value=%lld\n", name,
	       (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec);
	printf("sample contestant=%s operation=start unit=faults value=%ld\n", name,
	       usage.ru_minflt + usage.ru_majflt);
}

int main(int argc, char **argv)
{
	char variable[256];

	if (argc != 4) {
		fprintf(stderr, "usage: start ROUNDS PROGRAM LIBRARY\n");
		return 2;
	}
	snprintf(variable, sizeof(variable), "LD_PRELOAD=%s", argv[3]);
	for (int i = 0; i < atoi(argv[1]); i++) {
		run(argv[2], "plain", NULL);
		run(argv[2], "preloaded", variable);
	}
	return 0;
}
