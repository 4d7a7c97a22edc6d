/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tests that links outlive the library's dlopen() handle, and that child processes share links. */
#include "programs.h"

/* The kernel detaches a program only after every process has closed its copy of the link's fd. */
TEST(a_child_process_keeps_the_program_attached)
{
	struct programs p = LOAD(count);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	int release;
	pid_t child = fork_a_keeper(&release);
	DESTROY(link);
	CHECK(fires(&p, ON_ENTRY));
	CHECK(close(release) == 0);
	ends_well(child);
	wait_until_silent(&p, ON_ENTRY);
	unload(&p);
}

static void child_attaches_too(void)
{
	struct programs p = LOAD(count);
	struct bpf_program *prog = program(&p, "on_entry");
	struct bpf_link *link = ATTACH(prog, CALL, NULL);
	IN_CHILD({
		p.calls = watch(p.object);
		struct bpf_link *own = ATTACH(prog, CALL, NULL);
		__u64 before = counted(&p, ON_ENTRY);
		make_calls(1);
		CHECK_EQ(counted(&p, ON_ENTRY), before + 2);
		DESTROY(own);
		CHECK(fires(&p, ON_ENTRY));
	});
	p.calls = watch(p.object);
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	CHECK(!fires(&p, ON_ENTRY));
	unload(&p);
}

TEST(a_child_process_attaches_like_its_parent)
{
	child_attaches_too();
}

TEST(a_child_process_attaches_like_its_parent_by_tracefs)
{
	hide_the_pmu();
	child_attaches_too();
}

static struct bpf_link *destroyed_at_exit;

static void destroy_at_exit(void)
{
	if (bpf_link__destroy(destroyed_at_exit) != 0)
		_exit(FAILED);
}

TEST(a_link_may_be_destroyed_at_exit)
{
	struct programs p = LOAD(count);
	IN_CHILD({
		destroyed_at_exit = ATTACH(program(&p, "on_entry"), CALL, NULL);
		CHECK(atexit(destroy_at_exit) == 0);
		exit(PASSED);
	});
	CHECK(!fires(&p, ON_ENTRY));
	CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
	unload(&p);
}

/* The remaining tests apply only to this library. */
static void needs_this_library(void)
{
	if (!is_ours((void *)bpf_program__attach_ksyscall))
		SKIP("the function is libbpf's own");
}

typedef __typeof__(&bpf_program__attach_ksyscall) attach_fn;

static void *open_a_copy(attach_fn *function)
{
	void *copy = open_copy((void *)bpf_program__attach_ksyscall);
	*function = (attach_fn)dlsym(copy, "bpf_program__attach_ksyscall");
	CHECK(*function && *function != bpf_program__attach_ksyscall);
	return copy;
}

TEST(links_outlive_dlclose)
{
	needs_this_library();
	struct programs p = LOAD(count);
	attach_fn attach_by_copy;
	void *copy = open_a_copy(&attach_by_copy);
	struct bpf_link *link = attach_by_copy(program(&p, "on_entry"), CALL, NULL);
	CHECK(link);
	CHECK(dlclose(copy) == 0);
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	CHECK(!fires(&p, ON_ENTRY));
	unload(&p);
}

static void two_copies_attach(void)
{
	needs_this_library();
	struct programs p = LOAD(count);
	attach_fn attach_by_copy;
	void *copy = open_a_copy(&attach_by_copy);
	struct bpf_link *one = ATTACH(program(&p, "on_entry"), CALL, NULL);
	struct bpf_link *two = attach_by_copy(program(&p, "on_entry"), CALL, NULL);
	CHECK(two);
	make_calls(1);
	CHECK_EQ(counted(&p, ON_ENTRY), 2);
	DESTROY(one);
	make_calls(1);
	CHECK_EQ(counted(&p, ON_ENTRY), 3);
	DESTROY(two);
	CHECK(!fires(&p, ON_ENTRY));
	CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
	CHECK(dlclose(copy) == 0);
	unload(&p);
}

TEST(two_copies_of_the_library_work_side_by_side)
{
	two_copies_attach();
}

TEST(two_copies_of_the_library_work_side_by_side_by_tracefs)
{
	hide_the_pmu();
	two_copies_attach();
}

MAIN
