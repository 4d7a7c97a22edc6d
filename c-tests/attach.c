/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tests that attached programs run once for each call and read the right data. */
#include "messages.h"
#include "programs.h"

#include <pthread.h>

TEST(runs_exactly_as_often_as_the_call_is_made)
{
	struct programs p = LOAD(count);
	make_calls(3);
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	CHECK_EQ(counted(&p, ON_ENTRY), 0);
	make_calls(1000);
	CHECK_EQ(counted(&p, ON_ENTRY), 1000);
	DESTROY(link);
	make_calls(5);
	CHECK_EQ(counted(&p, ON_ENTRY), 1000);
	unload(&p);
}

TEST(a_return_probe_sees_the_return_value)
{
	struct programs p = LOAD(count);
	struct bpf_link *link = ATTACH(program(&p, "on_return"), CALL, RETPROBE);
	CHECK_EQ(syscall(SYS_getpgid, NOBODY), -1);
	CHECK_EQ(errno, ESRCH);
	CHECK_EQ(seen(&p, ON_RETURN).result, -ESRCH);
	pid_t group = getpgid(0);
	CHECK_EQ(seen(&p, ON_RETURN).result, group);
	CHECK_EQ(counted(&p, ON_RETURN), 2);
	make_calls(500);
	CHECK_EQ(counted(&p, ON_RETURN), 502);
	DESTROY(link);
	make_calls(1);
	CHECK_EQ(counted(&p, ON_RETURN), 502);
	unload(&p);
}

TEST(one_program_on_two_calls)
{
	struct programs p = LOAD(count);
	struct bpf_link *one = ATTACH(program(&p, "on_entry"), CALL, NULL);
	struct bpf_link *two = ATTACH(program(&p, "on_entry"), "getsid", NULL);
	make_calls(2);
	CHECK_EQ(counted(&p, ON_ENTRY), 2);
	CHECK(getsid(0) >= 0);
	CHECK_EQ(counted(&p, ON_ENTRY), 3);
	DESTROY(one);
	make_calls(2);
	CHECK_EQ(counted(&p, ON_ENTRY), 3);
	CHECK(getsid(0) >= 0);
	CHECK_EQ(counted(&p, ON_ENTRY), 4);
	DESTROY(two);
	unload(&p);
}

static const __u64 BIG = 0xfedcba9876543210;

TEST(the_cookie_is_read_back)
{
	if (!has_perf_links())
		SKIP("this kernel has no cookies");
	struct programs p = LOAD(cookie);
	struct bpf_link *link = ATTACH(program(&p, "on_entry_by_cookie"), CALL, COOKIE(BIG));
	make_calls(4);
	CHECK_EQ(counted(&p, BIG % SLOTS), 4);
	CHECK_EQ(seen(&p, BIG % SLOTS).cookie, BIG);
	DESTROY(link);
	link = ATTACH(program(&p, "on_return_by_cookie"), CALL,
		      OPTS(.bpf_cookie = BIG | 5, .retprobe = true));
	syscall(SYS_getpgid, NOBODY);
	CHECK_EQ(counted(&p, (BIG | 5) % SLOTS), 1);
	CHECK_EQ(seen(&p, (BIG | 5) % SLOTS).cookie, BIG | 5);
	CHECK_EQ(seen(&p, (BIG | 5) % SLOTS).result, -ESRCH);
	DESTROY(link);
	unload(&p);
}

/*
 * An unprivileged attach fails with EPERM or EACCES, depending on the kernel. The tests in differential/
 * cover other errors.
 */
TEST(a_refusal_is_not_cached)
{
	struct programs p = LOAD(count);
	struct bpf_program *prog = program(&p, "on_entry");
	libbpf_set_print(NULL);
	for (int retprobe = 0; retprobe < 2; retprobe++) {
		CHECK(seteuid(65534) == 0);
		errno = 0;
		struct bpf_link *link = bpf_program__attach_ksyscall(prog, CALL, OPTS(.retprobe = retprobe));
		int error = errno;
		CHECK(seteuid(0) == 0);
		CHECK(!link && (error == EPERM || error == EACCES));
	}
	struct bpf_link *link = ATTACH(prog, CALL, NULL);
	CHECK(fires(&p, ON_ENTRY));
	DESTROY(link);
	unload(&p);
}

enum { THREADS = 4, ROUNDS = 5 };

static void *attach_and_fail(void *prog)
{
	for (int i = 0; i < ROUNDS; i++) {
		DESTROY(ATTACH(prog, i % 2 ? "stat" : CALL, OPTS(.retprobe = i % 3 == 0)));
		CHECK_FAILS(bpf_program__attach_ksyscall(prog, "no_such_call", NULL), ENOENT);
	}
	return NULL;
}

/*
 * Several threads attach at the same time in a process that has not attached before. Some attempts fail, and
 * the library reads libbpf's print callback to report the reason.
 */
TEST(threads_do_not_disturb_each_other)
{
	struct programs p = LOAD(count);
	pthread_t threads[THREADS];
	libbpf_set_print(count_warning);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, attach_and_fail, program(&p, "on_entry")) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK_EQ(warnings, THREADS * ROUNDS);
	CHECK(libbpf_set_print(NULL) == count_warning);
	unload(&p);
}

MAIN
