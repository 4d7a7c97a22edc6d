/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Makes calls that are hard to count: calls by short-lived threads, an execve(2) by a thread other than the
   main thread, and calls on a processor where another process updates BPF maps. Prints what it did, in the
   format of known.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(what)                    \
	do {                           \
		if (!(what)) {         \
			perror(#what); \
			_exit(1);      \
		}                      \
	} while (0)

enum { WAVES = 8, THREADS = 250, CALLS = 100000 };

static void *fail(void *unused)
{
	CHECK(umount2("/nothing", 0) == -1 && errno == ENOENT);
	return unused;
}

/* Starts threads that make one call each and exit. */
static int threads(void)
{
	pthread_t ids[THREADS];

	for (int wave = 0; wave < WAVES; wave++) {
		for (int i = 0; i < THREADS; i++)
			CHECK(pthread_create(&ids[i], NULL, fail, NULL) == 0);
		for (int i = 0; i < THREADS; i++)
			CHECK(pthread_join(ids[i], NULL) == 0);
	}
	printf("did umount2 ENOENT %d\n", WAVES * THREADS);
	return 0;
}

static void *execute(void *arguments)
{
	char **argv = arguments;

	execv(argv[0], argv);
	CHECK(!"execv");
	return NULL;
}

/* Executes another program from a thread other than the main thread. */
static int execute_by_thread(char **argv)
{
	pthread_t id;

	CHECK(pthread_create(&id, NULL, execute, argv) == 0);
	pause();
	return 1;
}

static void update_maps(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 4, .max_entries = 4096
	};
	int map = syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)), key = 0;

	CHECK(map >= 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	for (;;) {
		memset(&attr, 0, sizeof(attr));
		key = (key + 1) % 4096;
		attr.map_fd = map;
		attr.key = attr.value = (unsigned long)&key;
		CHECK(syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr)) == 0);
	}
}

/* Makes calls on a processor where another process updates maps. */
static int calls_next_to_map_updates(void)
{
	cpu_set_t first;
	pid_t pid;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	CHECK(sched_setaffinity(0, sizeof(first), &first) == 0 && (pid = fork()) >= 0);
	if (pid == 0)
		update_maps();
	for (int i = 0; i < CALLS; i++)
		CHECK(syscall(SYS_getpgid, -1) == -1);
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	printf("did getpgid ESRCH %d\n", CALLS);
	return 0;
}

/* Leaves a zombie: a child that has exited but has not been waited for. */
static int zombie(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(0);
	CHECK(waitid(P_PID, pid, NULL, WEXITED | WNOWAIT) == 0);
	printf("%d\n", pid);
	fflush(stdout);
	pause();
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "threads") == 0)
		return threads();
	if (strcmp(what, "exec") == 0 && argc > 2)
		return execute_by_thread(argv + 2);
	if (strcmp(what, "maps") == 0)
		return calls_next_to_map_updates();
	if (strcmp(what, "zombie") == 0)
		return zombie();
	return 2;
}
