/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A program that opens libbpf itself, with RTLD_LOCAL, as plugins and bindings do. */
#include "test.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static void *libbpf;

/* Each call of libbpf goes through its handle: this program is not linked to it. */
#define OF_LIBBPF(function) ((__typeof__(&(function)))dlsym(libbpf, #function))
#define bpf_link__destroy(...) OF_LIBBPF(bpf_link__destroy)(__VA_ARGS__)
#define bpf_link__fd(...) OF_LIBBPF(bpf_link__fd)(__VA_ARGS__)
#define bpf_map_lookup_elem(...) OF_LIBBPF(bpf_map_lookup_elem)(__VA_ARGS__)
#define bpf_map_update_elem(...) OF_LIBBPF(bpf_map_update_elem)(__VA_ARGS__)
#define bpf_object__close(...) OF_LIBBPF(bpf_object__close)(__VA_ARGS__)
#define bpf_object__find_map_fd_by_name(...) OF_LIBBPF(bpf_object__find_map_fd_by_name)(__VA_ARGS__)
#define bpf_object__find_program_by_name(...) OF_LIBBPF(bpf_object__find_program_by_name)(__VA_ARGS__)
#define bpf_object__load(...) OF_LIBBPF(bpf_object__load)(__VA_ARGS__)
#define bpf_object__open_mem(...) OF_LIBBPF(bpf_object__open_mem)(__VA_ARGS__)
#define libbpf_get_error(...) OF_LIBBPF(libbpf_get_error)(__VA_ARGS__)
#define libbpf_set_print(...) OF_LIBBPF(libbpf_set_print)(__VA_ARGS__)

#ifndef LINKED
typedef struct bpf_link *(*attach_fn)(const struct bpf_program *, const char *,
				      const struct bpf_ksyscall_opts *);
#define bpf_program__attach_ksyscall ((attach_fn)dlsym(RTLD_DEFAULT, "bpf_program__attach_ksyscall"))
#endif

#include "programs.h"

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

static int warnings;

static int count_warnings(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)format, (void)arguments;
	warnings += level == LIBBPF_WARN;
	return 0;
}

TEST(its_callback_gets_the_warning)
{
	open_libbpf();
	struct programs p = LOAD(count);
	libbpf_set_print(count_warnings);
	CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), "no_such_call", NULL), ENOENT);
	CHECK_EQ(warnings, 1);
	unload(&p);
	dlclose(libbpf);
}

/* Nothing of one libbpf may be kept for the next, which can lie elsewhere. */
TEST(libbpf_can_be_closed_and_opened_again)
{
	for (int i = 0; i < 3; i++) {
		open_libbpf();
		struct programs p = LOAD(count);
		struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
		CHECK(fires(&p, ON_ENTRY));
		DESTROY(link);
		unload(&p);
		CHECK(dlclose(libbpf) == 0);
		CHECK(!dlopen("libbpf.so.1", RTLD_NOW | RTLD_NOLOAD));
		CHECK(!dlopen("libbpf.so.0", RTLD_NOW | RTLD_NOLOAD));
	}
}

/* A program of no libbpf at all cannot be. That is said, and libbpf is not loaded. */
TEST(without_libbpf_it_fails)
{
	struct { char none; } program = { 0 };
	const struct bpf_program *prog = (const void *)&program;
	CHECK_FAILS(bpf_program__attach_ksyscall(prog, CALL, NULL), ELIBACC);
	CHECK_FAILS(bpf_program__attach_ksyscall(NULL, CALL, NULL), EINVAL);
	CHECK_FAILS(bpf_program__attach_ksyscall(prog, NULL, NULL), EINVAL);
	CHECK(!dlopen("libbpf.so.1", RTLD_NOW | RTLD_NOLOAD));
	CHECK(!dlopen("libbpf.so.0", RTLD_NOW | RTLD_NOLOAD));
}

MAIN
