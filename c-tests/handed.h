/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Records the arguments of libbpf's bpf_object__attach_skeleton(). handed.c is a library that
 * interposes on this function between libksyscall and libbpf.
 */
#ifndef HANDED_H
#define HANDED_H

#include <stdbool.h>
#include <stddef.h>

enum { HANDED_MOST = 8, HANDED_BYTES = 4096 };

struct handed {
	const void *skeleton;
	size_t size;
	char bytes[HANDED_BYTES];
};

extern struct handed handed[HANDED_MOST];
extern int handed_count;
/* Whether to call libbpf's function after recording its arguments. */
extern bool hand_on;

#endif
