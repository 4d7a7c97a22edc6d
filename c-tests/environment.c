/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tests the environment variables that configure the preloaded library. */
#include "messages.h"
#include "programs.h"

#define VARIABLE "KSYSCALL_MAX_ACTIVE"
#define CALLERS "KSYSCALL_CALLERS"

TEST(return_probes_of_a_tool_have_the_requested_instances)
{
	struct programs p = LOAD(count);
	CHECK(setenv(VARIABLE, "20", 1) == 0);
	struct bpf_link *entry = ATTACH(program(&p, "on_entry"), CALL, NULL);
	CHECK_EQ(count_entries(KPROBE_EVENTS, "ksyscall/p"), 0);
	struct bpf_link *returns = ATTACH(program(&p, "on_return"), CALL, RETPROBE);
	CHECK_EQ(count_entries(KPROBE_EVENTS, "r20:ksyscall/p"), 1);
	CHECK(fires(&p, ON_ENTRY) && fires(&p, ON_RETURN));
	DESTROY(returns);
	DESTROY(entry);
	CHECK_EQ(count_entries(KPROBE_EVENTS, "ksyscall/p"), 0);
	CHECK(unsetenv(VARIABLE) == 0);
	returns = ATTACH(program(&p, "on_return"), CALL, RETPROBE);
	CHECK_EQ(count_entries(KPROBE_EVENTS, "ksyscall/p"), 0);
	DESTROY(returns);
	unload(&p);
}

TEST(an_invalid_number_of_instances_is_refused)
{
	static const char *const wrong[] = { "", "0", "many", "-1", "20 ", "4097", "99999999999999999999" };
	struct programs p = LOAD(count);
	libbpf_set_print(keep_warning);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		forget_warnings();
		CHECK(setenv(VARIABLE, wrong[i], 1) == 0);
		CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_return"), CALL, RETPROBE), EINVAL);
		CHECK_HAS(warned, VARIABLE " is not a number from 1 to 4096");
		DESTROY(ATTACH(program(&p, "on_entry"), CALL, NULL));
	}
	unload(&p);
}

TEST(a_tool_sees_32_bit_callers_with_one_link)
{
	struct programs p = LOAD(count);
	CHECK(setenv(CALLERS, "all", 1) == 0);
	int fds = count_fds();
	struct bpf_link *link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	CHECK_EQ(count_fds(), fds + 2);
	make_calls(1);
	make_compat_call();
	CHECK_EQ(counted(&p, ON_ENTRY), 2);
	/* A link to two functions has no single fd, so it cannot be pinned. */
	CHECK_EQ(bpf_link__fd(link), -1);
	CHECK(bpf_link__pin(link, "/sys/fs/bpf/both") < 0);
	CHECK(access("/sys/fs/bpf/both", F_OK) < 0);
	DESTROY(link);
	CHECK_EQ(count_fds(), fds);
	make_compat_call();
	CHECK_EQ(counted(&p, ON_ENTRY), 2);

	CHECK(setenv(CALLERS, "compat", 1) == 0);
	link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	make_calls(1);
	CHECK_EQ(counted(&p, ON_ENTRY), 2);
	make_compat_call();
	CHECK_EQ(counted(&p, ON_ENTRY), 3);
	CHECK(bpf_link__fd(link) >= 0);
	DESTROY(link);
	unload(&p);
}

/*
 * The library keeps an event open for each function, and must close each event before it removes the event's
 * entry.
 */
TEST(a_link_on_two_functions_leaves_no_entry)
{
	struct programs p = LOAD(count);
	CHECK(setenv(CALLERS, "all", 1) == 0);
	CHECK(setenv(VARIABLE, "20", 1) == 0);
	CHECK(setenv("KSYSCALL_KEEP_EVENT", "1", 1) == 0);
	int fds = count_fds();
	struct bpf_link *link = ATTACH(program(&p, "on_return"), CALL, RETPROBE);
	/* Without BPF links, the perf event itself is the attachment. */
	CHECK_EQ(count_fds(), fds + (has_perf_links() ? 4 : 2));
	CHECK_EQ(count_entries(KPROBE_EVENTS, "r20:ksyscall/p"), 2);
	make_calls(1);
	make_compat_call();
	CHECK_EQ(counted(&p, ON_RETURN), 2);
	DESTROY(link);
	CHECK_EQ(count_fds(), fds);
	CHECK_EQ(count_entries(KPROBE_EVENTS, "ksyscall/p"), 0);
	unload(&p);
}

TEST(invalid_callers_are_refused)
{
	static const char *const wrong[] = { "", "All", "native,compat", "2" };
	struct programs p = LOAD(count);
	libbpf_set_print(keep_warning);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		forget_warnings();
		CHECK(setenv(CALLERS, wrong[i], 1) == 0);
		CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), CALL, NULL), EINVAL);
		CHECK_HAS(warned, CALLERS " is not native, compat or all");
	}
	CHECK(setenv(CALLERS, "native", 1) == 0);
	DESTROY(ATTACH(program(&p, "on_entry"), CALL, NULL));
	unload(&p);
}

MAIN
