/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Defines one program for each kind of link that libbpf creates. The tests load one program at a time. */
#include "record.bpf.h"

#include <stdbool.h>
#include <bpf/usdt.bpf.h>

#define PROGRAM(name, section)    \
	SEC("?" section)          \
	int name(void *ctx)       \
	{                         \
		(void)ctx;        \
		record(ON_ENTRY); \
		return 0;         \
	}

PROGRAM(on_kprobe, "kprobe/__x64_sys_getpgid")
PROGRAM(on_kretprobe, "kretprobe/__x64_sys_getpgid")
PROGRAM(on_kprobe_multi, "kprobe.multi/__x64_sys_getpgid")
PROGRAM(on_uprobe, "uprobe//proc/self/exe:probed")
PROGRAM(on_uretprobe, "uretprobe//proc/self/exe:probed")
PROGRAM(on_uprobe_multi, "uprobe.multi//proc/self/exe:probed")
PROGRAM(on_usdt, "usdt//proc/self/exe:ksyscall:probed")
PROGRAM(on_tracepoint, "tp/raw_syscalls/sys_enter")
PROGRAM(on_raw_tracepoint, "raw_tp/sys_enter")
PROGRAM(on_fentry, "fentry/__x64_sys_getpgid")
PROGRAM(on_iterator, "iter/task")
PROGRAM(on_event, "perf_event")

/* Packet programs do not run on behalf of a particular thread, so these programs count nothing. */
SEC("?cgroup_skb/egress")
int on_egress(struct __sk_buff *packet)
{
	(void)packet;
	return 1;
}

SEC("?xdp")
int on_packet(struct xdp_md *packet)
{
	(void)packet;
	return XDP_PASS;
}
