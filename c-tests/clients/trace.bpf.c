/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reports kill and openat through a ring buffer. */
#include "kernel.bpf.h"
#include "trace.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} events SEC(".maps");

static __always_inline struct event *reserve(int what)
{
	struct event *event = is_traced() ? bpf_ringbuf_reserve(&events, sizeof(*event), 0) : NULL;
	if (event) {
		__builtin_memset(event, 0, sizeof(*event));
		event->what = what;
	}
	return event;
}

SEC("ksyscall/kill")
int BPF_KSYSCALL(on_kill, int pid, int number)
{
	struct event *event = reserve(KILL);
	if (!event)
		return 0;
	event->first = pid;
	event->second = number;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("kretsyscall/kill")
int BPF_KRETPROBE(on_kill_return, long result)
{
	struct event *event = reserve(KILL_RETURN);
	if (!event)
		return 0;
	event->result = result;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("ksyscall/openat")
int BPF_KSYSCALL(on_openat, int folder, const char *path, int flags)
{
	struct event *event = reserve(OPENAT);
	if (!event)
		return 0;
	event->first = folder;
	event->second = flags;
	bpf_probe_read_user_str(event->path, sizeof(event->path), path);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("kretsyscall/openat")
int BPF_KRETPROBE(on_openat_return, long result)
{
	struct event *event = reserve(OPENAT_RETURN);
	if (!event)
		return 0;
	event->result = result;
	bpf_ringbuf_submit(event, 0);
	return 0;
}
