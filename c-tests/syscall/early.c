/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A preloaded library that makes system calls before libksyscall and the program are initialized. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

int early_result;

__attribute__((constructor)) static void early(void)
{
	struct perf_event_attr attr = { .size = 1 };
	errno = 0;
	if (syscall(SYS_getpid) == getpid() && errno == 0 && syscall(SYS_close, -1) == -1 && errno == EBADF &&
	    syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0) == -1 && errno == E2BIG)
		early_result = 1;
}
