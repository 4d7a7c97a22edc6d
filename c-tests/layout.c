/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Simulates an unsupported struct bpf_link layout: this program overrides bpf_link__pin_path() with a
 * function that returns nonsense. The library must then let libbpf create the link.
 */
#include "programs.h"

static char nonsense[] = "nonsense";
static int asked;

const char *bpf_link__pin_path(const struct bpf_link *link)
{
	(void)link;
	asked++;
	return nonsense;
}

/* libbpf 0.5 added bpf_program__attach_perf_event_opts(). */
static bool libbpf_makes_links(void)
{
	return dlsym(RTLD_DEFAULT, "bpf_program__attach_perf_event_opts") != NULL;
}

TEST(libbpf_creates_the_link)
{
	struct programs p = LOAD(count);
	struct bpf_program *prog = program(&p, "on_return");
	if (!libbpf_makes_links()) {
		libbpf_set_print(NULL);
		CHECK_FAILS(bpf_program__attach_ksyscall(prog, CALL, RETPROBE), EOPNOTSUPP);
		CHECK(asked > 0);
		unload(&p);
		return;
	}
	int fds = count_fds();
	struct bpf_link *link = ATTACH(prog, CALL, RETPROBE);
	CHECK(asked > 0);
	/* With BPF links, libbpf's perf event link holds two fds; this library's link holds one. */
	CHECK_EQ(count_fds(), fds + (has_perf_links() ? 2 : 1));
	syscall(SYS_getpgid, NOBODY);
	CHECK_EQ(counted(&p, ON_RETURN), 1);
	CHECK_EQ(seen(&p, ON_RETURN).result, -ESRCH);
	DESTROY(link);
	make_calls(1);
	CHECK_EQ(counted(&p, ON_RETURN), 1);
	unload(&p);
}

TEST(libbpf_passes_on_the_cookie)
{
	if (!libbpf_makes_links() || !has_perf_links()) {
		struct programs p = LOAD(count);
		libbpf_set_print(NULL);
		CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), CALL, COOKIE(13)),
			    EOPNOTSUPP);
		unload(&p);
		return;
	}
	struct programs p = LOAD(cookie);
	struct bpf_link *link = ATTACH(program(&p, "on_entry_by_cookie"), CALL, COOKIE(13));
	make_calls(2);
	CHECK_EQ(counted(&p, 13 % SLOTS), 2);
	CHECK_EQ(seen(&p, 13 % SLOTS).cookie, 13);
	DESTROY(link);
	unload(&p);
}

TEST(errors_leave_nothing)
{
	struct programs p = LOAD(count);
	int error = libbpf_makes_links() ? EINVAL : EOPNOTSUPP;
	int fds = count_fds();
	libbpf_set_print(NULL);
	CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_packet"), CALL, NULL), error);
	CHECK_EQ(count_fds(), fds);
	CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), "no_such_call", NULL), ENOENT);
	CHECK_EQ(count_fds(), fds);
	unload(&p);
}

/*
 * A link that libbpf creates would not remove the tracefs entry, so the library must refuse the attach and
 * remove the entry itself.
 */
TEST(refused_if_it_requires_a_tracefs_entry)
{
	struct programs p = LOAD(count);
	hide_the_pmu();
	libbpf_set_print(NULL);
	CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), CALL, NULL), EOPNOTSUPP);
	CHECK_EQ(count_entries(KPROBE_EVENTS, CALL), 0);
	unload(&p);
}

MAIN
