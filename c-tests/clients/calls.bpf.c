/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts the system calls that objects.cpp makes. */
#include "kernel.bpf.h"

unsigned long entries, returns, others;
long last_argument, last_result;

/* The programs count only calls with this argument, which no other process uses. */
enum { NOBODY = 0x7ffffff1 };

SEC("ksyscall/getpgid")
int BPF_KSYSCALL(on_entry, int pid)
{
	if (pid != NOBODY)
		return 0;
	last_argument = pid;
	__sync_fetch_and_add(&entries, 1);
	return 0;
}

SEC("kretsyscall/getpgid")
int BPF_KRETPROBE(on_return, long result)
{
	if (!traced || is_traced()) {
		last_result = result;
		__sync_fetch_and_add(&returns, 1);
	}
	return 0;
}

/* The section names no system call, so only an explicit call attaches this program. */
SEC("ksyscall")
int BPF_KSYSCALL(on_other, int pid)
{
	if (pid == NOBODY)
		__sync_fetch_and_add(&others, 1);
	return 0;
}
