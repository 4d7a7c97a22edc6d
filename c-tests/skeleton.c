/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Attaching by section: what a skeleton does, and bpf_program__attach(). */
#include "messages.h"
#include "programs.h"

#include "auto.skel.h"

enum { STAT = 2, UNAME };

static struct auto_bpf *load_skeleton(struct programs *p)
{
	struct auto_bpf *skeleton = auto_bpf__open_and_load();
	CHECK(skeleton);
	p->object = skeleton->obj;
	p->calls = watch(skeleton->obj);
	return skeleton;
}

TEST(a_skeleton_attaches_and_destroys)
{
	struct programs p;
	struct auto_bpf *skeleton = load_skeleton(&p);
	make_calls(2);
	CHECK_EQ(counted(&p, ON_ENTRY), 0);
	int fds = count_fds();
	CHECK_EQ(auto_bpf__attach(skeleton), 0);
	/* One fd for each of the four links: libbpf's own would hold eight. */
	CHECK_EQ(count_fds(), fds + 4);
	syscall(SYS_getpgid, NOBODY);
	CHECK_EQ(seen(&p, ON_ENTRY).argument, NOBODY);
	CHECK_EQ(seen(&p, ON_RETURN).result, -ESRCH);
	make_calls(99);
	CHECK_EQ(counted(&p, ON_ENTRY), 100);
	CHECK_EQ(counted(&p, ON_RETURN), 100);
	auto_bpf__detach(skeleton);
	CHECK_EQ(count_fds(), fds);
	make_calls(1);
	CHECK_EQ(counted(&p, ON_ENTRY), 100);
	CHECK_EQ(counted(&p, ON_RETURN), 100);
	auto_bpf__destroy(skeleton);
}

TEST(destroying_a_skeleton_destroys_its_links)
{
	struct programs p;
	struct auto_bpf *skeleton = load_skeleton(&p);
	CHECK_EQ(auto_bpf__attach(skeleton), 0);
	int calls = dup(p.calls);
	CHECK(fires(&p, ON_ENTRY));
	auto_bpf__destroy(skeleton);
	p.calls = calls;
	make_calls(1);
	CHECK_EQ(counted(&p, ON_ENTRY), 1);
	close(calls);
}

/* Which is also the proof that auto-attach comes to this library. */
TEST(calls_of_another_function_name_fire)
{
	struct programs p;
	struct auto_bpf *skeleton = load_skeleton(&p);
	CHECK_EQ(auto_bpf__attach(skeleton), 0);
	/* libbpf itself calls uname(). */
	__u64 stats = counted(&p, STAT), unames = counted(&p, UNAME);
	call_stat();
	CHECK_EQ(counted(&p, STAT), stats + 1);
	CHECK_EQ(counted(&p, UNAME), unames);
	call_uname();
	CHECK_EQ(counted(&p, STAT), stats + 1);
	CHECK_EQ(counted(&p, UNAME), unames + 1);
	auto_bpf__destroy(skeleton);
}

TEST(bpf_program__attach_attaches_by_section)
{
	struct programs p;
	struct auto_bpf *skeleton = load_skeleton(&p);
	struct bpf_link *back = bpf_program__attach(skeleton->progs.on_getpgid_return);
	CHECK(back);
	make_calls(3);
	CHECK_EQ(counted(&p, ON_ENTRY), 0);
	CHECK_EQ(counted(&p, ON_RETURN), 3);
	struct bpf_link *entry = bpf_program__attach(skeleton->progs.on_getpgid);
	CHECK(entry);
	make_calls(1);
	CHECK_EQ(counted(&p, ON_ENTRY), 1);
	CHECK_EQ(counted(&p, ON_RETURN), 4);
	DESTROY(back);
	DESTROY(entry);
	auto_bpf__destroy(skeleton);
}

/* The link of a program that the skeleton has taken over is destroyed with it. */
TEST(links_put_into_a_skeleton_are_destroyed_with_it)
{
	struct programs p;
	struct auto_bpf *skeleton = load_skeleton(&p);
	int fds = count_fds();
	skeleton->links.on_stat = ATTACH(skeleton->progs.on_stat, "newuname", NULL);
	CHECK_EQ(count_fds(), fds + 1);
	call_uname();
	CHECK_EQ(counted(&p, STAT), 1);
	auto_bpf__destroy(skeleton);
}

TEST(an_unknown_call_fails_the_skeletons_attach)
{
	struct auto_bpf *skeleton = auto_bpf__open();
	CHECK(skeleton);
	CHECK_EQ(bpf_program__set_autoload(skeleton->progs.on_unknown, true), 0);
	CHECK_EQ(auto_bpf__load(skeleton), 0);
	int fds = count_fds();
	libbpf_set_print(keep_warning);
	errno = 0;
	CHECK_EQ(auto_bpf__attach(skeleton), -ENOENT);
	CHECK_HAS(warned, "__x64_sys_no_such_call");
	CHECK_EQ(warnings, 1);
	auto_bpf__detach(skeleton);
	CHECK_EQ(count_fds(), fds);
	auto_bpf__destroy(skeleton);
}

MAIN
