/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests the kprobe_events entries: an attach removes entries that dead processes left, and never
 * removes an entry that is in use.
 */
#include "programs.h"

#include <fcntl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <linux/sched.h>

static int left(void)
{
	return count_entries(KPROBE_EVENTS, ":ksyscall/");
}

/*
 * Attaches repeatedly until no stale entry is left. An entry may stay in use briefly after its process has
 * exited. The test's time limit bounds the loop.
 */
static void attach_until_none_is_left(struct programs *p)
{
	do
		DESTROY(ATTACH(program(p, "on_entry"), "getsid", NULL));
	while (left() > 0);
}

/* Tries to remove the only entry; returns 0 or the errno. */
static int removal(void)
{
	char line[256], name[128], command[160];
	FILE *list = fopen(KPROBE_EVENTS, "re");
	CHECK(list && fgets(line, sizeof(line), list) && sscanf(line, "%*[^:]:%127s", name) == 1);
	fclose(list);
	int length = snprintf(command, sizeof(command), "-:%s\n", name);
	int events = open(KPROBE_EVENTS, O_WRONLY | O_APPEND | O_CLOEXEC);
	CHECK(events >= 0);
	errno = 0;
	int error = write(events, command, (size_t)length) == length ? 0 : errno;
	close(events);
	return error;
}

/*
 * The library tries to remove an entry even if it cannot tell whether the entry's process still runs. The
 * kernel must refuse to remove an entry that is in use.
 */
TEST(the_kernel_removes_no_entry_in_use)
{
	static const char pin[] = "/sys/fs/bpf/ksyscall-entries";
	hide_the_pmu();
	struct programs p = LOAD(count);
	IN_CHILD({
		struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
		CHECK_EQ(removal(), EBUSY);
		if (has_perf_links()) {
			CHECK_EQ(bpf_link__pin(link, pin), 0);
			bpf_link__disconnect(link);
		}
		DESTROY(link);
	});
	if (has_perf_links()) {
		CHECK_EQ(removal(), EBUSY);
		CHECK(fires(&p, ON_ENTRY));
		DESTROY(ATTACH(program(&p, "on_return"), "getsid", NULL));
		CHECK(fires(&p, ON_ENTRY));
		CHECK_EQ(unlink(pin), 0);
		wait_until_silent(&p, ON_ENTRY);
		attach_until_none_is_left(&p);
	}
	CHECK_EQ(left(), 0);
	unload(&p);
}

/* SIGALRM does not kill the init process of a PID namespace, so let the parent's death kill it. */
static void end_with_the_test(void)
{
	CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
}

/* The init process of a container: attaches and waits to be killed. */
static void contain(struct programs *p, int ready)
{
	end_with_the_test();
	own_mounts();
	CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
	CHECK_EQ(getpid(), 1);
	attach_until_none_is_left(p);
	ATTACH(program(p, "on_entry"), CALL, NULL);
	ATTACH(program(p, "on_return"), CALL, RETPROBE);
	CHECK(write(ready, "a", 1) == 1);
	for (;;)
		pause();
}

/* Each container reuses the previous container's PID, and usually the inode number of its PID namespace. */
TEST(entries_of_a_restarted_container_do_not_accumulate)
{
	hide_the_pmu();
	struct programs p = LOAD(count);
	for (int i = 0; i < 3; i++) {
		struct clone_args clone = { .flags = CLONE_NEWPID, .exit_signal = SIGCHLD };
		int ready[2];
		char byte;
		CHECK(pipe(ready) == 0);
		pid_t child = (pid_t)syscall(SYS_clone3, &clone, sizeof(clone));
		CHECK(child >= 0);
		if (child == 0)
			contain(&p, ready[1]);
		close(ready[1]);
		if (read(ready[0], &byte, 1) != 1)
			ends_well(child);
		close(ready[0]);
		CHECK_EQ(left(), 2);
		CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
	}
	attach_until_none_is_left(&p);
	unload(&p);
}

/* No process can tell whether the others are running, so each tries to remove the others' new entries. */
TEST(processes_in_different_namespaces_attach_concurrently)
{
	enum { COUNT = 3, TIMES = 6 };
	pid_t children[COUNT];
	hide_the_pmu();
	struct programs p = LOAD(count);
	for (int i = 0; i < COUNT; i++) {
		struct clone_args clone = { .flags = CLONE_NEWPID, .exit_signal = SIGCHLD };
		children[i] = (pid_t)syscall(SYS_clone3, &clone, sizeof(clone));
		CHECK(children[i] >= 0);
		if (children[i] == 0) {
			end_with_the_test();
			for (int j = 0; j < TIMES; j++) {
				struct bpf_link *link = ATTACH(program(&p, "on_return"), CALL, RETPROBE);
				int error = bpf_link__destroy(link);
				/* EBUSY: another child has opened this entry, because its own entry with the same id was
				 * removed. The other child then removes this entry, too. */
				CHECK(error == 0 || error == -EBUSY);
			}
			_exit(PASSED);
		}
	}
	for (int i = 0; i < COUNT; i++)
		ends_well(children[i]);
	CHECK_EQ(left(), 0);
	unload(&p);
}

/*
 * Kills a child at its `call`-th system call during an attach and a destroy. Returns false if the
 * child exits before that call.
 */
static bool kill_at(const struct programs *p, int call)
{
	int status;
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
		raise(SIGSTOP);
		DESTROY(ATTACH(program(p, "on_entry"), CALL, NULL));
		_exit(PASSED);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	CHECK(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_EXITKILL) == 0);
	/* The child stops at the entry and at the exit of each call. */
	for (int stops = 0; stops <= 2 * call; stops++) {
		CHECK(ptrace(PTRACE_SYSCALL, child, 0, 0) == 0 && waitpid(child, &status, 0) == child);
		if (!WIFSTOPPED(status)) {
			CHECK_EQ(status, 0);
			return false;
		}
	}
	CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
	return true;
}

TEST(a_killed_process_leaves_at_most_one_inert_entry)
{
	int kept = 0;
	hide_the_pmu();
	struct programs p = LOAD(count);
	for (int call = 0; kill_at(&p, call); call++) {
		CHECK(left() <= 1);
		if (left() == 0)
			continue;
		kept++;
		wait_until_silent(&p, ON_ENTRY);
		attach_until_none_is_left(&p);
	}
	CHECK(kept > 0);
	unload(&p);
}

/* A forked child holds a copy of the fd, so the entry still exists after the link is destroyed. */
TEST(a_later_attach_removes_an_entry_that_was_in_use)
{
	hide_the_pmu();
	struct programs p = LOAD(count);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	int release;
	pid_t child = fork_a_keeper(&release);
	CHECK_EQ(bpf_link__destroy(link), -EBUSY);
	DESTROY(ATTACH(program(&p, "on_return"), "getsid", NULL));
	CHECK_EQ(left(), 1);
	CHECK(fires(&p, ON_ENTRY));
	close(release);
	ends_well(child);
	attach_until_none_is_left(&p);
	unload(&p);
}

/*
 * After execve() a process keeps its PID and start time and, without ASLR, the library's
 * addresses. Since Linux 5.4, the kernel appends a probe to an existing event of the same name:
 * the program would then also run for the call that the previous image probed.
 */
static void run_image(int number)
{
	char next[] = { (char)('0' + number + 1), 0 };
	struct programs p = LOAD(count);
	if (number == 2) {
		CHECK_EQ(left(), 1);
		struct bpf_link *link = ATTACH(program(&p, "on_entry"), "getsid", NULL);
		make_calls(7);
		for (int i = 0; i < 5; i++)
			syscall(SYS_getsid, 0);
		CHECK_EQ(counted(&p, ON_ENTRY), 5);
		DESTROY(link);
		attach_until_none_is_left(&p);
		_exit(PASSED);
	}
	if (number == 1)
		ATTACH(program(&p, "on_entry"), CALL, NULL);
	CHECK(setenv("KSYSCALL_TEST_IMAGE", next, 1) == 0);
	execl("/proc/self/exe", "entries", NULL);
	FAIL("/proc/self/exe: %s", strerror(errno));
}

TEST(an_entry_from_before_execve_gets_no_new_probe)
{
	hide_the_pmu();
	IN_CHILD({
		CHECK(personality(ADDR_NO_RANDOMIZE) >= 0);
		run_image(0);
	});
}

int main(int argc, char **argv)
{
	const char *image = getenv("KSYSCALL_TEST_IMAGE");
	if (image) {
		alarm(TIME_LIMIT);
		run_image(image[0] - '0');
	}
	return run_tests(argc, argv, (void *)bpf_program__attach_ksyscall);
}
