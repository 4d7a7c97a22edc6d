/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Data that the coverage program and its BPF program share through a mapped array. */
#ifndef COVERAGE_H
#define COVERAGE_H

#include <linux/types.h>

/* More than the number of calls on any architecture. */
#define MAX_CALLS 1024

struct coverage {
	/* The thread that is making a call; otherwise 0. */
	__u32 armed;
	/* How many times the program ran for the thread during the call, indexed by cookie. */
	__u32 hits[MAX_CALLS];
};

#endif
