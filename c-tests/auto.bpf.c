/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Programs that a skeleton attaches by what their section says. */
#include "record.bpf.h"

enum { STAT = 2, UNAME, UNKNOWN };

SEC("ksyscall/getpgid")
int BPF_KSYSCALL(on_getpgid, int process)
{
	struct calls *seen = record(ON_ENTRY);
	if (seen)
		seen->argument = process;
	return 0;
}

SEC("kretsyscall/getpgid")
int BPF_KRETPROBE(on_getpgid_return, long result)
{
	struct calls *seen = record(ON_RETURN);
	if (seen)
		seen->result = result;
	return 0;
}

/* Served by functions of other names, which libbpf's own attach does not know. */
SEC("ksyscall/stat")
int BPF_KSYSCALL(on_stat)
{
	record(STAT);
	return 0;
}

SEC("ksyscall/uname")
int BPF_KSYSCALL(on_uname)
{
	record(UNAME);
	return 0;
}

/* Loaded and attached only where a test asks for it. */
SEC("?ksyscall/no_such_call")
int BPF_KSYSCALL(on_unknown)
{
	return 0;
}
