/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Defines programs in three kinds of sections: those that this library attaches, those that libbpf attaches,
 * and those that neither attaches.
 */
#include "record.bpf.h"

SEC("ksyscall/getpgid")
int on_entry(void)
{
	record(ON_ENTRY);
	return 0;
}

SEC("kretsyscall/getpgid")
int on_return(struct pt_regs *ctx)
{
	struct calls *seen = record(ON_RETURN);
	if (seen)
		seen->result = PT_REGS_RC(ctx);
	return 0;
}

SEC("kprobe/__x64_sys_getpgid")
int on_kprobe(void)
{
	record(ON_KPROBE);
	return 0;
}

SEC("tp/raw_syscalls/sys_enter")
int on_tracepoint(void)
{
	record(ON_TRACEPOINT);
	return 0;
}

/* If libbpf's own function attached this program, the program would never run. */
SEC("ksyscall/stat")
int on_stat(void)
{
	record(ON_STAT);
	return 0;
}

/* Programs in these sections are attached only by an explicit call. */
SEC("ksyscall")
int on_any(void)
{
	return 0;
}

SEC("kretsyscall")
int on_any_return(void)
{
	return 0;
}

SEC("ksyscall/no_such_call")
int on_no_call(void)
{
	return 0;
}

SEC("kprobe/no_such_function")
int on_no_function(void)
{
	return 0;
}

SEC("?mine/getpgid")
int on_mine(void)
{
	return 0;
}
