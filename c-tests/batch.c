/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One program on many calls, and many links destroyed. */
#include "messages.h"
#include "programs.h"

#include <sys/resource.h>

/* Those of `enum bpf_attach_type` that older headers lack. */
enum { FOR_KPROBE_MULTI = 42, FOR_KPROBE_SESSION = 56 };

#define NAMES(...) ((const char *const[]){ __VA_ARGS__ })
#define MANY(...) (&(struct ksyscall_links_opts){ .sz = sizeof(struct ksyscall_links_opts), __VA_ARGS__ })
enum { FIVE = 5 };
static const char *const five[FIVE] = { CALL, "umount2", "stat", "acct", "getppid" };

static int attach(const struct bpf_program *prog, const char *const *names, size_t n, struct bpf_link **links,
		  const struct ksyscall_links_opts *opts)
{
	errno = 0;
	int attached = ksyscall_links__attach(prog, names, n, links, opts);
	if (attached < 0) {
		CHECK_EQ(errno, -attached);
		for (size_t i = 0; i < n; i++)
			CHECK(!links[i]);
	}
	return attached;
}

static void destroy(struct bpf_link **links, size_t n)
{
	CHECK_EQ(ksyscall_links__destroy(links, n), 0);
	for (size_t i = 0; i < n; i++)
		CHECK(!links[i]);
}

static bool has_fprobe(void)
{
	char line[512];
	bool found = false;
	FILE *symbols = fopen("/proc/kallsyms", "r");
	CHECK(symbols);
	while (!found && fgets(line, sizeof(line), symbols))
		found = strstr(line, " T register_fprobe_ips\n");
	fclose(symbols);
	return found;
}

/* The program that counts by its cookie, loaded for an attach type; false if there is none. */
static bool load_for(struct programs *p, int attach_type)
{
	p->object = open_object(start_cookie, end_cookie);
	libbpf_set_print(NULL);
	bpf_program__set_expected_attach_type(program(p, "on_entry_by_cookie"), attach_type);
	if (bpf_object__load(p->object)) {
		unload(p);
		return false;
	}
	p->calls = watch(p->object);
	return true;
}

TEST(a_program_is_attached_to_each_call_with_its_cookie)
{
	struct bpf_link *links[FIVE];
	const __u64 cookies[FIVE] = { 1, 2, 3, 4, 5 };
	int results[FIVE] = { 9, 9, 9, 9, 9 };
	if (!has_perf_links())
		SKIP("this kernel has no cookies");
	struct programs p = LOAD(cookie);
	CHECK_EQ(attach(program(&p, "on_entry_by_cookie"), five, FIVE, links,
			MANY(.cookies = cookies, .results = results)),
		 FIVE);
	make_calls(3);
	call_stat();
	CHECK_EQ(counted(&p, 1), 3);
	CHECK_EQ(counted(&p, 3), 1);
	for (int i = 0; i < FIVE; i++) {
		CHECK_EQ(results[i], 0);
		CHECK(bpf_link__fd(links[i]) >= 0);
	}
	destroy(links, FIVE);
	make_calls(1);
	CHECK_EQ(counted(&p, 1), 3);
	unload(&p);
}

TEST(returns_are_seen_with_their_results)
{
	struct programs p = LOAD(count);
	struct bpf_link *links[2];
	CHECK_EQ(attach(program(&p, "on_return"), NAMES(CALL, "acct"), 2, links, MANY(.retprobe = true)), 2);
	CHECK_EQ(syscall(SYS_getpgid, NOBODY), -1);
	CHECK_EQ((long long)seen(&p, ON_RETURN).result, -ESRCH);
	destroy(links, 2);
	unload(&p);
}

TEST(one_unknown_name_fails_all_and_is_said)
{
	struct programs p = LOAD(count);
	struct bpf_link *links[3];
	forget_warnings();
	libbpf_set_print(keep_warning);
	CHECK_EQ(attach(program(&p, "on_entry"), NAMES(CALL, "frobnicate", "acct"), 3, links, NULL), -ENOENT);
	CHECK_HAS(warned, "'frobnicate': no system call frobnicate");
	CHECK(!fires(&p, ON_ENTRY));
	CHECK_EQ(attach(program(&p, "on_entry"), NAMES(CALL, "no name"), 2, links, NULL), -EINVAL);
	CHECK_HAS(warned, "'no name'");
	unload(&p);
}

TEST(best_effort_attaches_to_the_others)
{
	struct programs p = LOAD(count);
	struct bpf_link *links[3];
	int results[3];
	CHECK_EQ(attach(program(&p, "on_entry"), NAMES("frobnicate", CALL, "acct"), 3, links,
			MANY(.best_effort = true, .results = results)),
		 2);
	CHECK_EQ(results[0], ENOENT);
	CHECK_EQ(results[1] | results[2], 0);
	CHECK(links[0] && links[1] && !links[2]);
	CHECK(fires(&p, ON_ENTRY));
	destroy(links, 3);
	unload(&p);
}

TEST(a_function_is_attached_to_once)
{
	struct programs p = LOAD(count);
	struct bpf_link *links[2];
	const __u64 cookies[2] = { 1, 2 };
	const char *const same[] = { CALL, "sys_" CALL };
	libbpf_set_print(NULL);
	CHECK_EQ(attach(program(&p, "on_entry"), same, 2, links, NULL), 2);
	CHECK(links[0] && !links[1]);
	CHECK(fires(&p, ON_ENTRY));
	destroy(links, 2);
	CHECK_EQ(attach(program(&p, "on_entry"), same, 2, links, MANY(.cookies = cookies)),
		 has_perf_links() ? -EEXIST : -EOPNOTSUPP);
	unload(&p);
}

TEST(wrong_arguments_are_refused)
{
	struct programs p = LOAD(count);
	struct bpf_link *links[1];
	struct {
		struct ksyscall_links_opts opts;
		char more;
	} longer = { .opts.sz = sizeof(longer), .more = 1 };
	libbpf_set_print(NULL);
	CHECK_EQ(attach(NULL, NAMES(CALL), 1, links, NULL), -EINVAL);
	CHECK_EQ(attach(program(&p, "on_entry"), NAMES(NULL), 1, links, NULL), -EINVAL);
	CHECK_EQ(ksyscall_links__attach(program(&p, "on_entry"), NULL, 1, links, NULL), -EINVAL);
	CHECK_EQ(ksyscall_links__attach(program(&p, "on_entry"), NAMES(CALL), 1, NULL, NULL), -EINVAL);
	CHECK_EQ(attach(program(&p, "on_entry"), NAMES(CALL), 1, links, &longer.opts), -EINVAL);
	longer.opts.sz = 1;
	CHECK_EQ(attach(program(&p, "on_entry"), NAMES(CALL), 1, links, &longer.opts), -EINVAL);
	/* Of a size that covers no field, none counts. */
	longer.opts = (struct ksyscall_links_opts){ .sz = sizeof(size_t), .max_active = 9999 };
	CHECK_EQ(attach(program(&p, "on_entry"), NAMES(CALL), 1, links, &longer.opts), 1);
	CHECK(fires(&p, ON_ENTRY));
	destroy(links, 1);
	CHECK_EQ(attach(program(&p, "on_entry"), NULL, 0, NULL, NULL), 0);
	CHECK_EQ(ksyscall_links__destroy(NULL, 0), 0);
	CHECK_EQ(ksyscall_links__destroy(NULL, 1), -EINVAL);
	CHECK(attach(program(&p, "on_packet"), NAMES(CALL), 1, links, NULL) < 0);
	unload(&p);
}

TEST(too_few_descriptors_are_told_before)
{
	struct programs p = LOAD(count);
	struct bpf_link *links[FIVE];
	struct rlimit old, few;
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	int lowest = dup(0);
	close(lowest);
	few = (struct rlimit){ (rlim_t)lowest + FIVE, old.rlim_max };
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	forget_warnings();
	libbpf_set_print(keep_warning);
	int refused = attach(program(&p, "on_entry"), five, FIVE, links, NULL);
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	CHECK_EQ(refused, -EMFILE);
	CHECK_HAS(warned, "needs 6 file descriptors");
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

TEST(progress_is_told_and_can_end_it)
{
	struct programs p = LOAD(count);
	struct bpf_link *links[FIVE];
	struct steps steps = { 0 };
	CHECK_EQ(attach(program(&p, "on_entry"), five, FIVE, links, MANY(.progress = step, .ctx = &steps)),
		 FIVE);
	CHECK_EQ(steps.done, FIVE);
	destroy(links, FIVE);
	steps = (struct steps){ 0, 2 };
	CHECK_EQ(attach(program(&p, "on_entry"), five, FIVE, links, MANY(.progress = step, .ctx = &steps)),
		 -ECANCELED);
	CHECK_EQ(steps.done, 2);
	CHECK(!fires(&p, ON_ENTRY));
	unload(&p);
}

TEST(links_of_any_kind_are_destroyed_together)
{
	struct programs p = LOAD(count);
	struct bpf_link *links[20] = { NULL };
	int fds = count_fds();
	for (int i = 1; i < 20; i++)
		links[i] = i % 2 ? ATTACH(program(&p, "on_entry"), CALL, NULL)
				 : bpf_program__attach_kprobe(program(&p, "on_entry"), false,
							      "__x64_sys_acct");
	for (int i = 1; i < 20; i++)
		CHECK(links[i] && !libbpf_get_error(links[i]));
	make_calls(1);
	CHECK_EQ(counted(&p, ON_ENTRY), 10);
	destroy(links, 20);
	CHECK_EQ(count_fds(), fds);
	make_calls(1);
	CHECK_EQ(counted(&p, ON_ENTRY), 10);
	unload(&p);
}

TEST(what_a_link_could_not_close_is_returned_and_the_others_are_destroyed)
{
	struct programs p = LOAD(count);
	struct bpf_link *links[FIVE];
	CHECK_EQ(attach(program(&p, "on_entry"), five, FIVE, links, NULL), FIVE);
	CHECK(close(bpf_link__fd(links[3])) == 0);
	errno = 0;
	CHECK_EQ(ksyscall_links__destroy(links, FIVE), -EBADF);
	CHECK_EQ(errno, EBADF);
	for (int i = 0; i < FIVE; i++)
		CHECK(!links[i]);
	CHECK(!fires(&p, ON_ENTRY));
	unload(&p);
}

TEST(one_link_has_all_of_a_program_for_kprobe_multi)
{
	struct programs p;
	struct bpf_link *links[FIVE];
	const __u64 cookies[FIVE] = { 1, 2, 3, 4, 5 };
	if (!load_for(&p, FOR_KPROBE_MULTI) || !has_fprobe())
		SKIP("this kernel has no kprobe.multi links");
	for (int retprobe = 0; retprobe < 2; retprobe++) {
		__u64 before = counted(&p, 1);
		CHECK_EQ(attach(program(&p, "on_entry_by_cookie"), five, FIVE, links,
				MANY(.cookies = cookies, .retprobe = retprobe)),
			 FIVE);
		CHECK(links[0] && !links[1]);
		make_calls(3);
		CHECK_EQ(counted(&p, 1), before + 3);
		destroy(links, FIVE);
	}
	unload(&p);
}

TEST(a_program_for_kprobe_session_runs_at_entry_and_return)
{
	struct programs p;
	struct bpf_link *links[FIVE];
	const __u64 cookies[FIVE] = { 1, 2, 3, 4, 5 };
	if (!load_for(&p, FOR_KPROBE_SESSION) || !has_fprobe())
		SKIP("this kernel has no kprobe.session");
	CHECK_EQ(attach(program(&p, "on_entry_by_cookie"), five, FIVE, links, MANY(.cookies = cookies)),
		 FIVE);
	make_calls(3);
	CHECK_EQ(counted(&p, 1), 6);
	destroy(links, FIVE);
	unload(&p);
}

TEST(a_return_probe_has_as_many_instances_as_asked_for)
{
	struct programs p = LOAD(count);
	struct bpf_link *links[2];
	libbpf_set_print(NULL);
	CHECK_EQ(attach(program(&p, "on_return"), NAMES(CALL, "acct"), 2, links,
			MANY(.retprobe = true, .max_active = 20)),
		 2);
	CHECK_EQ(count_entries(KPROBE_EVENTS, "r20:ksyscall/p"), 2);
	CHECK(fires(&p, ON_RETURN));
	destroy(links, 2);
	CHECK_EQ(count_entries(KPROBE_EVENTS, "ksyscall/p"), 0);
	CHECK_EQ(attach(program(&p, "on_return"), NAMES(CALL), 1, links,
			MANY(.retprobe = true, .max_active = 4097)),
		 -EINVAL);
	CHECK_EQ(attach(program(&p, "on_entry"), NAMES(CALL), 1, links, MANY(.max_active = 20)), -EINVAL);
	unload(&p);
}

TEST(calls_of_32_bit_callers_are_seen_if_that_is_asked_for)
{
	static const struct {
		unsigned int callers;
		int links;
		__u64 native, compat;
	} cases[] = {
		{ KSYSCALL_CALLERS_NATIVE, 1, 1, 0 },
		{ KSYSCALL_CALLERS_COMPAT, 1, 0, 1 },
		{ KSYSCALL_CALLERS_ALL, 2, 1, 1 },
	};
	struct programs p = LOAD(count);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bpf_link *links[3] = { NULL };
		CHECK_EQ(attach(program(&p, "on_entry"), NAMES(CALL), 1, links,
				MANY(.callers = cases[i].callers)),
			 1);
		CHECK_EQ(!!links[0] + !!links[1] + !!links[2], cases[i].links);
		__u64 before = counted(&p, ON_ENTRY);
		make_calls(1);
		CHECK_EQ(counted(&p, ON_ENTRY), before + cases[i].native);
		make_compat_call();
		CHECK_EQ(counted(&p, ON_ENTRY), before + cases[i].native + cases[i].compat);
		destroy(links, 3);
	}
	struct bpf_link *links[2];
	libbpf_set_print(NULL);
	CHECK_EQ(attach(program(&p, "on_entry"), NAMES(CALL), 1, links, MANY(.callers = 3)), -EINVAL);
	unload(&p);
}

TEST(returns_that_were_missed_are_told)
{
	struct programs p = LOAD(count);
	struct bpf_link *link;
	pid_t sleepers[2];
	__u64 missed = 9;
	CHECK_EQ(attach(program(&p, "on_return"), NAMES("pause"), 1, &link,
			MANY(.retprobe = true, .max_active = 1)),
		 1);
	CHECK_EQ(ksyscall_link__missed(link, &missed), 0);
	CHECK_EQ(missed, 0);
	for (int i = 0; i < 2; i++) {
		sleepers[i] = fork();
		CHECK(sleepers[i] >= 0);
		while (sleepers[i] == 0)
			syscall(SYS_pause);
	}
	/* The harness ends a test that takes too long. */
	while (missed == 0) {
		sched_yield();
		CHECK_EQ(ksyscall_link__missed(link, &missed), 0);
	}
	CHECK_EQ(missed, 1);
	for (int i = 0; i < 2; i++)
		CHECK(kill(sleepers[i], SIGKILL) == 0 && waitpid(sleepers[i], NULL, 0) == sleepers[i]);
	destroy(&link, 1);

	errno = 0;
	CHECK_EQ(ksyscall_link__missed(NULL, &missed), -EINVAL);
	CHECK_EQ(errno, EINVAL);
	link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	CHECK_EQ(ksyscall_link__missed(link, NULL), -EINVAL);
	/* Of a perf event's link the kernel says it or does not, and no other is asked. */
	int result = ksyscall_link__missed(link, &missed);
	CHECK(result == 0 ? missed == 0 : result == -EOPNOTSUPP);
	DESTROY(link);
	unload(&p);
}

/* The kernel skips a program that is attached inside map operations, once for each of them. */
TEST(runs_that_were_skipped_are_counted)
{
	struct programs p = LOAD(count);
	struct bpf_program *prog = program(&p, "on_entry");
	__u32 key = 0;
	__u64 misses = 9, value = 0;
	int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "updated", sizeof(key), sizeof(value), 1, NULL);
	CHECK(map >= 0);
	struct bpf_link *inside = bpf_program__attach_kprobe(prog, false, "array_map_update_elem");
	CHECK(inside);
	int result = ksyscall_program__recursion_misses(prog, &misses);
	bool is_counted = kernel_is_at_least(6, 7);
	CHECK_EQ(result, is_counted ? 0 : -EOPNOTSUPP);
	CHECK_EQ(misses, is_counted ? 0 : 9);
	for (int i = 0; i < 5; i++)
		CHECK(bpf_map_update_elem(map, &key, &value, BPF_ANY) == 0);
	CHECK_EQ(ksyscall_program__recursion_misses(prog, &misses), result);
	CHECK_EQ(misses, is_counted ? 5 : 9);
	CHECK_EQ(counted(&p, ON_ENTRY), 0);
	DESTROY(inside);
	CHECK(close(map) == 0);

	errno = 0;
	CHECK_EQ(ksyscall_program__recursion_misses(prog, NULL), -EINVAL);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(ksyscall_program__recursion_misses(NULL, &misses), -EINVAL);
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
