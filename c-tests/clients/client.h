/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Contains the code that the clients share. Each client prints a "did ..." line for every call that it makes
 * and a "saw ..." line for every call that its BPF programs see. testing/test_clients.py compares the "did"
 * lines with the "saw" lines, and the whole output with the output under libbpf alone.
 */
#ifndef CLIENT_H
#define CLIENT_H

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define did(format, ...) printf("did " format "\n", ##__VA_ARGS__)
#define saw(format, ...) printf("saw " format "\n", ##__VA_ARGS__)

#define DIE(what)                                                                              \
	do {                                                                                   \
		fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, what, strerror(errno)); \
		exit(1);                                                                       \
	} while (0)

#define CHECK(condition)                 \
	do {                             \
		if (!(condition))        \
			DIE(#condition); \
	} while (0)

/* A PID that no process can have. */
enum { NOBODY = 0x7ffffff1 };

/* The result of a call as the kernel and the BPF programs see it: a negative errno on failure. */
#define RESULT(call)                                  \
	({                                            \
		long result_ = (call);                \
		result_ < 0 ? -(long)errno : result_; \
	})

#endif
