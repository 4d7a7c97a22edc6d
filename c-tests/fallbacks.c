/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Without a kprobe PMU: probes by tracefs, wherever that is mounted. Without BPF
 * links of perf events: attaching by the event itself.
 */
#include "programs.h"

#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

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

/* Fails with one of two errnos, and leaves no entry. */
static void refuses(struct bpf_program *prog, const char *name, int error, int or_error)
{
	for (int retprobe = 0; retprobe < 2; retprobe++) {
		errno = 0;
		struct bpf_link *link = bpf_program__attach_ksyscall(prog, name, OPTS(.retprobe = retprobe));
		int is = errno;
		CHECK(!link);
		if (is != error && is != or_error)
			FAIL("%s: errno is %d (%s), not %d or %d", name, is, strerror(is), error, or_error);
		CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
	}
}

TEST(refusals_leave_no_entry)
{
	hide_the_pmu();
	/* For the event, which else gets the number of the closed program. */
	int lower = dup(0);
	struct programs p = LOAD(count);
	struct bpf_program *prog = program(&p, "on_entry");
	libbpf_set_print(NULL);
	refuses(program(&p, "on_packet"), CALL, EINVAL, EINVAL);
	refuses(program(&p, "on_tracepoint"), CALL, EINVAL, EINVAL);
	refuses(prog, "no_such_call", ENOENT, ENOENT);
	refuses(prog, "get pgid", EINVAL, EINVAL);
	CHECK(seteuid(65534) == 0);
	errno = 0;
	struct bpf_link *link = bpf_program__attach_ksyscall(prog, CALL, NULL);
	int error = errno;
	CHECK(seteuid(0) == 0);
	CHECK(!link);
	CHECK(error == EPERM || error == EACCES);
	CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
	int fd = bpf_program__fd(prog), kept = dup(fd);
	CHECK(lower < fd && close(lower) == 0 && kept >= 0 && close(fd) == 0);
	refuses(prog, CALL, EBADF, EBADF);
	CHECK(dup2(kept, fd) == fd && close(kept) == 0);
	link = ATTACH(prog, CALL, NULL);
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	unload(&p);
}

/* With each number of fds that is too few, whichever step it is that lacks one. */
TEST(a_lack_of_fds_leaves_no_entry)
{
	hide_the_pmu();
	struct programs p = LOAD(count);
	struct rlimit old, few;
	int failed = 0, fds = count_fds();
	libbpf_set_print(NULL);
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	few = old;
	for (rlim_t more = 0;; more++) {
		/* All numbers below the limit are in use but `more`. */
		few.rlim_cur = (rlim_t)fds + more;
		CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
		errno = 0;
		struct bpf_link *link = bpf_program__attach_ksyscall(program(&p, "on_entry"), CALL, NULL);
		int error = errno;
		CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
		if (link) {
			DESTROY(link);
			CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
			break;
		}
		CHECK_EQ(error, EMFILE);
		CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
		CHECK_EQ(count_fds(), fds);
		failed++;
	}
	CHECK(failed > 0);
	unload(&p);
}

TEST(cookies_go_by_tracefs_too)
{
	hide_the_pmu();
	if (!has_perf_links()) {
		struct programs p = LOAD(count);
		libbpf_set_print(NULL);
		CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), CALL, COOKIE(7)),
			    EOPNOTSUPP);
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

/* Its entry is then in use: it stays, and goes with the next attach by tracefs after the process. */
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

/* Another's attach must not take away what a pin keeps; once unpinned, it takes the entry. */
TEST(a_pinned_links_entry_stays)
{
	static const char pin[] = "/sys/fs/bpf/ksyscall-fallback";
	hide_the_pmu();
	struct programs p = LOAD(count);
	struct bpf_program *prog = program(&p, "on_entry");
	libbpf_set_print(NULL);
	if (!has_perf_links()) {
		struct bpf_link *link = ATTACH(prog, CALL, NULL);
		CHECK(bpf_link__pin(link, pin) != 0);
		DESTROY(link);
		unload(&p);
		return;
	}
	IN_CHILD({
		struct bpf_link *link = ATTACH(prog, CALL, NULL);
		CHECK_EQ(bpf_link__pin(link, pin), 0);
		bpf_link__disconnect(link);
		bpf_link__destroy(link);
	});
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(ATTACH(program(&p, "on_return"), "getsid", NULL));
	CHECK_EQ(count_entries(KPROBE_EVENTS, "ksyscall/"), 1);
	CHECK(fires(&p, ON_ENTRY));
	CHECK(unlink(pin) == 0);
	wait_until_silent(&p, ON_ENTRY);
	/* It may still be in use for a moment after its last run. */
	while (count_entries(KPROBE_EVENTS, "ksyscall/") > 0)
		DESTROY(ATTACH(program(&p, "on_return"), "getsid", NULL));
	unload(&p);
}

static void filter_calls(struct sock_filter *filter, size_t length)
{
	struct sock_fprog program = { (unsigned short)length, filter };
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* As that of a container whose libseccomp is older than the call (Linux 5.8). */
TEST(a_filter_that_does_not_know_faccessat2_hides_no_tracefs)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_faccessat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	hide_the_pmu();
	filter_calls(filter, sizeof(filter) / sizeof(filter[0]));
	works(KPROBE_EVENTS);
}

/* Has bpf(BPF_LINK_CREATE) fail, as a kernel without it does. */
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

/* On every kernel as on those that have none. */
static void works_without_links(void)
{
	struct programs p = LOAD(count);
	struct bpf_program *prog = program(&p, "on_entry");
	libbpf_set_print(NULL);
	refuse_links();
	/* A program of another type is no sign of a kernel without links. */
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

TEST(without_links_the_event_takes_the_program)
{
	works_without_links();
}

TEST(without_links_and_pmu_the_event_takes_the_program)
{
	hide_the_pmu();
	works_without_links();
}

MAIN
