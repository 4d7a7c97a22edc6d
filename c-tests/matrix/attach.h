/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Data that the attach tests and their BPF programs share through a mapped array. */
#ifndef ATTACH_H
#define ATTACH_H

#include <linux/types.h>

struct seen {
	/* The thread whose calls are counted. */
	__u32 thread;
	__u32 count;
	/* The last call's cookie, second argument and return value. */
	__u64 cookie;
	__u32 argument;
	__s32 result;
};

#endif
