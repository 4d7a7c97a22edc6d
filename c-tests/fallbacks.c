/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Without a kprobe PMU: probes by tracefs, wherever that is mounted. */
#include "programs.h"

#include <sys/mount.h>
#include <sys/stat.h>

/* In this process only. */
static void hide_the_pmu(void)
{
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("none", "/sys/bus/event_source", "tmpfs", 0, NULL) == 0);
}

static void hide_tracefs(void)
{
	CHECK(umount2("/sys/kernel/tracing", MNT_DETACH) == 0);
	CHECK(umount2("/sys/kernel/debug", MNT_DETACH) == 0);
}

/* Attaches, fires and detaches; the entry is there meanwhile, in the list at `events`. */
static void works(const char *events)
{
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

TEST(tracefs_takes_the_pmus_place)
{
	hide_the_pmu();
	works(KPROBE_EVENTS);
}

TEST(tracefs_may_be_in_debugfs)
{
	hide_the_pmu();
	CHECK(umount2("/sys/kernel/tracing", MNT_DETACH) == 0);
	works("/sys/kernel/debug/tracing/kprobe_events");
}

TEST(tracefs_may_be_mounted_anywhere)
{
	hide_the_pmu();
	hide_tracefs();
	CHECK(mkdir("/tmp/a b", 0700) == 0 || errno == EEXIST);
	CHECK(mount("none", "/tmp/a b", "tracefs", 0, NULL) == 0);
	works("/tmp/a b/kprobe_events");
}

TEST(debugfs_may_be_mounted_anywhere)
{
	hide_the_pmu();
	hide_tracefs();
	CHECK(mkdir("/tmp/a\\b", 0700) == 0 || errno == EEXIST);
	CHECK(mount("none", "/tmp/a\\b", "debugfs", 0, NULL) == 0);
	works("/tmp/a\\b/tracing/kprobe_events");
}

TEST(without_tracefs_there_is_none)
{
	hide_the_pmu();
	hide_tracefs();
	struct programs p = LOAD(count);
	libbpf_set_print(NULL);
	CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), CALL, NULL), ENOENT);
	unload(&p);
}

TEST(refusals_leave_no_entry)
{
	hide_the_pmu();
	struct programs p = LOAD(count);
	libbpf_set_print(NULL);
	for (int retprobe = 0; retprobe < 2; retprobe++) {
		struct bpf_ksyscall_opts *opts = OPTS(.retprobe = retprobe);
		CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_packet"), CALL, opts), EINVAL);
		CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
		CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), "no_such_call", opts), ENOENT);
		CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
	}
	unload(&p);
}

TEST(cookies_go_by_tracefs_too)
{
	hide_the_pmu();
	if (!has_perf_links()) {
		struct programs p = LOAD(count);
		libbpf_set_print(NULL);
		CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), CALL, COOKIE(7)), EOPNOTSUPP);
		CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
		unload(&p);
		return;
	}
	struct programs p = LOAD(cookie);
	struct bpf_link *link = ATTACH(program(&p, "on_entry_by_cookie"), CALL, COOKIE(7));
	make_calls(3);
	CHECK_EQ(counted(&p, 7), 3);
	DESTROY(link);
	unload(&p);
}

/* Its entry is then in use: it stays, and goes with the next attach after the process. */
TEST(a_disconnected_links_entry_goes_with_the_next_attach)
{
	hide_the_pmu();
	struct programs p = LOAD(count);
	IN_CHILD({
		struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
		bpf_link__disconnect(link);
		bpf_link__destroy(link);
	});
	CHECK_EQ(count_entries(KPROBE_EVENTS, "ksyscall/"), 1);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	CHECK_EQ(count_entries(KPROBE_EVENTS, "ksyscall/"), 1);
	DESTROY(link);
	unload(&p);
}

MAIN
