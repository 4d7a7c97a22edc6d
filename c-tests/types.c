/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Kprobe programs that were loaded for something else than a perf event. A kernel
 * which refuses them a link is not one without links; and the event itself would take
 * them, after which one that calls bpf_get_attach_cookie() crashes Linux 6.12.
 */
#include "messages.h"
#include "programs.h"

/* enum bpf_attach_type; older headers do not have them all. */
static const int others[] = {
	42, /* BPF_TRACE_KPROBE_MULTI */
	48, /* BPF_TRACE_UPROBE_MULTI */
	56, /* BPF_TRACE_KPROBE_SESSION */
	57, /* BPF_TRACE_UPROBE_SESSION */
};
enum { OTHERS = sizeof(others) / sizeof(others[0]) };

/* Loads a program for an attach type; false if the kernel refuses to. */
static bool load_for(struct programs *p, const char *start, const char *finish, const char *name, int type)
{
	*p = (struct programs){ open_object(start, finish), -1 };
	bpf_program__set_expected_attach_type(program(p, name), (enum bpf_attach_type)type);
	libbpf_set_print(NULL);
	if (bpf_object__load(p->object) != 0) {
		CHECK_EQ(errno, EINVAL);
		unload(p);
		return false;
	}
	p->calls = watch(p->object);
	return true;
}

/* What the kernel says of a link for it, without an event: EBADF if it is the event that is wrong. */
static bool kernel_takes(const struct bpf_program *prog)
{
	union bpf_attr attr = { .link_create = { .prog_fd = (__u32)bpf_program__fd(prog),
						 .target_fd = (__u32)-1,
						 .attach_type = 41 /* BPF_PERF_EVENT */ } };
	if (!has_perf_links())
		return true;
	CHECK_EQ(syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr)), -1);
	int error = errno;
	CHECK(error == EBADF || error == EINVAL);
	return error == EBADF;
}

/* It is refused as the kernel refuses it, or attached as any other. */
static void answers_as_the_kernel(const struct programs *p, struct bpf_program *prog, __u32 slot)
{
	bool taken = kernel_takes(prog);
	for (int kind = 0; kind < 4; kind++) {
		struct bpf_ksyscall_opts *opts = OPTS(.retprobe = kind & 1,
						      .bpf_cookie = kind & 2 ? slot : 0);
		if (opts->bpf_cookie && !has_perf_links()) {
			CHECK_FAILS(bpf_program__attach_ksyscall(prog, CALL, opts), EOPNOTSUPP);
		} else if (taken) {
			DESTROY(ATTACH(prog, CALL, opts));
		} else {
			CHECK_FAILS(bpf_program__attach_ksyscall(prog, CALL, opts), EINVAL);
			/* An attachment that is there all the same would run here. */
			CHECK(!fires(p, slot));
		}
	}
#ifdef LIBBPF_MAJOR_VERSION
	errno = 0;
	struct bpf_link *libbpfs = bpf_program__attach_kprobe(prog, false, CALL_SYMBOL);
	int error = errno;
	CHECK_EQ(libbpfs != NULL, taken);
	if (!libbpfs)
		CHECK_EQ(error, EINVAL);
	CHECK_EQ(bpf_link__destroy(libbpfs), 0);
#endif
	CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
}

/* After all that, this process attaches as any other, with cookies and pins. */
static void is_unharmed(void)
{
	static const char pin[] = "/sys/fs/bpf/ksyscall-types";
	if (!has_perf_links()) {
		struct programs p = LOAD(count);
		struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
		CHECK(fires(&p, ON_ENTRY));
		DESTROY(link);
		unload(&p);
		return;
	}
	struct programs p = LOAD(cookie);
	struct bpf_link *link = ATTACH(program(&p, "on_entry_by_cookie"), CALL, COOKIE(7));
	CHECK(fires(&p, 7));
	CHECK_EQ(seen(&p, 7).cookie, 7);
	CHECK_EQ(bpf_link__pin(link, pin), 0);
	CHECK_EQ(bpf_link__unpin(link), 0);
	DESTROY(link);
	wait_until_silent(&p, 7);
	unload(&p);
}

static void asks_with(const char *start, const char *finish, const char *name, __u32 slot)
{
	int loaded = 0, refused = 0;
	for (int i = 0; i < OTHERS; i++) {
		struct programs p;
		if (!load_for(&p, start, finish, name, others[i]))
			continue;
		loaded++;
		refused += !kernel_takes(program(&p, name));
		answers_as_the_kernel(&p, program(&p, name), slot);
		unload(&p);
	}
	is_unharmed();
	if (loaded == 0)
		SKIP("this kernel loads no kprobe program for another attach type");
	/* Else this would test nothing: Linux 6.12 has the first three. */
	if (kernel_is_at_least(6, 12))
		CHECK(refused >= 3);
}

#define ASK_WITH(object, program, slot) asks_with(start_##object, end_##object, program, slot)

TEST(a_program_of_another_attach_type)
{
	ASK_WITH(count, "on_entry", ON_ENTRY);
}

TEST(a_program_of_another_attach_type_that_reads_its_cookie)
{
	struct programs p;
	if (has_perf_links())
		ASK_WITH(cookie, "on_entry_by_cookie", 7);
	else
		CHECK(!load_for(&p, start_cookie, end_cookie, "on_entry_by_cookie", others[0]));
}

TEST(a_program_of_another_attach_type_without_a_pmu)
{
	hide_the_pmu();
	ASK_WITH(count, "on_entry", ON_ENTRY);
	if (has_perf_links())
		ASK_WITH(cookie, "on_entry_by_cookie", 7);
}

/* The first attach of a process is the one that could conclude something for all later ones. */
TEST(each_attach_type_at_first)
{
	for (int i = 0; i < OTHERS; i++)
		IN_CHILD({
			struct programs p;
			if (load_for(&p, start_count, end_count, "on_entry", others[i])) {
				bool taken = kernel_takes(program(&p, "on_entry"));
				struct bpf_link *link = bpf_program__attach_ksyscall(program(&p, "on_entry"),
										     CALL, NULL);
				CHECK_EQ(link != NULL, taken);
				CHECK_EQ(bpf_link__destroy(link), 0);
				unload(&p);
			}
			is_unharmed();
		});
}

/* Whatever number the kernel loads, also those that mean nothing yet. */
TEST(every_attach_type)
{
	enum { NUMBERS = 72 };
	int loaded = 0;
	for (int type = 0; type < NUMBERS; type++) {
		struct programs p;
		if (!load_for(&p, start_count, end_count, "on_entry", type))
			continue;
		bool taken = kernel_takes(program(&p, "on_entry"));
		struct bpf_link *link = bpf_program__attach_ksyscall(program(&p, "on_entry"), CALL, NULL);
		int error = link ? 0 : errno;
		if (error != (taken ? 0 : EINVAL))
			FAIL("attach type %d: errno %d; the kernel %s it", type, error,
			     taken ? "takes" : "refuses");
		CHECK_EQ(fires(&p, ON_ENTRY), taken);
		CHECK_EQ(bpf_link__destroy(link), 0);
		unload(&p);
		loaded++;
	}
	CHECK(loaded > 0);
	is_unharmed();
}

MAIN
