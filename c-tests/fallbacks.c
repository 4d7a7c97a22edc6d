/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests the fallbacks: tracefs (wherever it is mounted) replaces the kprobe PMU, and the perf event
 * itself replaces the BPF link.
 */
#include "programs.h"

TEST(tracefs_may_be_mounted_anywhere)
{
	const char *events = "/tmp/a b/kprobe_events";
	hide_the_pmu();
	hide_tracefs();
	CHECK(mkdir("/tmp/a b", 0700) == 0 || errno == EEXIST);
	CHECK(mount("none", "/tmp/a b", "tracefs", 0, NULL) == 0);
	struct programs p = LOAD(count);
	for (int i = 0; i < 2; i++) {
		struct bpf_link *entry = ATTACH(program(&p, "on_entry"), CALL, NULL);
		struct bpf_link *back = ATTACH(program(&p, "on_return"), CALL, RETPROBE);
		CHECK_EQ(count_entries(events, "p:ksyscall/"), 1);
		CHECK_EQ(count_entries(events, ":ksyscall/"), 2);
		__u64 before = counted(&p, ON_ENTRY), returned = counted(&p, ON_RETURN);
		syscall(SYS_getpgid, NOBODY);
		CHECK_EQ(counted(&p, ON_ENTRY), before + 1);
		CHECK_EQ(counted(&p, ON_RETURN), returned + 1);
		CHECK_EQ(seen(&p, ON_ENTRY).argument, NOBODY);
		CHECK_EQ(seen(&p, ON_RETURN).result, -ESRCH);
		DESTROY(entry);
		CHECK(!fires(&p, ON_ENTRY));
		DESTROY(back);
		CHECK_EQ(count_entries(events, ""), 0);
	}
	unload(&p);
}

/* Makes bpf(BPF_LINK_CREATE) fail as on a kernel without BPF links. */
static void refuse_links(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BPF_LINK_CREATE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	filter_calls(filter, sizeof(filter) / sizeof(filter[0]));
}

/* refuse_links() makes every kernel behave like one without BPF links for perf events. */
TEST(without_links_the_event_runs_the_program)
{
	struct programs p = LOAD(count);
	struct bpf_program *prog = program(&p, "on_entry");
	libbpf_set_print(NULL);
	refuse_links();
	/* The library must not conclude from a wrong program type that the kernel lacks BPF links. */
	CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_packet"), CALL, NULL), EINVAL);
	for (int i = 0; i < 2; i++) {
		CHECK_FAILS(bpf_program__attach_ksyscall(prog, CALL, COOKIE(7)), EOPNOTSUPP);
		int fds = count_fds();
		struct bpf_link *entry = ATTACH(prog, CALL, NULL);
		struct bpf_link *back = ATTACH(program(&p, "on_return"), CALL, RETPROBE);
		CHECK_EQ(count_fds(), fds + 2);
		__u64 before = counted(&p, ON_ENTRY), returned = counted(&p, ON_RETURN);
		syscall(SYS_getpgid, NOBODY);
		CHECK_EQ(counted(&p, ON_ENTRY), before + 1);
		CHECK_EQ(counted(&p, ON_RETURN), returned + 1);
		CHECK_EQ(seen(&p, ON_RETURN).result, -ESRCH);
		CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_packet"), CALL, NULL), EINVAL);
		DESTROY(entry);
		CHECK(!fires(&p, ON_ENTRY));
		DESTROY(back);
		CHECK_EQ(count_fds(), fds);
	}
	CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
	unload(&p);
}

MAIN
