/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tests a program that loads libbpf with dlopen() and RTLD_LOCAL, as plugins and bindings do. */
#include "test.h"

#include <glob.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static void *libbpf;

/* This program is not linked to libbpf, so every call goes through the dlopen() handle. */
#define OF_LIBBPF(function) ((__typeof__(&(function)))dlsym(libbpf, #function))
#define bpf_link__destroy(...) OF_LIBBPF(bpf_link__destroy)(__VA_ARGS__)
#define bpf_link__disconnect(...) OF_LIBBPF(bpf_link__disconnect)(__VA_ARGS__)
#define bpf_link__fd(...) OF_LIBBPF(bpf_link__fd)(__VA_ARGS__)
#define bpf_map_lookup_elem(...) OF_LIBBPF(bpf_map_lookup_elem)(__VA_ARGS__)
#define bpf_map_update_elem(...) OF_LIBBPF(bpf_map_update_elem)(__VA_ARGS__)
#define bpf_object__close(...) OF_LIBBPF(bpf_object__close)(__VA_ARGS__)
#define bpf_object__find_map_fd_by_name(...) OF_LIBBPF(bpf_object__find_map_fd_by_name)(__VA_ARGS__)
#define bpf_object__find_program_by_name(...) OF_LIBBPF(bpf_object__find_program_by_name)(__VA_ARGS__)
#define bpf_object__load(...) OF_LIBBPF(bpf_object__load)(__VA_ARGS__)
#define bpf_object__open_mem(...) OF_LIBBPF(bpf_object__open_mem)(__VA_ARGS__)
#define bpf_program__attach(...) OF_LIBBPF(bpf_program__attach)(__VA_ARGS__)
#define bpf_program__set_type(...) OF_LIBBPF(bpf_program__set_type)(__VA_ARGS__)
#define libbpf_get_error(...) OF_LIBBPF(libbpf_get_error)(__VA_ARGS__)
#define libbpf_set_print(...) OF_LIBBPF(libbpf_set_print)(__VA_ARGS__)

#ifndef LINKED
typedef struct bpf_link *(*attach_fn)(const struct bpf_program *, const char *,
				      const struct bpf_ksyscall_opts *);
/* If the library is not preloaded, use libbpf's own function. */
#define bpf_program__attach_ksyscall                                                   \
	((attach_fn)dlsym(getenv("KSYSCALL_TEST_ANY_LIBRARY") ? libbpf : RTLD_DEFAULT, \
			  "bpf_program__attach_ksyscall"))
#endif

#include "messages.h"
#include "programs.h"

#ifndef LINKED
EMBED(sections, BPF_FOLDER "/sections.bpf.o");
#endif

static void open_libbpf(void)
{
	libbpf = dlopen("libbpf.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!libbpf)
		libbpf = dlopen("libbpf.so.0", RTLD_NOW | RTLD_LOCAL);
	CHECK(libbpf);
	CHECK(!dlsym(RTLD_DEFAULT, "bpf_program__fd"));
}

TEST(a_libbpf_opened_locally_is_found)
{
	open_libbpf();
	struct programs p = LOAD(count);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	make_calls(9);
	CHECK_EQ(counted(&p, ON_ENTRY), 9);
	DESTROY(link);
	make_calls(1);
	CHECK_EQ(counted(&p, ON_ENTRY), 9);
	libbpf_set_print(NULL);
	CHECK_FAILS(bpf_program__attach_ksyscall(NULL, CALL, NULL), EINVAL);
	unload(&p);
	dlclose(libbpf);
}

/* A link that libbpf itself created would call into the unloaded libbpf. */
TEST(a_link_outlives_its_libbpf)
{
	open_libbpf();
	struct programs p = LOAD(count);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	unload(&p);
	CHECK(dlclose(libbpf) == 0);
	open_libbpf();
	DESTROY(link);
	dlclose(libbpf);
}

/* A program whose type was set explicitly has no section definition that would identify its libbpf. */
TEST(a_program_with_an_explicit_type_attaches)
{
	open_libbpf();
	struct programs p = { .object = open_object(start_count, end_count) };
	bpf_program__set_type(program(&p, "on_entry"), BPF_PROG_TYPE_TRACEPOINT);
	bpf_program__set_type(program(&p, "on_entry"), BPF_PROG_TYPE_KPROBE);
	CHECK(bpf_object__load(p.object) == 0);
	p.calls = watch(p.object);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	CHECK(!fires(&p, ON_ENTRY));
	unload(&p);
	dlclose(libbpf);
}

/*
 * Finds every libbpf version that the tests run with. Without this library, only libbpf 1.x is
 * used, because libbpf 0.3 has no bpf_program__attach_ksyscall().
 */
static glob_t find_libbpfs(void)
{
	glob_t found;
	CHECK(glob(getenv("KSYSCALL_TEST_ANY_LIBRARY") ? LIBBPFS "1" : LIBBPFS "?", 0, NULL, &found) == 0);
	if (found.gl_pathc < 2)
		SKIP("there is only %s", found.gl_pathv[0]);
	return found;
}

enum { NONE = -1, MOST = 8 };

/*
 * Loads all versions, at most one of them with RTLD_GLOBAL, and attaches a program with each version.
 * libbpf calls its own exported functions, so the versions without RTLD_GLOBAL require RTLD_DEEPBIND.
 */
static void use_all(const glob_t *found, int global)
{
	int count = (int)found->gl_pathc;
	void *libbpfs[MOST];
	struct programs programs[MOST];
	struct bpf_link *links[MOST];
	CHECK(count <= MOST);
	for (int i = 0; i < count; i++) {
		libbpf = dlopen(found->gl_pathv[i], RTLD_NOW | (i == global ? RTLD_GLOBAL : RTLD_DEEPBIND));
		if (!libbpf)
			FAIL("%s", dlerror());
		libbpfs[i] = libbpf;
		programs[i] = LOAD(count);
		for (int j = 0; j < i; j++)
			CHECK(libbpfs[j] != libbpf);
	}
	CHECK_EQ(dlsym(RTLD_DEFAULT, "bpf_program__fd") != NULL, global != NONE);
	for (int i = 0; i < count; i++) {
		libbpf = libbpfs[i];
		links[i] = ATTACH(program(&programs[i], "on_entry"), CALL, NULL);
		CHECK(fires(&programs[i], ON_ENTRY));
	}
	for (int i = 0; i < count; i++) {
		libbpf = libbpfs[i];
		/* Warnings about a program must reach the callback of the libbpf that loaded the program. */
		warnings = 0;
		libbpf_set_print(count_warning);
		CHECK_FAILS(
			bpf_program__attach_ksyscall(program(&programs[i], "on_entry"), "no_such_call", NULL),
			ENOENT);
		CHECK_EQ(warnings, 1);
		libbpf_set_print(NULL);
	}
	for (int i = count; i-- > 0;) {
		libbpf = libbpfs[i];
		CHECK(fires(&programs[i], ON_ENTRY));
		DESTROY(links[i]);
		CHECK(!fires(&programs[i], ON_ENTRY));
		unload(&programs[i]);
	}
	for (int i = 0; i < count; i++)
		CHECK(dlclose(libbpfs[i]) == 0);
}

TEST(several_libbpfs_in_one_process)
{
	glob_t found = find_libbpfs();
	for (int global = NONE; global < (int)found.gl_pathc; global++)
		IN_CHILD(use_all(&found, global));
	globfree(&found);
}

/*
 * Each libbpf may be loaded at the address where the previous libbpf was loaded. The library must not use
 * addresses that it cached for the unloaded libbpf.
 */
TEST(one_libbpf_after_the_other)
{
	glob_t found = find_libbpfs();
	for (size_t i = 0; i < found.gl_pathc; i++) {
		libbpf = dlopen(found.gl_pathv[i], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
		if (!libbpf)
			FAIL("%s", dlerror());
		struct programs p = LOAD(count);
		for (int j = 0; j < 2; j++) {
			struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
			CHECK(fires(&p, ON_ENTRY));
			DESTROY(link);
			CHECK(!fires(&p, ON_ENTRY));
		}
		unload(&p);
		CHECK(dlclose(libbpf) == 0);
		CHECK(!dlopen(found.gl_pathv[i], RTLD_NOW | RTLD_NOLOAD));
	}
	globfree(&found);
}

#ifndef LINKED
/* Each libbpf's bpf_program__attach() calls into this library with a program from the same libbpf. */
TEST(programs_of_several_libbpfs_attach_by_section)
{
	glob_t found = find_libbpfs();
	for (size_t i = 0; i < found.gl_pathc; i++) {
		libbpf = dlopen(found.gl_pathv[i], RTLD_NOW | RTLD_LOCAL);
		CHECK(libbpf);
		/* Skip libbpf 0.3, which lacks bpf_program__attach_ksyscall(). */
		if (!dlsym(libbpf, "bpf_program__attach_ksyscall"))
			continue;
		struct programs p = LOAD(sections);
		struct bpf_link *link = bpf_program__attach(program(&p, "on_entry"));
		CHECK(link);
		CHECK(fires(&p, ON_ENTRY));
		DESTROY(link);
		CHECK(!fires(&p, ON_ENTRY));
		unload(&p);
	}
	globfree(&found);
}
#endif

/* If the process contains no libbpf, attaching fails with a message and does not load libbpf. */
TEST(without_libbpf_it_fails)
{
	void *function = (void *)bpf_program__attach_ksyscall;
	if (!function)
		SKIP("without libbpf there is no function");
	struct {
		char none;
	} program = { 0 };
	const struct bpf_program *prog = (const void *)&program;
	/* Without libbpf there is no print callback, so the message goes to stderr. */
	char text[512];
	CAPTURE_STDERR(text, CHECK_FAILS(bpf_program__attach_ksyscall(prog, CALL, NULL), ELIBACC));
	CHECK_HAS(text, "cannot find the libbpf");
	CHECK_HAS(text, "libksyscall-static");
	CHECK_FAILS(bpf_program__attach_ksyscall(NULL, CALL, NULL), EINVAL);
	CHECK_FAILS(bpf_program__attach_ksyscall(prog, NULL, NULL), EINVAL);
	CHECK(!dlopen("libbpf.so.1", RTLD_NOW | RTLD_NOLOAD));
	CHECK(!dlopen("libbpf.so.0", RTLD_NOW | RTLD_NOLOAD));
}

MAIN
