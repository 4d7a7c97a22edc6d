/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the BPF programs and the C programs share. */
#ifndef CALLS_H
#define CALLS_H

/* What one BPF program, or one attachment, has seen of the watched thread. */
struct calls {
	__u64 count;
	__u64 argument;
	__u64 result;
	__u64 cookie;
};

/* What ksyscall.bpf.h said of a call. */
struct passed {
	__s64 arguments[6];
	__s64 number;
	__s64 is_compat;
};

/* Slots of the map. An attachment with a cookie counts in the slot `cookie % SLOTS`. */
enum { ON_ENTRY, ON_RETURN, ON_SYS_ENTER, ON_SYS_EXIT, SLOTS = 8 };

#endif
