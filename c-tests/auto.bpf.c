/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Defines programs that a skeleton attaches by section. */
#include "record.bpf.h"

enum { STAT = 2, UNAME };

SEC("ksyscall/getpgid")
int on_getpgid(struct pt_regs *ctx)
{
	struct calls *seen = record(ON_ENTRY);
	if (seen)
		seen->argument = first_argument(ctx);
	return 0;
}

SEC("kretsyscall/getpgid")
int on_getpgid_return(struct pt_regs *ctx)
{
	struct calls *seen = record(ON_RETURN);
	if (seen)
		seen->result = PT_REGS_RC(ctx);
	return 0;
}

/* libbpf's own attach does not find the kernel functions of these calls. */
SEC("ksyscall/stat")
int on_stat(void)
{
	record(STAT);
	return 0;
}

SEC("ksyscall/uname")
int on_uname(void)
{
	record(UNAME);
	return 0;
}

/* libbpf loads and attaches this program only if a test enables it. */
SEC("?ksyscall/no_such_call")
int on_unknown(void)
{
	return 0;
}
