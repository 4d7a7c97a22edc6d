/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Data shared by the BPF programs and the C programs. */
#ifndef CALLS_H
#define CALLS_H

/* The watched thread's calls, as seen by one BPF program or one attachment. */
struct calls {
	__u64 count;
	__u64 argument;
	__u64 result;
	__u64 cookie;
};

/* A call, as reported by the macros in ksyscall.bpf.h. */
struct passed {
	__s64 arguments[6];
	__s64 number;
	__s64 is_compat;
};

/* Slots of the map. An attachment with a cookie uses slot `cookie % SLOTS`. */
enum { ON_ENTRY, ON_RETURN, ON_SYS_ENTER, ON_SYS_EXIT, ON_KPROBE, ON_TRACEPOINT, ON_STAT, SLOTS = 8 };

#endif
