/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts calls to getpgid and clone3 with kprobes and tracepoints, so that unseen.c can compare them. */
#include <asm/unistd.h>
#include "record.bpf.h"

SEC("kprobe/entry")
int on_entry(void *ctx)
{
	(void)ctx;
	record(ON_ENTRY);
	return 0;
}

SEC("kprobe/return")
int on_return(void *ctx)
{
	(void)ctx;
	record(ON_RETURN);
	return 0;
}

static __always_inline void record_tracepoint(__u32 slot, long number, long result)
{
	struct calls *seen = number == __NR_getpgid || number == __NR_clone3 ? record(slot) : 0;

	if (seen)
		seen->result = result;
}

SEC("raw_tp/sys_enter")
int on_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	record_tracepoint(ON_SYS_ENTER, ctx->args[1], 0);
	return 0;
}

SEC("raw_tp/sys_exit")
int on_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *registers = (struct pt_regs *)ctx->args[0];
	long number = -1;

	bpf_probe_read_kernel(&number, sizeof(number), &registers->orig_rax);
	record_tracepoint(ON_SYS_EXIT, number, ctx->args[1]);
	return 0;
}
