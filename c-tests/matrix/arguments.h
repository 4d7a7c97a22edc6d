/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Data that the arguments program and its BPF programs share through a mapped array. */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <linux/types.h>

/* More than the number of calls on any architecture. */
#define MAX_CALLS 1024

struct seen {
	/* How many times the call's program ran for the thread that makes the call. */
	__u32 hits;
	/* What the program saw when it first ran. */
	__s32 number;
	__u32 is_compat;
	__u32 padding;
	__u64 arguments[6];
};

struct arguments {
	/* The thread that is making a call, or 0 if no call is in progress. */
	__u32 armed;
	/* The offset of thread_info.status in an x86-64 task, for programs without CO-RE. */
	__u32 thread_status;
	struct seen calls[MAX_CALLS];
	/* The path passed to openat: the results of reading it at entry and at return (a length or a
	 * negative errno), and the text read at return. */
	__s64 at_entry;
	__s64 at_return;
	char path[32];
};

#endif
