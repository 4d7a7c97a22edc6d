/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Makes a call in a child, because the call may end the process. Kills the child if the call blocks. */
#ifndef CHILD_H
#define CHILD_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

__attribute__((noreturn)) static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(2);
}

/* Maps memory that the children share. */
static inline void *shared(size_t size, int flags, int fd)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	return memory;
}

/* Blocks the signal that run_child() waits for. */
static inline void block_sigchld(sigset_t *chld)
{
	sigemptyset(chld);
	sigaddset(chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, chld, NULL);
}

/*
 * Runs `make(i)` in a child and returns the child's status. `make` never returns and sets *armed while it
 * makes the call. Kills the child if its call blocks forever, as pause() does, but never before the child
 * makes the call.
 */
static inline int run_child(void (*make)(int), int i, volatile __u32 *armed, bool *is_blocked)
{
	static const struct timespec patience = { .tv_sec = 1 };
	sigset_t chld;
	pid_t child;
	int status;

	block_sigchld(&chld);
	*is_blocked = false;
	fflush(stdout);
	child = fork();
	if (child < 0)
		die("fork");
	if (!child)
		make(i);
	while (waitpid(child, &status, WNOHANG) == 0)
		if (sigtimedwait(&chld, NULL, &patience) < 0 && errno == EAGAIN && *armed) {
			*is_blocked = true;
			kill(child, SIGKILL);
		}
	*armed = 0;
	return status;
}

#endif
