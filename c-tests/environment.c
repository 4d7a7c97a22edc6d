/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The environment variables that libksyscall-ext has when it is preloaded. */
#include "messages.h"
#include "programs.h"

#define VARIABLE "KSYSCALL_MAX_ACTIVE"

static struct bpf_link *attach_return(const struct programs *p)
{
	errno = 0;
	return bpf_program__attach_ksyscall(program(p, "on_return"), CALL, RETPROBE);
}

TEST(return_probes_of_a_tool_have_as_many_instances_as_asked_for)
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

TEST(what_is_no_number_of_instances_is_refused)
{
	static const char *const wrong[] = { "", "0", "many", "-1", "20 ", "4097", "99999999999999999999" };
	struct programs p = LOAD(count);
	libbpf_set_print(keep_warning);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		forget_warnings();
		CHECK(setenv(VARIABLE, wrong[i], 1) == 0);
		CHECK(!attach_return(&p));
		CHECK_EQ(errno, EINVAL);
		CHECK_HAS(warned, VARIABLE " is not a number of 1 to 4096");
		DESTROY(ATTACH(program(&p, "on_entry"), CALL, NULL));
	}
	unload(&p);
}

MAIN
