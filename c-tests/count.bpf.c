/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * BPF programs for Linux 5.10 or later and libbpf 0.3 or later. The C tests name the system call when
 * they attach, so the names after `kprobe/` are unused.
 */
#include "record.bpf.h"

SEC("kprobe/entry")
int on_entry(struct pt_regs *ctx)
{
	struct calls *seen = record(ON_ENTRY);
	if (seen)
		seen->argument = first_argument(ctx);
	return 0;
}

SEC("kprobe/return")
int on_return(struct pt_regs *ctx)
{
	struct calls *seen = record(ON_RETURN);
	if (seen)
		seen->result = PT_REGS_RC(ctx);
	return 0;
}

/* Programs of types that cannot attach to a kprobe. */
SEC("tracepoint/raw_syscalls/sys_enter")
int on_tracepoint(void *ctx)
{
	(void)ctx;
	return 0;
}

SEC("socket")
int on_packet(struct __sk_buff *packet)
{
	(void)packet;
	return 0;
}
