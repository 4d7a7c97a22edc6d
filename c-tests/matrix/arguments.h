/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the arguments program and its BPF programs share, by a mapped array. */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <linux/types.h>

/* More than any architecture has calls. */
#define MAX_CALLS 1024

struct seen {
	/* How often the call's program ran for the thread that makes it. */
	__u32 hits;
	/* What it saw the first time. */
	__s32 number;
	__u32 is_compat;
	__u32 padding;
	__u64 arguments[6];
};

struct arguments {
	/* The thread that makes a call right now, between the two lines around it; else 0. */
	__u32 armed;
	/* Where x86-64's tasks have thread_info.status, for programs without CO-RE. */
	__u32 thread_status;
	struct seen calls[MAX_CALLS];
	/* The path of openat: what reading it gave at the call's entry and at its return, a length or a
	 * negative errno; and what was read at the return. */
	__s64 at_entry;
	__s64 at_return;
	char path[32];
};

#endif
