/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the coverage program and its BPF program share, by a mapped array. */
#ifndef COVERAGE_H
#define COVERAGE_H

#include <linux/types.h>

/* More than any architecture has calls. */
#define MAX_CALLS 1024

struct coverage {
	/* The thread that makes a call right now, between the two lines around it; else 0. */
	__u32 armed;
	/* How often the program ran for that thread meanwhile, by cookie. */
	__u32 hits[MAX_CALLS];
};

#endif
