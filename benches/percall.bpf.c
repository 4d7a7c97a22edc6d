/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Defines empty programs, because the benchmark measures only the overhead of the probes. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#define EMPTY(name, section) \
	SEC(section)         \
	int name(void *ctx)  \
	{                    \
		(void)ctx;   \
		return 0;    \
	}

EMPTY(on_kprobe, "kprobe")
EMPTY(on_kprobe_multi, "kprobe.multi")
EMPTY(on_kprobe_session, "kprobe.session")
EMPTY(on_raw_tracepoint, "raw_tp")
EMPTY(on_fentry, "fentry/__x64_sys_getpgid")
EMPTY(on_fexit, "fexit/__x64_sys_getpgid")
