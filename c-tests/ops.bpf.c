/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Defines a struct_ops map, a TCP congestion control algorithm. Skeletons attach maps after programs. */
#include "record.bpf.h"

/* Contains only the required fields. libbpf matches them by name to the fields of the kernel's structure. */
struct sock;
struct tcp_congestion_ops {
	__u32 (*ssthresh)(struct sock *);
	void (*cong_avoid)(struct sock *, __u32, __u32);
	__u32 (*undo_cwnd)(struct sock *);
	char name[16];
};

SEC("struct_ops/ssthresh")
__u32 ssthresh(void)
{
	return 2;
}

SEC("struct_ops/cong_avoid")
void cong_avoid(void)
{
}

SEC("struct_ops/undo_cwnd")
__u32 undo_cwnd(void)
{
	return 2;
}

SEC("ksyscall/stat")
int on_stat(void)
{
	record(ON_ENTRY);
	return 0;
}

SEC("ksyscall/no_such_call")
int on_no_call(void)
{
	return 0;
}

SEC(".struct_ops")
struct tcp_congestion_ops control = {
	.ssthresh = (void *)ssthresh,
	.cong_avoid = (void *)cong_avoid,
	.undo_cwnd = (void *)undo_cwnd,
	.name = "ksyscall_test",
};
