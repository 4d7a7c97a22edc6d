/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts system calls whose kernel functions are not named after them, for a tool with a static libbpf. */
#include "kernel.bpf.h"

unsigned long counts[4];

#define COUNT(section, name, index)                              \
	SEC(section)                                             \
	int name(void *ctx)                                      \
	{                                                        \
		(void)ctx;                                       \
		if (is_traced())                                 \
			__sync_fetch_and_add(&counts[index], 1); \
		return 0;                                        \
	}

#ifdef BEFORE_1_0
/* Tools use these sections if their libbpf does not support ksyscall sections. */
COUNT("kprobe/__x64_sys_newstat", on_stat, 0)
COUNT("kprobe/__x64_sys_umount2", on_umount2, 1)
COUNT("kretprobe/__x64_sys_uname", on_uname, 2)
#else
COUNT("ksyscall/stat", on_stat, 0)
COUNT("ksyscall/umount2", on_umount2, 1)
COUNT("kretsyscall/uname", on_uname, 2)
#endif
COUNT("kprobe/__x64_sys_stat", on_old_stat, 3)
