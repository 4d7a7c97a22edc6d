/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests bpf_program__attach() and bpf_object__attach_skeleton(), which the library overrides.
 * For all programs except ksyscall programs, the overrides must behave exactly like libbpf's functions.
 */
#include "chosen.h"

TEST(programs_of_all_sections_attach)
{
	struct programs p = LOAD(sections);
	struct chosen chosen;
	CHOOSE(&chosen, &p, "on_kprobe", "on_entry", "on_tracepoint", "on_return", "on_any", "on_any_return",
	       "on_stat");
	CHECK_EQ(bpf_object__attach_skeleton(&chosen.skeleton), 0);
	CHECK(!chosen.links[4] && !chosen.links[5]);
	__u64 stats = counted(&p, ON_STAT), traced = counted(&p, ON_TRACEPOINT);
	make_calls(5);
	call_stat();
	CHECK_EQ(counted(&p, ON_KPROBE), 5);
	CHECK_EQ(counted(&p, ON_ENTRY), 5);
	CHECK_EQ(counted(&p, ON_RETURN), 5);
	CHECK_EQ(counted(&p, ON_STAT), stats + 1);
	CHECK(counted(&p, ON_TRACEPOINT) >= traced + 6);
	syscall(SYS_getpgid, NOBODY);
	CHECK_EQ(seen(&p, ON_RETURN).result, -ESRCH);
	destroy_links(&chosen);
	unload(&p);
}

TEST(each_program_attaches_separately)
{
	static const struct {
		const char *name;
		int slot;
	} rows[] = {
		{ "on_entry", ON_ENTRY },
		{ "on_return", ON_RETURN },
		{ "on_kprobe", ON_KPROBE },
	};
	struct programs p = LOAD(sections);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bpf_link *link = bpf_program__attach(program(&p, rows[i].name));
		CHECK(link);
		make_calls(2);
		CHECK_EQ(counted(&p, (__u32)rows[i].slot), 2);
		DESTROY(link);
	}
	struct bpf_link *link = bpf_program__attach(program(&p, "on_stat"));
	CHECK(link);
	__u64 stats = counted(&p, ON_STAT);
	call_stat();
	CHECK_EQ(counted(&p, ON_STAT), stats + 1);
	DESTROY(link);
	unload(&p);
}

TEST(programs_that_cannot_attach_by_themselves)
{
	libbpf_set_print(NULL);
	struct programs p = LOAD(sections);
	CHECK_FAILS(bpf_program__attach(program(&p, "on_any")), EOPNOTSUPP);
	CHECK_FAILS(bpf_program__attach(program(&p, "on_any_return")), EOPNOTSUPP);
	CHECK_FAILS(bpf_program__attach(program(&p, "on_no_call")), ENOENT);
	CHECK_FAILS(bpf_program__attach(program(&p, "on_no_function")), ENOENT);
	/* A section that libbpf does not recognise. */
	CHECK_FAILS(bpf_program__attach(program(&p, "on_mine")), EOPNOTSUPP);
	unload(&p);
	p.object = open_object(start_sections, end_sections);
	CHECK_FAILS(bpf_program__attach(program(&p, "on_entry")), EINVAL);
	CHECK_FAILS(bpf_program__attach(program(&p, "on_kprobe")), EINVAL);
	unload(&p);
}

/*
 * bpf_object__attach_skeleton() skips programs that already have a link, or that have autoattach or autoload
 * disabled.
 */
TEST(a_skeleton_skips_programs)
{
	struct programs p = { .object = open_object(start_sections, end_sections) };
	struct chosen chosen;
	bpf_program__set_autoattach(program(&p, "on_no_call"), false);
	CHECK_EQ(bpf_program__set_autoload(program(&p, "on_no_function"), false), 0);
	CHECK_EQ(bpf_program__set_autoload(program(&p, "on_return"), false), 0);
	CHECK_EQ(bpf_object__load(p.object), 0);
	p.calls = watch(p.object);
	CHOOSE(&chosen, &p, "on_no_call", "on_entry", "on_no_function", "on_return", "on_kprobe");
	/* A program with a link to a different call must not also be attached to its section's call. */
	struct bpf_link *own = ATTACH(program(&p, "on_entry"), "newuname", NULL);
	chosen.links[1] = own;
	CHECK_EQ(bpf_object__attach_skeleton(&chosen.skeleton), 0);
	CHECK(!chosen.links[0] && chosen.links[1] == own && !chosen.links[2] && !chosen.links[3] &&
	      chosen.links[4]);
	make_calls(3);
	CHECK_EQ(counted(&p, ON_ENTRY), 0);
	CHECK_EQ(counted(&p, ON_KPROBE), 3);
	/* A second attach of the same skeleton must do nothing. */
	int fds = count_fds();
	CHECK_EQ(bpf_object__attach_skeleton(&chosen.skeleton), 0);
	CHECK_EQ(count_fds(), fds);
	destroy_links(&chosen);
	unload(&p);
}

/* If a program fails to attach, earlier programs stay attached and later programs are not attached. */
TEST(a_skeleton_attaches_everything_before_a_failure)
{
	libbpf_set_print(NULL);
	struct programs p = LOAD(sections);
	static const char *const failing[] = { "on_no_call", "on_no_function" };
	for (int i = 0; i < 2; i++) {
		struct chosen chosen;
		CHOOSE(&chosen, &p, "on_kprobe", "on_entry", failing[i], "on_return", "on_tracepoint");
		errno = 0;
		CHECK_EQ(bpf_object__attach_skeleton(&chosen.skeleton), -ENOENT);
		CHECK_EQ(errno, ENOENT);
		CHECK(chosen.links[0] && chosen.links[1]);
		CHECK(!chosen.links[2] && !chosen.links[3] && !chosen.links[4]);
		destroy_links(&chosen);
	}
	unload(&p);
}

TEST(a_skeleton_without_programs_attaches)
{
	struct chosen chosen = { .skeleton = { .sz = sizeof(chosen.skeleton) } };
	CHECK_EQ(bpf_object__attach_skeleton(&chosen.skeleton), 0);
}

#if LIBBPF_MINOR_VERSION >= 5
EMBED(ops, BPF_FOLDER "/ops.bpf.o");

/* Since 1.5, libbpf attaches the maps after the programs, and attaches no maps if any program fails. */
TEST(the_maps_of_a_skeleton_attach_after_its_programs)
{
	libbpf_set_print(NULL);
	struct programs p = LOAD(ops);
	struct chosen chosen;
	struct bpf_map *map = bpf_object__find_map_by_name(p.object, "control");
	struct bpf_link *link = NULL;
	struct bpf_map_skeleton maps = { "control", &map, NULL, &link };
	CHECK(map);
	for (int fails = 1; fails >= 0; fails--) {
		CHOOSE(&chosen, &p, "on_stat", "ssthresh", fails ? "on_no_call" : "undo_cwnd");
		chosen.skeleton.map_cnt = 1;
		chosen.skeleton.map_skel_sz = sizeof(maps);
		chosen.skeleton.maps = &maps;
		CHECK_EQ(bpf_object__attach_skeleton(&chosen.skeleton), fails ? -ENOENT : 0);
		CHECK(chosen.links[0] && !chosen.links[1] && !chosen.links[2]);
		CHECK_EQ(link != NULL, !fails);
		__u64 stats = counted(&p, ON_ENTRY);
		call_stat();
		CHECK_EQ(counted(&p, ON_ENTRY), stats + 1);
		destroy_links(&chosen);
	}
	DESTROY(link);
	unload(&p);
}
#endif

static int handled;

static int no_attach(const struct bpf_program *prog, long cookie, struct bpf_link **link)
{
	(void)prog;
	CHECK_EQ(cookie, 7);
	handled++;
	*link = NULL;
	return 0;
}

static int fail_attach(const struct bpf_program *prog, long cookie, struct bpf_link **link)
{
	(void)prog, (void)cookie, (void)link;
	handled++;
	return -EBADMSG;
}

/* Custom section handlers stay in effect, even for a section that libbpf defines. */
TEST(handlers_of_the_program_are_kept)
{
	struct libbpf_prog_handler_opts opts = { .sz = sizeof(opts),
						 .cookie = 7,
						 .prog_attach_fn = no_attach };
	struct libbpf_prog_handler_opts failing = { .sz = sizeof(opts), .prog_attach_fn = fail_attach };
	libbpf_set_print(NULL);
	CHECK(libbpf_register_prog_handler("mine+", BPF_PROG_TYPE_KPROBE, 0, &failing) > 0);
	CHECK(libbpf_register_prog_handler("ksyscall+", BPF_PROG_TYPE_KPROBE, 0, &opts) > 0);
	struct programs p = { .object = open_object(start_sections, end_sections) };
	CHECK_EQ(bpf_program__set_autoload(program(&p, "on_mine"), true), 0);
	CHECK_EQ(bpf_object__load(p.object), 0);
	p.calls = watch(p.object);
	CHECK_FAILS(bpf_program__attach(program(&p, "on_entry")), EOPNOTSUPP);
	CHECK_EQ(handled, 1);
	CHECK_FAILS(bpf_program__attach(program(&p, "on_mine")), EBADMSG);
	CHECK_EQ(handled, 2);
	struct chosen chosen;
	/* libbpf calls the handler once for each program. */
	CHOOSE(&chosen, &p, "on_entry", "on_return", "on_stat", "on_kprobe");
	CHECK_EQ(bpf_object__attach_skeleton(&chosen.skeleton), 0);
	CHECK_EQ(handled, 4);
	CHECK(!chosen.links[0] && chosen.links[1] && !chosen.links[2] && chosen.links[3]);
	make_calls(1);
	CHECK_EQ(counted(&p, ON_RETURN), 1);
	destroy_links(&chosen);
	CHOOSE(&chosen, &p, "on_return", "on_mine", "on_kprobe");
	CHECK_EQ(bpf_object__attach_skeleton(&chosen.skeleton), -EBADMSG);
	CHECK_EQ(handled, 5);
	CHECK(chosen.links[0] && !chosen.links[1] && !chosen.links[2]);
	destroy_links(&chosen);
	unload(&p);
}

/* Since libbpf 1.2, a program loses its section handler if its type is set explicitly. */
TEST(an_explicit_type_disables_attaching_by_section)
{
	bool stays = libbpf_minor_version() < 2;
	struct programs p = { .object = open_object(start_sections, end_sections) };
	libbpf_set_print(NULL);
	bpf_program__set_type(program(&p, "on_entry"), BPF_PROG_TYPE_TRACEPOINT);
	bpf_program__set_type(program(&p, "on_entry"), BPF_PROG_TYPE_KPROBE);
	CHECK_EQ(bpf_object__load(p.object), 0);
	p.calls = watch(p.object);
	errno = 0;
	struct bpf_link *link = bpf_program__attach(program(&p, "on_entry"));
	CHECK_EQ(errno, stays ? errno : EOPNOTSUPP);
	CHECK_EQ(link != NULL, stays);
	DESTROY(link);
	struct chosen chosen;
	CHOOSE(&chosen, &p, "on_entry", "on_return");
	CHECK_EQ(bpf_object__attach_skeleton(&chosen.skeleton), 0);
	CHECK_EQ(chosen.links[0] != NULL, stays);
	CHECK(chosen.links[1]);
	destroy_links(&chosen);
	unload(&p);
}

MAIN
