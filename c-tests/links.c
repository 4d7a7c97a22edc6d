/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libbpf's own functions of links, on the links of this library. */
#include "programs.h"

#include <fcntl.h>

TEST(a_link_has_one_fd_that_programs_do_not_inherit)
{
	struct programs p = LOAD(count);
	int fds = count_fds();
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	CHECK_EQ(count_fds(), fds + 1);
	CHECK(bpf_link__fd(link) >= 0);
	CHECK(fcntl(bpf_link__fd(link), F_GETFD) & FD_CLOEXEC);
	CHECK(!bpf_link__pin_path(link));
	DESTROY(link);
	CHECK_EQ(count_fds(), fds);
	unload(&p);
}

TEST(disconnect_leaves_the_program_attached)
{
	struct programs p = LOAD(count);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	int fd = bpf_link__fd(link);
	bpf_link__disconnect(link);
	DESTROY(link);
	CHECK(fires(&p, ON_ENTRY));
	CHECK(close(fd) == 0);
	CHECK(!fires(&p, ON_ENTRY));
	unload(&p);
}

TEST(a_child_process_does_not_detach)
{
	struct programs p = LOAD(count);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	IN_CHILD(make_calls(1));
	CHECK(fires(&p, ON_ENTRY));
	IN_CHILD(bpf_link__destroy(link));
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	CHECK(!fires(&p, ON_ENTRY));
	unload(&p);
}

static const char PIN[] = "/sys/fs/bpf/ksyscall-test";

TEST(a_pin_outlives_link_and_process)
{
	struct programs p = LOAD(count);
	struct bpf_program *prog = program(&p, "on_entry");
	libbpf_set_print(NULL);
	if (!has_perf_links()) {
		/* What is attached by the event itself cannot be pinned. */
		struct bpf_link *link = ATTACH(prog, CALL, NULL);
		CHECK(bpf_link__pin(link, PIN) != 0);
		CHECK(access(PIN, F_OK) != 0);
		DESTROY(link);
		unload(&p);
		return;
	}
	IN_CHILD({
		struct bpf_link *link = ATTACH(prog, CALL, NULL);
		CHECK_EQ(bpf_link__pin(link, PIN), 0);
		CHECK_TEXT(bpf_link__pin_path(link), PIN);
		DESTROY(link);
	});
	CHECK(fires(&p, ON_ENTRY));
	struct bpf_link *link = bpf_link__open(PIN);
	CHECK(link && !libbpf_get_error(link));
	CHECK_EQ(bpf_link__unpin(link), 0);
	CHECK(access(PIN, F_OK) != 0);
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	wait_until_silent(&p, ON_ENTRY);
	unload(&p);
}

TEST(unpin_ends_a_pin_but_not_the_link)
{
	struct programs p = LOAD(count);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	libbpf_set_print(NULL);
	if (has_perf_links()) {
		CHECK_EQ(bpf_link__pin(link, PIN), 0);
		CHECK(bpf_link__pin(link, "/sys/fs/bpf/other") != 0);
		CHECK_EQ(bpf_link__unpin(link), 0);
		CHECK(access(PIN, F_OK) != 0);
	}
	CHECK(bpf_link__unpin(link) != 0);
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	wait_until_silent(&p, ON_ENTRY);
	unload(&p);
}

TEST(what_the_kernel_refuses_for_probes_leaves_the_link)
{
	struct programs p = LOAD(count);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	libbpf_set_print(NULL);
	CHECK(bpf_link__update_program(link, program(&p, "on_return")) != 0);
	CHECK(fires(&p, ON_ENTRY));
#ifdef LIBBPF_MAJOR_VERSION
	CHECK(bpf_link__detach(link) != 0);
	CHECK(fires(&p, ON_ENTRY));
#endif
	DESTROY(link);
	CHECK(!fires(&p, ON_ENTRY));
	unload(&p);
}

/* As tools end that do not care about order. */
TEST(the_object_may_be_closed_before_the_link)
{
	struct programs p = LOAD(count);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	int calls = dup(p.calls);
	CHECK(fires(&p, ON_ENTRY));
	unload(&p);
	p.calls = calls;
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	CHECK(!fires(&p, ON_ENTRY));
	close(calls);
}

MAIN
