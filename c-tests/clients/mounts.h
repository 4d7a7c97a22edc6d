/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the programs of mounts.bpf.c tell mounts.c. */
#ifndef MOUNTS_H
#define MOUNTS_H

struct event {
	int is_umount;
	int result;
	unsigned long flags;
	char source[16];
	char target[32];
	char type[16];
	char data[16];
};

#endif
