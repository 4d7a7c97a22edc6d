/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every refusal: NULL, the right errno, and (the harness looks) nothing left. */
#include "programs.h"

#include <sys/resource.h>

static void refuses(struct bpf_program *prog, const char *name, int error)
{
	CHECK_FAILS(bpf_program__attach_ksyscall(prog, name, NULL), error);
	CHECK_FAILS(bpf_program__attach_ksyscall(prog, name, RETPROBE), error);
}

TEST(without_a_program)
{
	libbpf_set_print(NULL);
	refuses(NULL, CALL, EINVAL);
	refuses(NULL, NULL, EINVAL);
}

TEST(a_program_that_is_not_loaded)
{
	struct programs p = { open_object(start_count, end_count), -1 };
	libbpf_set_print(NULL);
	refuses(program(&p, "on_entry"), CALL, EINVAL);
	unload(&p);
}

TEST(names_that_are_none)
{
	static char names[][260] = { "",	   "Getpgid",	   "get pgid",		"getpgid\n",
				     "../getpgid", "getpgid+0x10", "p:x/y sys_getpgid", "%s%n",
				     "\xff\xfe",   "getpgid;" };
	struct programs p = LOAD(count);
	libbpf_set_print(NULL);
	refuses(program(&p, "on_entry"), NULL, EINVAL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		refuses(program(&p, "on_entry"), names[i], EINVAL);
	for (size_t length = 65; length < sizeof(names[0]); length += 63) {
		memset(names[0], 'x', length);
		names[0][length] = 0;
		refuses(program(&p, "on_entry"), names[0], EINVAL);
	}
	unload(&p);
}

TEST(calls_that_are_none)
{
	struct programs p = LOAD(count);
	char longest[65];
	memset(longest, 'x', 64);
	longest[64] = 0;
	libbpf_set_print(NULL);
	refuses(program(&p, "on_entry"), "no_such_call", ENOENT);
	refuses(program(&p, "on_entry"), longest, ENOENT);
	/* Spellings that nobody has. */
	refuses(program(&p, "on_entry"), "rt_exit", ENOENT);
	refuses(program(&p, "on_entry"), "stat32", ENOENT);
	/* And none the worse for it. */
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	unload(&p);
}

TEST(programs_of_other_types)
{
	struct programs p = LOAD(count);
	libbpf_set_print(NULL);
	refuses(program(&p, "on_tracepoint"), CALL, EINVAL);
	refuses(program(&p, "on_packet"), CALL, EINVAL);
	/* Which is not taken for a kernel that has no links, and so no cookies. */
	if (has_perf_links())
		DESTROY(ATTACH(program(&p, "on_entry"), CALL, COOKIE(7)));
	unload(&p);
}

TEST(a_programs_closed_fd)
{
	/* For the event, which else gets the closed number. */
	int lower = dup(0);
	struct programs p = LOAD(count);
	int fd = bpf_program__fd(program(&p, "on_entry")), kept = dup(fd);
	libbpf_set_print(NULL);
	CHECK(lower >= 0 && lower < fd && close(lower) == 0);
	CHECK(kept >= 0 && close(fd) == 0);
	refuses(program(&p, "on_entry"), CALL, EBADF);
	CHECK(dup2(kept, fd) == fd && close(kept) == 0);
	DESTROY(ATTACH(program(&p, "on_entry"), CALL, NULL));
	unload(&p);
}

/* A refusal for lack of rights teaches nothing: with them, the attach works. */
TEST(without_the_rights)
{
	struct programs p = LOAD(count);
	libbpf_set_print(NULL);
	for (int retprobe = 0; retprobe < 2; retprobe++) {
		CHECK(seteuid(65534) == 0);
		errno = 0;
		struct bpf_link *link = bpf_program__attach_ksyscall(program(&p, "on_entry"), "stat",
								     OPTS(.retprobe = retprobe));
		int error = errno;
		CHECK(seteuid(0) == 0);
		CHECK(!link);
		CHECK(error == EPERM || error == EACCES);
	}
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	unload(&p);
}

static void no_more_than(rlim_t more)
{
	struct rlimit files = { (rlim_t)count_fds() + more, 0 };
	struct rlimit old;
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	files.rlim_max = old.rlim_max;
	/* The lowest unused number counts, so all numbers below must be in use. */
	CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
}

TEST(without_a_free_fd)
{
	struct programs p = LOAD(count);
	libbpf_set_print(NULL);
	/* Cold, and then knowing all that an attach finds out. */
	struct rlimit old;
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	for (int warm = 0; warm < 2; warm++) {
		no_more_than(0);
		refuses(program(&p, "on_entry"), CALL, EMFILE);
		CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
		DESTROY(ATTACH(program(&p, "on_entry"), CALL, NULL));
	}
	/* The event can be opened, but not the link made. */
	if (has_perf_links()) {
		no_more_than(1);
		refuses(program(&p, "on_entry"), CALL, EMFILE);
		CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	}
	unload(&p);
}

MAIN
