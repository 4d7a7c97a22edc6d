/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Defines the types and constants that the loader shares with the BPF program that counts returns. */
#ifndef RETURNS_H
#define RETURNS_H

#include <linux/types.h>

/*
 * The function's result if a signal interrupts the sleep: -ERESTART_RESTARTBLOCK, which the caller sees as
 * EINTR (kernel/time/hrtimer.c, include/linux/errno.h).
 */
#define RESULT -516
#define COOKIE 0x1122334455667788ULL

struct tally {
	__u64 returns;
	__u64 cookies;
	__u64 results;
};

#endif
