/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Contains the part of vmlinux.h that these programs require: struct pt_regs with the kernel's field names.
 * libbpf's macros read the arguments from this structure.
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

/* The PID of the traced process. A tracer sets this constant before it loads the programs. */
const volatile int traced = 0;

static __always_inline bool is_traced(void)
{
	return bpf_get_current_pid_tgid() >> 32 == traced;
}

char LICENSE[] SEC("license") = "GPL";

#endif
