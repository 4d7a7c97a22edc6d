/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the program that counts returns and its loader agree on. */
#ifndef RETURNS_H
#define RETURNS_H

#include <linux/types.h>

/*
 * What the function gives back of a sleep that a signal ends: -ERESTART_RESTARTBLOCK, of
 * which the caller sees EINTR (kernel/time/hrtimer.c, include/linux/errno.h).
 */
#define RESULT -516
#define COOKIE 0x1122334455667788ULL

struct tally {
	__u64 returns;
	__u64 cookies;
	__u64 results;
};

#endif
