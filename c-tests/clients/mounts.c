/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tells of mount and umount calls with their results, without a skeleton's attach. */
#include "client.h"
#include "mounts.h"
#include "mounts.skel.h"

static void on_event(void *context, int cpu, void *data, __u32 size)
{
	const struct event *event = data;
	(void)context, (void)cpu;
	CHECK(size >= sizeof(*event));
	if (event->is_umount)
		saw("umount(%s, %#lx) = %d", event->target, event->flags, event->result);
	else
		saw("mount(%s, %s, %s, %#lx, %s) = %d", event->source, event->target, event->type,
		    event->flags, event->data, event->result);
}

static void on_lost(void *context, int cpu, __u64 count)
{
	(void)context, (void)cpu;
	saw("lost %llu events", (unsigned long long)count);
}

static void do_mount(const char *source, const char *target, const char *type, unsigned long flags,
		     const char *data)
{
	long result = RESULT(mount(source, target, type, flags, data));
	did("mount(%s, %s, %s, %#lx, %s) = %ld", source, target, type, flags, data, result);
}

static void do_umount(const char *target, int flags)
{
	long result = RESULT(umount2(target, flags));
	did("umount(%s, %#lx) = %ld", target, (unsigned long)flags, result);
}

int main(void)
{
	/* The events of one CPU arrive in order. */
	cpu_set_t first;
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	CHECK(sched_setaffinity(0, sizeof(first), &first) == 0);

	struct mounts_bpf *skeleton = mounts_bpf__open();
	CHECK(skeleton);
	skeleton->rodata->traced = getpid();
	CHECK(mounts_bpf__load(skeleton) == 0);
	struct perf_buffer *buffer = perf_buffer__new(bpf_map__fd(skeleton->maps.events), 16, on_event,
						      on_lost, NULL, NULL);
	CHECK(buffer);

	struct bpf_link *links[4];
	struct bpf_program *program;
	int attached = 0;
	bpf_object__for_each_program(program, skeleton->obj) {
		links[attached] = bpf_program__attach(program);
		CHECK(links[attached]);
		attached++;
	}
	CHECK(attached == 4);

	mkdir("/tmp/mounts", 0700);
	do_mount("none", "/tmp/mounts", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m");
	do_mount("none", "/tmp/mounts/missing", "tmpfs", 0, "mode=0755");
	do_mount("what", "/tmp/mounts", "nosuchfs", MS_RDONLY, "");
	do_umount("/tmp/mounts", MNT_DETACH);
	do_umount("/tmp/mounts", 0);
	do_umount("/tmp/mounts", UMOUNT_NOFOLLOW | 0x4000);

	CHECK(perf_buffer__consume(buffer) == 0);
	perf_buffer__free(buffer);
	while (attached > 0)
		CHECK(bpf_link__destroy(links[--attached]) == 0);
	mounts_bpf__destroy(skeleton);
	return 0;
}
