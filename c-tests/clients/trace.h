/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Events that the programs in trace.bpf.c send to trace.c. */
#ifndef TRACE_H
#define TRACE_H

enum what { KILL, KILL_RETURN, OPENAT, OPENAT_RETURN };

struct event {
	int what;
	int first;
	int second;
	long result;
	char path[32];
};

#endif
