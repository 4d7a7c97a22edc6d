/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tests which calls a probe on a system call's function misses; see docs/limits.md. */
#include "programs.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/reg.h>

EMBED(unseen, BPF_FOLDER "/unseen.bpf.o");

static void watch_thread(const struct programs *p, pid_t thread)
{
	int watched = bpf_object__find_map_fd_by_name(p->object, "watched");
	__u32 zero = 0;
	CHECK(bpf_map_update_elem(watched, &zero, &thread, BPF_ANY) == 0);
}

static void *map(int ring, size_t size, off_t offset)
{
	void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, offset);
	CHECK(mapped != MAP_FAILED);
	return mapped;
}

/* Opens "/" with io_uring; returns the result. */
static int open_by_io_uring(void)
{
	struct io_uring_params params = { 0 };
	int ring = (int)syscall(SYS_io_uring_setup, 1, &params);
	CHECK(ring >= 0);
	char *requests = map(ring, 4096, IORING_OFF_SQ_RING), *results = map(ring, 4096, IORING_OFF_CQ_RING);
	struct io_uring_sqe *request = map(ring, sizeof(*request), IORING_OFF_SQES);

	request->opcode = IORING_OP_OPENAT;
	request->fd = AT_FDCWD;
	request->addr = (uintptr_t)"/";
	__atomic_store_n((__u32 *)(requests + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	CHECK_EQ(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
	int result = ((struct io_uring_cqe *)(results + params.cq_off.cqes))->res;
	/* The kernel removes the mappings when the test's process exits. */
	close(ring);
	return result;
}

TEST(io_uring_opens_without_openat)
{
	struct programs p = LOAD(unseen);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), "openat", NULL);
	int file = open_by_io_uring();

	CHECK(file >= 0);
	close(file);
	CHECK_EQ(counted(&p, ON_ENTRY), 0);
	syscall(SYS_openat, AT_FDCWD, "/nothing", O_RDONLY);
	CHECK_EQ(counted(&p, ON_ENTRY), 1);
	DESTROY(link);
	unload(&p);
}

static struct bpf_link *tracepoint(const struct programs *p, const char *name)
{
	struct bpf_link *link = bpf_program__attach(program(p, name));
	CHECK(link && !libbpf_get_error(link));
	return link;
}

/* If a seccomp filter rejects a call, neither the probes nor sys_enter see the call, but sys_exit does. */
TEST(seccomp_answers_before_the_function)
{
	struct sock_filter filter[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
					BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 0, 1),
					BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
					BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct programs p = LOAD(unseen);
	struct bpf_link *links[] = { ATTACH(program(&p, "on_entry"), CALL, NULL),
				     ATTACH(program(&p, "on_return"), CALL, RETPROBE),
				     tracepoint(&p, "on_sys_enter"), tracepoint(&p, "on_sys_exit") };

	make_calls(1);
	filter_calls(filter, sizeof(filter) / sizeof(filter[0]));
	CHECK(syscall(SYS_getpgid, 0) == -1 && errno == EXDEV);
	CHECK_EQ(counted(&p, ON_ENTRY), 1);
	CHECK_EQ(counted(&p, ON_RETURN), 1);
	CHECK_EQ(counted(&p, ON_SYS_ENTER), 1);
	CHECK_EQ(counted(&p, ON_SYS_EXIT), 2);
	CHECK_EQ(seen(&p, ON_SYS_EXIT).result, -EXDEV);
	for (int i = 0; i < 4; i++)
		DESTROY(links[i]);
	unload(&p);
}

TEST(a_tracer_answers_before_the_function)
{
	enum { ANSWER = 77 };
	struct programs p = LOAD(unseen);
	struct bpf_link *links[] = { ATTACH(program(&p, "on_entry"), CALL, NULL),
				     tracepoint(&p, "on_sys_exit") };
	pid_t self = getpid(), child = fork();
	int status;

	if (child == 0) {
		long result = ptrace(PTRACE_TRACEME, 0, 0, 0) + syscall(SYS_kill, getpid(), SIGSTOP);
		result += syscall(SYS_getpgid, self);
		_exit(result == ANSWER ? PASSED : FAILED);
	}
	watch_thread(&p, child);
	CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	CHECK(ptrace(PTRACE_SYSEMU, child, 0, 0) == 0);
	CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	CHECK(ptrace(PTRACE_POKEUSER, child, RAX * sizeof(long), ANSWER) == 0);
	CHECK(ptrace(PTRACE_CONT, child, 0, 0) == 0);
	ends_well(child);
	CHECK_EQ(counted(&p, ON_ENTRY), 0);
	CHECK_EQ(counted(&p, ON_SYS_EXIT), 1);
	CHECK_EQ(seen(&p, ON_SYS_EXIT).result, ANSWER);
	DESTROY(links[0]);
	DESTROY(links[1]);
	unload(&p);
}

/* The child never returns from clone3's function, so a return probe misses it. sys_exit sees the child. */
TEST(clone_returns_in_the_parent)
{
	pid_t id = 30000;
	struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&id, .set_tid_size = 1 };
	struct programs p = LOAD(unseen);
	struct bpf_link *links[] = { ATTACH(program(&p, "on_return"), "clone3", RETPROBE),
				     tracepoint(&p, "on_sys_exit") };
	pid_t watched[] = { id, getpid() };

	for (int i = 0; i < 2; i++) {
		watch_thread(&p, watched[i]);
		pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
		if (child == 0)
			_exit(PASSED);
		CHECK_EQ(child, id);
		ends_well(child);
		CHECK_EQ(counted(&p, ON_RETURN), i);
		CHECK_EQ(counted(&p, ON_SYS_EXIT), i + 1);
		CHECK_EQ(seen(&p, ON_SYS_EXIT).result, i ? id : 0);
	}
	DESTROY(links[0]);
	DESTROY(links[1]);
	unload(&p);
}

MAIN
