/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the attach tests and their BPF programs share, by a mapped array. */
#ifndef ATTACH_H
#define ATTACH_H

#include <linux/types.h>

struct seen {
	/* The thread that makes the calls, so that no other's count. */
	__u32 thread;
	__u32 count;
	/* Of the last call: the cookie, its second argument, and what it returned. */
	__u64 cookie;
	__u32 argument;
	__s32 result;
};

#endif
