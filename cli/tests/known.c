/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Makes known numbers of calls that nothing else in a guest makes: in its main thread, in another thread, in
   a child, and in a grandchild whose parent has exited. Prints `did CALL ERRNO TIMES`, where ERRNO is `-` for
   success, and `did32 ...` for 32-bit calls. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
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

static void do_umount2(const char *path, int flags, int expected, int times)
{
	for (int i = 0; i < times; i++)
		CHECK(umount2(path, flags) == -1 && errno == expected);
}

static void *thread(void *unused)
{
	do_umount2("/nothing", 0, ENOENT, 2);
	return unused;
}

/* Pipes: the grandchild waits until `orphaned` is closed, and reports its result through `done`. */
static int orphaned[2], done[2];

static void grandchild(void)
{
	char byte;

	CHECK(close(orphaned[1]) == 0 && read(orphaned[0], &byte, 1) == 0);
	do_umount2("/", 1 << 30, EINVAL, 4);
	CHECK(write(done[1], "", 1) == 1);
	_exit(0);
}

static void child(void)
{
	pid_t pid;

	do_umount2("/", 1 << 30, EINVAL, 3);
	CHECK((pid = fork()) >= 0);
	if (pid == 0)
		grandchild();
	_exit(0);
}

/* On x86-64 a 64-bit process can also make 32-bit calls. Number 158 is sched_yield in syscall_32.tbl. */
static void yield_by_int80(void)
{
#ifdef __x86_64__
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(158L) : "memory", "r8", "r9", "r10", "r11");
	CHECK(result == 0);
	puts("did32 sched_yield - 1");
#endif
}

int main(void)
{
	pthread_t id;
	pid_t pid;
	char byte;

	CHECK(pipe(orphaned) == 0 && pipe(done) == 0);
	do_umount2("/nothing", 0, ENOENT, 5);
	CHECK(pthread_create(&id, NULL, thread, NULL) == 0 && pthread_join(id, NULL) == 0);
	CHECK((pid = fork()) >= 0);
	if (pid == 0)
		child();
	CHECK(waitpid(pid, NULL, 0) == pid);
	/* The grandchild's parent has exited. The second read() returns when the grandchild has also
	   exited. */
	CHECK(close(orphaned[1]) == 0 && close(done[1]) == 0);
	CHECK(read(done[0], &byte, 1) == 1 && read(done[0], &byte, 1) == 0);
	for (int i = 0; i < 20; i++)
		CHECK(syscall(SYS_getpgid, 0) >= 0);
	for (int i = 0; i < 3; i++)
		CHECK(syscall(SYS_getpgid, -1) == -1 && errno == ESRCH);
	for (int i = 0; i < 6; i++)
		CHECK(syscall(SYS_sched_yield) == 0);
	yield_by_int80();
	puts("did umount2 ENOENT 7\ndid umount2 EINVAL 7\ndid getpgid - 20\ndid getpgid ESRCH 3\ndid "
	     "sched_yield - 6\ndid exit_group - 3");
	fflush(stdout);
	_exit(9);
}
