/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A tracer that uses a skeleton, ksyscall and kretsyscall sections, and a ring buffer. */
#include "client.h"
#include "trace.h"
#include "trace.skel.h"

static int on_event(void *context, void *data, size_t size)
{
	const struct event *event = data;
	const bool *started = context;
	CHECK(size >= sizeof(*event));
	if (!*started)
		return 0;
	switch (event->what) {
	case KILL:
		saw("kill(%d, %d)", event->first, event->second);
		break;
	case KILL_RETURN:
		saw("kill = %ld", event->result);
		break;
	case OPENAT:
		saw("openat(%d, %s, %#x)", event->first, event->path, event->second);
		break;
	case OPENAT_RETURN:
		/* Print 0 in place of an fd, because fd numbers depend on how many fds the links hold. */
		saw("openat = %ld", event->result < 0 ? event->result : 0);
		break;
	}
	return 0;
}

static void do_kill(int pid, int number)
{
	did("kill(%d, %d)", pid, number);
	did("kill = %ld", RESULT(syscall(SYS_kill, pid, number)));
}

static void do_openat(int folder, const char *path, int flags)
{
	did("openat(%d, %s, %#x)", folder, path, flags);
	long fd = RESULT(syscall(SYS_openat, folder, path, flags));
	did("openat = %ld", fd < 0 ? fd : 0);
	if (fd >= 0)
		close((int)fd);
}

int main(void)
{
	struct trace_bpf *skeleton = trace_bpf__open();
	CHECK(skeleton);
	skeleton->rodata->traced = getpid();
	CHECK(trace_bpf__load(skeleton) == 0);
	bool started = false;
	struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(skeleton->maps.events), on_event, &started,
						    NULL);
	CHECK(ring);
	CHECK(trace_bpf__attach(skeleton) == 0);
	/* Ignore the files that the library opened to attach. */
	CHECK(ring_buffer__consume(ring) >= 0);
	started = true;

	do_kill(NOBODY, SIGUSR1);
	do_openat(AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC);
	do_openat(-7, "no/such/file", O_WRONLY);
	do_kill(NOBODY - 1, 0);

	trace_bpf__detach(skeleton);
	CHECK(ring_buffer__consume(ring) >= 0);
	ring_buffer__free(ring);
	trace_bpf__destroy(skeleton);
	return 0;
}
