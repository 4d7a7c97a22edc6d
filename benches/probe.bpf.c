/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Defines the programs that the contestants attach. They do nothing, because only attaching is measured. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("kprobe")
int on_entry(void *ctx)
{
	(void)ctx;
	return 0;
}

SEC("kretprobe")
int on_return(void *ctx)
{
	(void)ctx;
	return 0;
}
