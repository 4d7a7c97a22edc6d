/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Keeps a call's arguments by thread from its entry on, and tells of them at its return. */
#include "kernel.bpf.h"
#include "mounts.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct event);
} in_progress SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

static __always_inline int leave(void *ctx, long result)
{
	__u32 thread = (__u32)bpf_get_current_pid_tgid();
	struct event *event = bpf_map_lookup_elem(&in_progress, &thread);

	if (!event)
		return 0;
	event->result = result;
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, event, sizeof(*event));
	bpf_map_delete_elem(&in_progress, &thread);
	return 0;
}

SEC("ksyscall/mount")
int BPF_KSYSCALL(on_mount, const char *source, const char *target, const char *type, unsigned long flags,
		 const char *data)
{
	__u32 thread = (__u32)bpf_get_current_pid_tgid();
	struct event event = { .flags = flags };

	if (!is_traced())
		return 0;
	bpf_probe_read_user_str(event.source, sizeof(event.source), source);
	bpf_probe_read_user_str(event.target, sizeof(event.target), target);
	bpf_probe_read_user_str(event.type, sizeof(event.type), type);
	bpf_probe_read_user_str(event.data, sizeof(event.data), data);
	bpf_map_update_elem(&in_progress, &thread, &event, BPF_ANY);
	return 0;
}

SEC("kretsyscall/mount")
int BPF_KRETPROBE(on_mount_return, long result)
{
	return leave(ctx, result);
}

SEC("ksyscall/umount")
int BPF_KSYSCALL(on_umount, const char *target, int flags)
{
	__u32 thread = (__u32)bpf_get_current_pid_tgid();
	struct event event = { .is_umount = 1, .flags = flags };

	if (!is_traced())
		return 0;
	bpf_probe_read_user_str(event.target, sizeof(event.target), target);
	bpf_map_update_elem(&in_progress, &thread, &event, BPF_ANY);
	return 0;
}

SEC("kretsyscall/umount")
int BPF_KRETPROBE(on_umount_return, long result)
{
	return leave(ctx, result);
}
