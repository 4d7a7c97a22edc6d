/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What tools include as vmlinux.h, cut down to what these need: the kernel's own
 * view of the registers, where libbpf's argument macros find the arguments.
 */
#ifndef KERNEL_BPF_H
#define KERNEL_BPF_H

/* Tells bpf_tracing.h that pt_regs has the kernel's field names. */
#define __VMLINUX_H__

#include <stdbool.h>
#include <linux/types.h>
#include <linux/bpf.h>

struct pt_regs {
	unsigned long bp, bx, ip, sp;
	unsigned long r8, r9, r10;
	unsigned long ax, cx, dx, si, di, orig_ax;
} __attribute__((preserve_access_index));

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* The process that is traced: set before loading. */
const volatile int traced = 0;

static __always_inline bool is_traced(void)
{
	return bpf_get_current_pid_tgid() >> 32 == traced;
}

char LICENSE[] SEC("license") = "GPL";

#endif
