/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Takes the six arguments of a call by each of libbpf's ways to. */
#include "kernel.bpf.h"

enum { ARGUMENTS = 6 };

unsigned long by_ksyscall[ARGUMENTS], by_core[ARGUMENTS], by_probe_read[ARGUMENTS];
unsigned long five[5];
unsigned long cookie, calls;
long result;

SEC("ksyscall/copy_file_range")
int BPF_KSYSCALL(on_ksyscall, unsigned long a, unsigned long b, unsigned long c, unsigned long d,
		 unsigned long e, unsigned long f)
{
	if (!is_traced())
		return 0;
	by_ksyscall[0] = a;
	by_ksyscall[1] = b;
	by_ksyscall[2] = c;
	by_ksyscall[3] = d;
	by_ksyscall[4] = e;
	by_ksyscall[5] = f;
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("ksyscall/copy_file_range")
int on_core(struct pt_regs *ctx)
{
	struct pt_regs *regs = PT_REGS_SYSCALL_REGS(ctx);

	if (!is_traced())
		return 0;
	by_core[0] = PT_REGS_PARM1_CORE_SYSCALL(regs);
	by_core[1] = PT_REGS_PARM2_CORE_SYSCALL(regs);
	by_core[2] = PT_REGS_PARM3_CORE_SYSCALL(regs);
	by_core[3] = PT_REGS_PARM4_CORE_SYSCALL(regs);
	by_core[4] = PT_REGS_PARM5_CORE_SYSCALL(regs);
	by_core[5] = PT_REGS_PARM6_CORE_SYSCALL(regs);
	return 0;
}

/* Without a name in the section: attached by the function, with a cookie. */
SEC("ksyscall")
int on_probe_read(struct pt_regs *ctx)
{
	struct pt_regs *regs = PT_REGS_SYSCALL_REGS(ctx);

	if (!is_traced())
		return 0;
	bpf_probe_read_kernel(&by_probe_read[0], sizeof(long), &PT_REGS_PARM1_SYSCALL(regs));
	bpf_probe_read_kernel(&by_probe_read[1], sizeof(long), &PT_REGS_PARM2_SYSCALL(regs));
	bpf_probe_read_kernel(&by_probe_read[2], sizeof(long), &PT_REGS_PARM3_SYSCALL(regs));
	bpf_probe_read_kernel(&by_probe_read[3], sizeof(long), &PT_REGS_PARM4_SYSCALL(regs));
	bpf_probe_read_kernel(&by_probe_read[4], sizeof(long), &PT_REGS_PARM5_SYSCALL(regs));
	bpf_probe_read_kernel(&by_probe_read[5], sizeof(long), &PT_REGS_PARM6_SYSCALL(regs));
	cookie = bpf_get_attach_cookie(ctx);
	return 0;
}

SEC("kretsyscall/copy_file_range")
int BPF_KRETPROBE(on_return, long value)
{
	if (is_traced())
		result = value;
	return 0;
}

SEC("ksyscall/prctl")
int BPF_KSYSCALL(on_prctl, int option, unsigned long b, unsigned long c, unsigned long d, unsigned long e)
{
	if (!is_traced())
		return 0;
	five[0] = option;
	five[1] = b;
	five[2] = c;
	five[3] = d;
	five[4] = e;
	return 0;
}

/* Loaded only where a test asks for it: no kprobe takes a sleepable program. */
SEC("?ksyscall/getpgid")
int on_sleepable(void *ctx)
{
	(void)ctx;
	return 0;
}
