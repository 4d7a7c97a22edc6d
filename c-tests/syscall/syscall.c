/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Prints what a program observes when it calls syscall(2). testing/test_syscall.py runs this program with the
 * C library's syscall() and with this library's, both preloaded and linked, and compares the outputs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern int early_result __attribute__((weak));

#ifndef SYS_mmap
#define SYS_mmap SYS_mmap2
#endif

/* Sets errno to a known value, makes a call and prints its result and errno. */
#define SHOW(...)                                                              \
	do {                                                                   \
		errno = 4242;                                                  \
		long result_ = syscall(__VA_ARGS__);                           \
		int error_ = errno;                                            \
		printf("%s = %ld, errno %d\n", #__VA_ARGS__, result_, error_); \
	} while (0)

static void arguments(void)
{
	static char page[4096] __attribute__((aligned(4096)));
	int fd = memfd_create("file", 0);
	SHOW(SYS_write, fd, "abcdef", 6);
	/* mmap() has six arguments; the last is the offset. */
	char *mapped = (char *)syscall(SYS_mmap, page, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0L);
	printf("mapped %d: %s\n", mapped == page, page);
	SHOW(SYS_mmap, NULL, 4096L, (long)PROT_READ, (long)MAP_SHARED, (long)fd, 1L);
	SHOW(SYS_pread64, fd, page, 3, 0);
	SHOW(SYS_close, -1);
#ifndef __arm__ /* raises SIGILL on Arm */
	SHOW(-1L);
#endif
	SHOW(999L, 1, 2, 3, 4, 5, 6);
	close(fd);
}

static void events(void)
{
	struct perf_event_attr attr = { .size = 1 };
	char bytes[2 * sizeof(attr)],
		*end = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	end += 4096;
	munmap(end, 4096);
	SHOW(SYS_perf_event_open, NULL, 0, -1, -1, 0);
	SHOW(SYS_perf_event_open, -1L, 0, -1, -1, 0);
	SHOW(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	printf("the kernel says a size: %d\n", attr.size > 64);
	attr = (struct perf_event_attr){ .type = 0xfffffff0,
					 .size = 72,
					 .config1 = (unsigned long)"__x64_sys_stat" };
	SHOW(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	/* Each round makes one more byte of the structure readable. */
	for (size_t left = 1; left <= 80; left++) {
		memset(bytes, 0xff, sizeof(bytes));
		memcpy(bytes, &attr, sizeof(attr));
		memcpy(end - left, bytes, left);
		errno = 0;
		long result = syscall(SYS_perf_event_open, end - left, 0, -1, -1, 0);
		printf("%zu readable bytes: %ld, errno %d\n", left, result, errno);
	}
}

static long in_handler, error_in_handler;

static void on_signal(int signal)
{
	struct perf_event_attr attr = { .type = 0xfffffff0, .size = 72 };
	(void)signal;
	in_handler = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	error_in_handler = errno;
}

static void signals(void)
{
	static char stack[1 << 14];
	stack_t small = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	sigaltstack(&small, NULL);
	sigaction(SIGUSR1, &action, NULL);
	SHOW(SYS_kill, getpid(), SIGUSR1);
	printf("in a handler: %ld, errno %ld\n", in_handler, error_in_handler);
	/* A signal interrupts the call with EINTR. */
	struct itimerval soon = { .it_value.tv_usec = 1, .it_interval.tv_usec = 1000 };
	action.sa_flags = 0;
	sigaction(SIGALRM, &action, NULL);
	syscall(SYS_setitimer, ITIMER_REAL, &soon, NULL);
	errno = 0;
	long waited = syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
	int error = errno;
	syscall(SYS_setitimer, ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	printf("ppoll = %ld, errno %d\n", waited, error);
}

static int cleaned;

static void clean(void *unused)
{
	(void)unused;
	cleaned++;
}

static pthread_barrier_t barrier;

/*
 * Makes calls while a cancellation is pending. All calls must complete, because syscall() is not a
 * cancellation point.
 */
static void *deferred(void *unused)
{
	(void)unused;
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 100; i++)
		syscall(SYS_getppid);
	syscall(SYS_nanosleep, &(struct timespec){ .tv_nsec = 1 }, NULL);
	return (void *)1;
}

/* A thread that is cancelled during a call. The C library then unwinds the stack through syscall(). */
static void *asynchronous(void *unused)
{
	(void)unused;
	pthread_cleanup_push(clean, NULL);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	pthread_barrier_wait(&barrier);
	for (;;)
		syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancellation(void)
{
	pthread_t thread;
	void *result;
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, deferred, NULL);
	pthread_barrier_wait(&barrier);
	pthread_cancel(thread);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, &result);
	printf("deferred: goes on %d\n", result == (void *)1);
	pthread_create(&thread, NULL, asynchronous, NULL);
	pthread_barrier_wait(&barrier);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	printf("asynchronous: ended %d, cleaned %d\n", result == PTHREAD_CANCELED, cleaned);
}

#ifdef __x86_64__
/*
 * The vfork() child shares the stack with its parent, which resumes afterwards. The child overwrites
 * the stack below the return address of syscall(): the parent must not need any data there.
 */
__attribute__((noinline)) static void vforks(void)
{
	int status;
	long child = syscall(SYS_vfork);
	if (child == 0)
		__asm__ volatile("lea -8(%%rsp), %%rdi\n"
				 "mov $64, %%ecx\n"
				 "1: sub $8, %%rdi\n"
				 "movq $-1, (%%rdi)\n"
				 "loop 1b\n"
				 "mov $7, %%edi\n"
				 "mov $231, %%eax\n"
				 "syscall\n"
				 :
				 :
				 : "rax", "rcx", "rdi", "r11", "memory");
	if (waitpid((pid_t)child, &status, 0) != child)
		status = -1;
	printf("vfork: exit status %d\n", WEXITSTATUS(status));
}

static int looked_at;

/*
 * Handles the seccomp trap on rt_sigprocmask() with an invalid `how`. The library makes this call to check
 * whether memory is readable.
 */
static void on_trap(int signal, siginfo_t *info, void *context)
{
	ucontext_t *state = context;
	(void)signal, (void)info;
	looked_at = 1;
	state->uc_mcontext.gregs[REG_RAX] = -EINVAL;
}

/* Whether the library inspects calls to perf_event_open(): if so, its readability check triggers the trap. */
static int is_active(const char *library)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigprocmask, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x7fffffff, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(filter) / sizeof(filter[0]), .filter = filter };
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	struct perf_event_attr attr = { .type = 8, .size = 72 };
	long (*function)(long, ...) = syscall;
	if (library) {
		void *opened = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
		if (!opened)
			return -1;
		*(void **)&function = dlsym(opened, "syscall");
	}
	/* At this point, removing LD_PRELOAD from the environment must have no effect. */
	unsetenv("LD_PRELOAD");
	sigaction(SIGSYS, &action, NULL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return -1;
	function(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	return looked_at;
}
#endif

int main(int argc, char **argv)
{
#ifdef __x86_64__
	if (argc > 1)
		return printf("%d\n", is_active(argc > 2 ? argv[2] : NULL)) < 0;
	vforks();
#else
	(void)argc, (void)argv;
#endif
	if (&early_result)
		printf("before the program: %d\n", early_result);
	arguments();
	events();
	signals();
	cancellation();
	return 0;
}
