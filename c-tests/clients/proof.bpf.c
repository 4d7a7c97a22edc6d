/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts calls to stat, whose kernel function is __x64_sys_newstat. */
#include "kernel.bpf.h"

unsigned long stats;

SEC("ksyscall/stat")
int on_stat(void *ctx)
{
	(void)ctx;
	if (is_traced())
		__sync_fetch_and_add(&stats, 1);
	return 0;
}
