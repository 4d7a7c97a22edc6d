/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests the library with musl as the C library; testing/test_musl.py runs this test. Debian has no
 * libbpf for musl, so this source is also built as a fake libbpf that provides what the library looks up.
 */
#include "test.h"

struct bpf_link {
	int (*detach)(struct bpf_link *link);
	void (*destructor)(struct bpf_link *link);
	char *pin_path;
	int fd;
	bool disconnected;
};

struct bpf_program {
	/* The library looks for the section definition in these words, which are all NULL. */
	void *words[5];
	int fd;
};

typedef int print_fn(int level, const char *format, va_list arguments);

struct bpf_link *bpf_program__attach_ksyscall(const struct bpf_program *prog, const char *syscall_name,
					      const void *opts);
int bpf_program__fd(const struct bpf_program *prog);
const char *bpf_program__name(const struct bpf_program *prog);
int bpf_link__fd(const struct bpf_link *link);
const char *bpf_link__pin_path(const struct bpf_link *link);
void bpf_link__disconnect(struct bpf_link *link);
int bpf_link__destroy(struct bpf_link *link);
print_fn *libbpf_set_print(print_fn *print);

#ifdef LIBBPF
struct bpf_link *bpf_program__attach_ksyscall(const struct bpf_program *prog, const char *syscall_name,
					      const void *opts)
{
	/* This function is never called, because the preloaded library overrides it. */
	(void)prog, (void)syscall_name, (void)opts;
	abort();
}

int bpf_program__fd(const struct bpf_program *prog)
{
	return prog->fd;
}

const char *bpf_program__name(const struct bpf_program *prog)
{
	(void)prog;
	return "on_getppid";
}

int bpf_link__fd(const struct bpf_link *link)
{
	return link->fd;
}

const char *bpf_link__pin_path(const struct bpf_link *link)
{
	return link->pin_path;
}

void bpf_link__disconnect(struct bpf_link *link)
{
	link->disconnected = true;
}

int bpf_link__destroy(struct bpf_link *link)
{
	int error = link->disconnected ? 0 : link->detach(link);
	free(link->pin_path);
	if (link->destructor)
		link->destructor(link);
	else
		free(link);
	return error;
}

print_fn *libbpf_set_print(print_fn *print)
{
	static print_fn *current;
	print_fn *previous = current;
	current = print;
	return previous;
}
#else
static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* Loads a program that returns 0. */
static struct bpf_program load(void)
{
	struct bpf_insn instructions[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_KPROBE,
		.insns = (uintptr_t)instructions,
		.insn_cnt = sizeof(instructions) / sizeof(*instructions),
		.license = (uintptr_t)"Dual MIT/GPL",
	};
	int fd = bpf(BPF_PROG_LOAD, &attr);
	CHECK(fd >= 0);
	return (struct bpf_program){ .fd = fd };
}

/* How many times the program ran while this process made three calls. */
static long long runs(const struct bpf_program *prog)
{
	struct bpf_prog_info before = { 0 }, after = { 0 };
	union bpf_attr stats = { .enable_stats.type = BPF_STATS_RUN_TIME };
	int fd = bpf(BPF_ENABLE_STATS, &stats);
	CHECK(fd >= 0);
	for (int i = 0; i < 2; i++) {
		struct bpf_prog_info *info = i ? &after : &before;
		union bpf_attr attr = { .info = { (__u32)prog->fd, sizeof(*info), (uintptr_t)info } };
		CHECK(bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0);
		for (int call = 0; i == 0 && call < 3; call++)
			syscall(SYS_getppid);
	}
	close(fd);
	return (long long)(after.run_cnt - before.run_cnt);
}

static char said[2048];

static int keep(int level, const char *format, va_list arguments)
{
	(void)level;
	return vsnprintf(said, sizeof(said), format, arguments);
}

TEST(the_program_runs_until_the_link_is_destroyed)
{
	struct bpf_program prog = load();
	struct bpf_link *link = bpf_program__attach_ksyscall(&prog, "getppid", NULL);
	CHECK(link);
	CHECK(bpf_link__fd(link) >= 0);
	CHECK(runs(&prog) >= 3);
	CHECK_EQ(bpf_link__destroy(link), 0);
	CHECK_EQ(runs(&prog), 0);
	close(prog.fd);
}

TEST(errors_have_an_errno_and_a_reason)
{
	struct bpf_program prog = load(), unloaded = { .fd = -1 };
	CHECK_FAILS(bpf_program__attach_ksyscall(NULL, "getppid", NULL), EINVAL);
	CHECK_FAILS(bpf_program__attach_ksyscall(&prog, NULL, NULL), EINVAL);
	CHECK_FAILS(bpf_program__attach_ksyscall(&unloaded, "getppid", NULL), EINVAL);
	CHECK_FAILS(bpf_program__attach_ksyscall(&prog, "get ppid", NULL), EINVAL);
	CHECK_FAILS(bpf_program__attach_ksyscall(&prog, "no_such_call", NULL), ENOENT);
	close(prog.fd);
}

TEST(a_warning_goes_to_the_print_callback)
{
	struct bpf_program prog = load();
	libbpf_set_print(keep);
	CHECK_FAILS(bpf_program__attach_ksyscall(&prog, "no_such_call", NULL), ENOENT);
	CHECK_HAS(said, "no_such_call");
	CHECK_HAS(said, "on_getppid");
	CHECK(libbpf_set_print(NULL) == keep);
	close(prog.fd);
}

int main(int argc, char **argv)
{
	return run_tests(argc, argv, (void *)bpf_program__attach_ksyscall);
}
#endif
