/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tests ksyscall_links__attach(), ksyscall_link__destroy_all() and ksyscall__function(). */
#include "messages.h"
#include "programs.h"

#include <pthread.h>
#include <sys/resource.h>

#define NAMES(...) ((const char *const[]){ __VA_ARGS__ })
#define MANY(...) (&(struct ksyscall_links_opts){ .sz = sizeof(struct ksyscall_links_opts), __VA_ARGS__ })
enum { FIVE = 5 };
static const char *const five[FIVE] = { CALL, "umount2", "stat", "acct", "getppid" };

/*
 * Attaches to all calls in `names`; with `best_effort`, attaches to as many as possible. Fails the test if
 * the attach fails.
 */
static struct ksyscall_links *attach(const struct bpf_program *prog, const char *const *names, size_t n,
				     const struct ksyscall_links_opts *opts)
{
	errno = 0;
	struct ksyscall_links *links = ksyscall_links__attach(prog, names, n, opts);
	if (!links)
		FAIL("attach: errno %d (%s)", errno, strerror(errno));
	return links;
}

/* Expects the attach to fail; returns the errno. */
static int refusal(const struct bpf_program *prog, const char *const *names, size_t n,
		   const struct ksyscall_links_opts *opts)
{
	int fds = count_fds();
	errno = 0;
	struct ksyscall_links *links = ksyscall_links__attach(prog, names, n, opts);
	int error = errno;
	if (links)
		FAIL("attached to %zu of %zu", ksyscall_links__count(links), n);
	CHECK_EQ(count_fds(), fds);
	return error;
}

static void destroy(struct ksyscall_links *links)
{
	CHECK_EQ(ksyscall_links__destroy(links), 0);
}

TEST(a_program_is_attached_to_each_call_with_its_cookie)
{
	static const char *const functions[FIVE] = { CALL_SYMBOL, "__x64_sys_umount", "__x64_sys_newstat",
						     "__x64_sys_acct", "__x64_sys_getppid" };
	const __u64 cookies[FIVE] = { 1, 2, 3, 4, 5 };
	if (!has_perf_links())
		SKIP("this kernel has no cookies");
	struct programs p = LOAD(cookie);
	int fds = count_fds();
	struct ksyscall_links *links = attach(program(&p, "on_entry_by_cookie"), five, FIVE,
					      MANY(.cookies = cookies));
	CHECK_EQ(ksyscall_links__count(links), FIVE);
	make_calls(3);
	call_stat();
	CHECK_EQ(counted(&p, 1), 3);
	CHECK_EQ(counted(&p, 3), 1);
	for (size_t i = 0; i < FIVE; i++) {
		CHECK_EQ(ksyscall_links__result(links, i), 0);
		CHECK_TEXT(ksyscall_links__function(links, i, 0), functions[i]);
		CHECK(!ksyscall_links__function(links, i, 1));
	}
	CHECK_EQ(count_fds(), fds + FIVE);
	destroy(links);
	CHECK_EQ(count_fds(), fds);
	make_calls(1);
	CHECK_EQ(counted(&p, 1), 3);
	unload(&p);
}

TEST(one_unknown_name_fails_all_and_is_reported)
{
	struct programs p = LOAD(count);
	forget_warnings();
	libbpf_set_print(keep_warning);
	CHECK_EQ(refusal(program(&p, "on_entry"), NAMES(CALL, "frobnicate", "acct"), 3, NULL), ENOENT);
	CHECK_HAS(warned, "'frobnicate': no system call frobnicate");
	CHECK(!fires(&p, ON_ENTRY));
	CHECK_EQ(refusal(program(&p, "on_entry"), NAMES(CALL, "no name"), 2, NULL), EINVAL);
	CHECK_HAS(warned, "'no name'");
	unload(&p);
}

TEST(best_effort_attaches_to_the_others)
{
	struct programs p = LOAD(count);
	struct ksyscall_links *links = attach(program(&p, "on_entry"), NAMES("frobnicate", CALL, "acct"), 3,
					      MANY(.best_effort = true));
	CHECK_EQ(ksyscall_links__count(links), 2);
	CHECK_EQ(ksyscall_links__result(links, 0), -ENOENT);
	CHECK_EQ(ksyscall_links__result(links, 1), 0);
	CHECK_EQ(ksyscall_links__result(links, 2), 0);
	CHECK(!ksyscall_links__function(links, 0, 0));
	CHECK_TEXT(ksyscall_links__function(links, 1, 0), CALL_SYMBOL);
	CHECK_TEXT(ksyscall_links__function(links, 2, 0), "__x64_sys_acct");
	CHECK(fires(&p, ON_ENTRY));
	destroy(links);
	links = attach(program(&p, "on_entry"), NAMES("frobnicate"), 1, MANY(.best_effort = true));
	CHECK_EQ(ksyscall_links__count(links), 0);
	destroy(links);
	unload(&p);
}

TEST(there_is_nothing_after_the_last_name_or_in_null)
{
	struct programs p = LOAD(count);
	struct ksyscall_links *links = attach(program(&p, "on_entry"), NAMES(CALL, "acct"), 2, NULL);
	__u64 missed;
	for (size_t index = 2; index; index = index == 2 ? (size_t)-1 : 0) {
		CHECK_EQ(ksyscall_links__result(links, index), -EINVAL);
		CHECK(!ksyscall_links__function(links, index, 0));
	}
	CHECK(!ksyscall_links__function(links, 0, (size_t)-1));
	CHECK_EQ(ksyscall_links__missed(links, NULL), -EINVAL);
	destroy(links);
	CHECK_EQ(ksyscall_links__count(NULL), 0);
	CHECK_EQ(ksyscall_links__result(NULL, 0), -EINVAL);
	CHECK(!ksyscall_links__function(NULL, 0, 0));
	CHECK_EQ(ksyscall_links__missed(NULL, &missed), -EINVAL);
	CHECK_EQ(errno, EINVAL);
	destroy(NULL);
	unload(&p);
}

TEST(wrong_arguments_are_refused)
{
	struct programs p = LOAD(count);
	libbpf_set_print(NULL);
	CHECK_EQ(refusal(NULL, NAMES(CALL), 1, NULL), EINVAL);
	CHECK_EQ(refusal(program(&p, "on_entry"), NAMES(NULL), 1, NULL), EINVAL);
	CHECK_EQ(refusal(program(&p, "on_entry"), NULL, 1, NULL), EINVAL);
	CHECK_EQ(refusal(program(&p, "on_entry"), NAMES(CALL), 1, &(struct ksyscall_links_opts){ .sz = 1 }),
		 EINVAL);
	struct ksyscall_links *links = attach(program(&p, "on_entry"), NULL, 0, NULL);
	CHECK_EQ(ksyscall_links__count(links), 0);
	destroy(links);
	CHECK_EQ(ksyscall_link__destroy_all(NULL, 0), 0);
	CHECK_EQ(ksyscall_link__destroy_all(NULL, 1), -EINVAL);
	CHECK_EQ(errno, EINVAL);
	CHECK(refusal(program(&p, "on_packet"), NAMES(CALL), 1, NULL) > 0);
	unload(&p);
}

struct steps {
	size_t done, end;
};

static int step(void *ctx, size_t done, size_t n)
{
	struct steps *steps = ctx;
	CHECK_EQ(n, FIVE);
	CHECK_EQ(done, steps->done + 1);
	steps->done = done;
	return done == steps->end;
}

TEST(progress_is_reported_and_can_stop_the_attach)
{
	struct programs p = LOAD(count);
	struct steps steps = { 0 };
	destroy(attach(program(&p, "on_entry"), five, FIVE, MANY(.progress = step, .ctx = &steps)));
	CHECK_EQ(steps.done, FIVE);
	steps = (struct steps){ 0, 2 };
	CHECK_EQ(refusal(program(&p, "on_entry"), five, FIVE, MANY(.progress = step, .ctx = &steps)),
		 ECANCELED);
	CHECK_EQ(steps.done, 2);
	CHECK(!fires(&p, ON_ENTRY));
	unload(&p);
}

static int step_in_cancelled(void *ctx, size_t done, size_t n)
{
	pthread_testcancel();
	return step(ctx, done, n);
}

static struct ksyscall_links *of_cancelled;

static void *cancel_and_attach(void *prog)
{
	struct steps steps = { 0 };
	pthread_cancel(pthread_self());
	of_cancelled = attach(prog, five, FIVE, MANY(.progress = step_in_cancelled, .ctx = &steps));
	pthread_testcancel();
	FAIL("the thread did not end");
}

TEST(a_cancelled_thread_ends_after_all_are_attached)
{
	struct programs p = LOAD(count);
	pthread_t cancelled;
	void *result;
	CHECK(pthread_create(&cancelled, NULL, cancel_and_attach, program(&p, "on_entry")) == 0);
	CHECK(pthread_join(cancelled, &result) == 0);
	CHECK(result == PTHREAD_CANCELED);
	CHECK_EQ(ksyscall_links__count(of_cancelled), FIVE);
	destroy(of_cancelled);
	unload(&p);
}

TEST(a_failed_destroy_is_returned_and_the_others_are_destroyed)
{
	struct programs p = LOAD(count);
	struct bpf_link *links[FIVE];
	for (int i = 0; i < FIVE; i++)
		links[i] = ATTACH(program(&p, "on_entry"), five[i], NULL);
	CHECK(close(bpf_link__fd(links[3])) == 0);
	errno = 0;
	CHECK_EQ(ksyscall_link__destroy_all(links, FIVE), -EBADF);
	CHECK_EQ(errno, EBADF);
	for (int i = 0; i < FIVE; i++)
		CHECK(!links[i]);
	CHECK(!fires(&p, ON_ENTRY));

	/* Predict the first link's fd: an attach opens the perf event first, and then the BPF link if the
	 * kernel supports BPF links for perf events. */
	int lowest = dup(0), first = lowest + has_perf_links();
	CHECK(lowest >= 0 && close(lowest) == 0);
	struct ksyscall_links *many = attach(program(&p, "on_entry"), five, FIVE, NULL);
	CHECK(close(first) == 0);
	errno = 0;
	CHECK_EQ(ksyscall_links__destroy(many), -EBADF);
	CHECK_EQ(errno, EBADF);
	CHECK(!fires(&p, ON_ENTRY));
	unload(&p);
}

TEST(calls_of_32_bit_callers_are_seen_on_request)
{
	static const struct {
		unsigned int callers;
		const char *functions[2];
		__u64 native, compat;
	} cases[] = {
		{ KSYSCALL_CALLERS_NATIVE, { CALL_SYMBOL }, 1, 0 },
		{ KSYSCALL_CALLERS_COMPAT, { "__ia32_sys_" CALL }, 0, 1 },
		{ KSYSCALL_CALLERS_ALL, { CALL_SYMBOL, "__ia32_sys_" CALL }, 1, 1 },
	};
	struct programs p = LOAD(count);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ksyscall_links *links = attach(program(&p, "on_entry"), NAMES(CALL, "socketcall"), 2,
						      MANY(.callers = cases[i].callers, .best_effort = true));
		CHECK_EQ(ksyscall_links__result(links, 0), 0);
		CHECK_EQ(ksyscall_links__result(links, 1), i == 0 ? -ENOENT : 0);
		for (size_t nth = 0; nth < 2; nth++) {
			const char *function = ksyscall_links__function(links, 0, nth);
			CHECK_TEXT(function ? function : "",
				   cases[i].functions[nth] ? cases[i].functions[nth] : "");
		}
		CHECK(!ksyscall_links__function(links, 0, 2));
		__u64 before = counted(&p, ON_ENTRY);
		make_calls(1);
		CHECK_EQ(counted(&p, ON_ENTRY), before + cases[i].native);
		make_compat_call();
		CHECK_EQ(counted(&p, ON_ENTRY), before + cases[i].native + cases[i].compat);
		destroy(links);
	}
	unload(&p);
}

TEST(calls_through_socketcall_are_seen_if_there_is_no_other_way)
{
	enum { SOCKETCALL_OF_32_BITS = 102, RECV = 10 };
	struct programs p = LOAD(count);
	struct ksyscall_links *links = attach(program(&p, "on_entry"), NAMES("recv"), 1,
					      MANY(.callers = KSYSCALL_CALLERS_ALL));
	const char *function = ksyscall_links__function(links, 0, 0);
	long result = SOCKETCALL_OF_32_BITS;

	CHECK_TEXT(function ? function : "", "__ia32_compat_sys_socketcall");
	__asm__ volatile("int $0x80" : "+a"(result) : "b"(RECV), "c"(0) : "r8", "r9", "r10", "r11", "memory");
	CHECK_EQ((int)result, -EFAULT);
	CHECK_EQ(counted(&p, ON_ENTRY), 1);
	destroy(links);
	libbpf_set_print(NULL);
	CHECK_EQ(refusal(program(&p, "on_entry"), NAMES("recv"), 1, MANY(.callers = KSYSCALL_CALLERS_COMPAT)),
		 ENOENT);
	unload(&p);
}

TEST(the_functions_of_a_call_are_found_without_attaching)
{
	static const struct {
		const char *name;
		enum ksyscall_callers callers;
		const char *functions[3];
	} cases[] = {
		{ CALL, KSYSCALL_CALLERS_NATIVE, { CALL_SYMBOL } },
		{ "__NR_stat", KSYSCALL_CALLERS_NATIVE, { "__x64_sys_newstat" } },
		{ CALL, KSYSCALL_CALLERS_COMPAT, { "__ia32_sys_" CALL } },
		{ CALL, KSYSCALL_CALLERS_ALL, { CALL_SYMBOL, "__ia32_sys_" CALL } },
		/* __ia32_sys_getppid is an alias of the same function. */
		{ "getppid", KSYSCALL_CALLERS_ALL, { "__x64_sys_getppid" } },
		{ "socketcall", KSYSCALL_CALLERS_ALL, { "__ia32_compat_sys_socketcall" } },
		{ "socketcall", KSYSCALL_CALLERS_NATIVE, { NULL } },
		/* 32-bit processes make these calls through socketcall and ipc. */
		{ "accept", KSYSCALL_CALLERS_ALL, { "__x64_sys_accept", "__ia32_compat_sys_socketcall" } },
		{ "semop", KSYSCALL_CALLERS_ALL, { "__x64_sys_semop", "__ia32_compat_sys_ipc" } },
		{ "semop", KSYSCALL_CALLERS_NATIVE, { "__x64_sys_semop" } },
		/* The kernel may contain this function, but no system call reaches it. */
		{ "uselib", KSYSCALL_CALLERS_NATIVE, { NULL } },
		{ "frobnicate", KSYSCALL_CALLERS_ALL, { NULL } },
	};
	int fds = count_fds();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t nth = 0;
		for (; cases[i].functions[nth]; nth++) {
			const char *function = ksyscall__function(cases[i].name, cases[i].callers, nth);
			if (!function)
				FAIL("%s: errno %d (%s)", cases[i].name, errno, strerror(errno));
			CHECK_TEXT(function, cases[i].functions[nth]);
			/* A second lookup returns the same cached string. */
			CHECK(ksyscall__function(cases[i].name, cases[i].callers, nth) == function);
		}
		CHECK_FAILS(ksyscall__function(cases[i].name, cases[i].callers, nth), ENOENT);
	}
	static const char *const wrong[] = { NULL, "", "no name" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK_FAILS(ksyscall__function(wrong[i], KSYSCALL_CALLERS_NATIVE, 0), EINVAL);
	CHECK_FAILS(ksyscall__function(CALL, (enum ksyscall_callers)3, 0), EINVAL);
	CHECK_EQ(count_fds(), fds);
}

/*
 * If the library cannot read the list of the kernel's functions, the next call tries again. A successful read
 * is cached.
 */
TEST(the_kernels_functions_are_read_once)
{
	struct rlimit old, none;
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	none = (struct rlimit){ 0, old.rlim_max };
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK_FAILS(ksyscall__function(CALL, KSYSCALL_CALLERS_NATIVE, 0), EMFILE);
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	const char *function = ksyscall__function(CALL, KSYSCALL_CALLERS_NATIVE, 0);
	CHECK_TEXT(function, CALL_SYMBOL);
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK(ksyscall__function(CALL, KSYSCALL_CALLERS_NATIVE, 0) == function);
	CHECK_TEXT(ksyscall__function("acct", KSYSCALL_CALLERS_NATIVE, 0), "__x64_sys_acct");
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
}

TEST(the_calls_of_the_c_library_are_listed)
{
	CHECK_TEXT(ksyscall__c_library_call("open", KSYSCALL_GLIBC, 0), "openat");
	CHECK_TEXT(ksyscall__c_library_call("open", KSYSCALL_MUSL, 0), "open");
	CHECK_TEXT(ksyscall__c_library_call("pthread_create", KSYSCALL_GLIBC, 0), "clone3");
	CHECK_TEXT(ksyscall__c_library_call("pthread_create", KSYSCALL_GLIBC, 1), "clone");
	static const struct {
		const char *function;
		unsigned int library;
		size_t nth;
		int error;
	} wrong[] = {
		{ "open", KSYSCALL_GLIBC, 1, ENOENT },
		{ "openat", KSYSCALL_GLIBC, 0, ENOENT },
		{ NULL, KSYSCALL_GLIBC, 0, EINVAL },
		{ "no name", KSYSCALL_MUSL, 0, EINVAL },
		{ "open", 2, 0, EINVAL },
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK_FAILS(ksyscall__c_library_call(wrong[i].function,
						     (enum ksyscall_c_library)wrong[i].library, wrong[i].nth),
			    wrong[i].error);
}

/* No probe misses a call here; tests/kernel.rs checks that missed calls are counted. */
TEST(missed_calls_are_reported_if_the_kernel_counts_them)
{
	struct programs p = LOAD(count);
	struct bpf_program *prog = program(&p, "on_entry");
	__u64 number = 9;
	struct bpf_link *link = ATTACH(prog, CALL, NULL);
	struct ksyscall_links *links = attach(prog, NAMES("acct"), 1, NULL);
	int result = ksyscall_link__missed(link, &number);
	CHECK(result == 0 ? number == 0 : result == -EOPNOTSUPP && number == 9);
	CHECK_EQ(ksyscall_links__missed(links, &number), result);
	result = ksyscall_program__recursion_misses(prog, &number);
	CHECK_EQ(result, kernel_is_at_least(6, 7) ? 0 : -EOPNOTSUPP);
	errno = 0;
	CHECK_EQ(ksyscall_link__missed(link, NULL), -EINVAL);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(ksyscall_link__missed(NULL, &number), -EINVAL);
	CHECK_EQ(ksyscall_program__recursion_misses(prog, NULL), -EINVAL);
	CHECK_EQ(ksyscall_program__recursion_misses(NULL, &number), -EINVAL);
	destroy(links);
	DESTROY(link);
	unload(&p);
}

TEST(the_calls_have_names)
{
	size_t count = 0;
	bool has_call = false;
	const char *last = "";
	for (const char *name; (name = ksyscall__name(count)); count++) {
		CHECK(strcmp(last, name) < 0);
		has_call |= strcmp(name, CALL) == 0;
		last = name;
	}
	CHECK(has_call && count > 300);
	CHECK(!ksyscall__name(count) && !ksyscall__name((size_t)-1));
}

MAIN
