/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Contains the same program as probe.bpf.c, for kprobe.multi. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("kprobe.multi")
int on_entry(void *ctx)
{
	(void)ctx;
	return 0;
}
