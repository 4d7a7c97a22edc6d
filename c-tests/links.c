/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests what a link holds: memory, and the perf event if the user asks for it. differential/links.c compares
 * the results of the bpf_link functions with libbpf's.
 */
#include "programs.h"

#include <malloc.h>

/* Queries a perf event as bpftool does; returns whether the kernel reports the probed function. */
static bool tells_its_function(int fd)
{
	char function[128] = "";
	__u32 length = sizeof(function), prog_id, type;
	__u64 offset, address;
	return bpf_task_fd_query(getpid(), fd, 0, function, &length, &prog_id, &type, &offset, &address) ==
		       0 &&
	       strcmp(function, CALL_SYMBOL) == 0;
}

/* `bpftool perf show` lists a probe only if the link keeps the perf event open. */
TEST(a_kept_event_shows_its_function)
{
	struct programs p = LOAD(count);
	int fds = count_fds(), telling = 0;
	CHECK(setenv("KSYSCALL_KEEP_EVENT", "1", 1) == 0);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	/* Before Linux 5.15, the perf event itself is the attachment. */
	CHECK_EQ(count_fds(), fds + (has_perf_links() ? 2 : 1));
	for (int fd = 0; fd < 64; fd++)
		telling += tells_its_function(fd);
	CHECK_EQ(telling, 1);
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	CHECK(!fires(&p, ON_ENTRY));
	CHECK_EQ(count_fds(), fds);
	hide_the_pmu();
	DESTROY(ATTACH(program(&p, "on_entry"), CALL, NULL));
	CHECK_EQ(count_fds(), fds);
	CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
	unload(&p);
}

TEST(no_memory_is_left)
{
	struct programs p = LOAD(count);
	struct bpf_program *prog = program(&p, "on_entry");
	const char *pin = "/sys/fs/bpf/ksyscall-test";
	size_t used = 0;
	libbpf_set_print(NULL);
	/* The C library makes its one-time allocations in the first round. */
	for (int i = 0; i < 8; i++) {
		struct bpf_link *link = ATTACH(prog, CALL, NULL);
		if (has_perf_links()) {
			CHECK_EQ(bpf_link__pin(link, pin), 0);
			CHECK_EQ(unlink(pin), 0);
		}
		DESTROY(link);
		CHECK_FAILS(bpf_program__attach_ksyscall(prog, "no_such_call", NULL), ENOENT);
		CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_packet"), CALL, NULL), EINVAL);
		if (i == 0)
			used = mallinfo2().uordblks;
		CHECK_EQ(mallinfo2().uordblks, used);
	}
	unload(&p);
}

MAIN
