/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests a call that has a separate function for x32, on a kernel that supports x32. The library is both
 * linked and preloaded: one test calls the library's own functions, and the other simulates a preloaded
 * tool. The numbers are from arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl.
 */
#include "programs.h"

#define CALLERS "KSYSCALL_CALLERS"
#define IOCTL "ioctl"

static void make_native_call(void)
{
	CHECK(syscall(SYS_ioctl, -1, 0, 0) == -1 && errno == EBADF);
}

static void make_i386_call(void)
{
	long result = 54;
	__asm__ volatile("int $0x80"
			 : "+a"(result)
			 : "b"(-1L), "c"(0L), "d"(0L)
			 : "r8", "r9", "r10", "r11", "memory");
	CHECK_EQ(result, -EBADF);
}

static void make_x32_call(void)
{
	CHECK(syscall(1 << 30 | 514, -1, 0, 0) == -1 && errno == EBADF);
}

static const struct {
	const char *word;
	unsigned int number;
	int links;
	__u64 native, i386, x32;
} callers[] = {
	{ "native", KSYSCALL_CALLERS_NATIVE, 1, 1, 0, 0 },
	{ "compat", KSYSCALL_CALLERS_COMPAT, 2, 0, 1, 1 },
	{ "all", KSYSCALL_CALLERS_ALL, 3, 1, 1, 1 },
};

/* Checks that each call is seen once, and only if its caller's ABI is selected. */
static void each_is_seen(const struct programs *p, size_t i)
{
	__u64 before = counted(p, ON_ENTRY);
	make_native_call();
	CHECK_EQ(counted(p, ON_ENTRY), before + callers[i].native);
	make_i386_call();
	CHECK_EQ(counted(p, ON_ENTRY), before + callers[i].native + callers[i].i386);
	make_x32_call();
	CHECK_EQ(counted(p, ON_ENTRY), before + callers[i].native + callers[i].i386 + callers[i].x32);
}

TEST(every_caller_has_a_function)
{
	const char *const names[] = { IOCTL };
	struct programs p = LOAD(count);
	for (size_t i = 0; i < sizeof(callers) / sizeof(callers[0]); i++) {
		struct ksyscall_links_opts opts = { .sz = sizeof(opts), .callers = callers[i].number };
		struct ksyscall_links *links = ksyscall_links__attach(program(&p, "on_entry"), names, 1,
								      &opts);
		CHECK(links);
		int functions = 0;
		while (ksyscall_links__function(links, 0, (size_t)functions))
			functions++;
		CHECK_EQ(functions, callers[i].links);
		each_is_seen(&p, i);
		CHECK_EQ(ksyscall_links__destroy(links), 0);
	}
	unload(&p);
}

TEST(a_tool_sees_every_caller_with_one_link)
{
	struct programs p = LOAD(count);
	for (size_t i = 0; i < sizeof(callers) / sizeof(callers[0]); i++) {
		CHECK(setenv(CALLERS, callers[i].word, 1) == 0);
		int fds = count_fds();
		struct bpf_link *link = ATTACH(program(&p, "on_entry"), IOCTL, NULL);
		CHECK_EQ(count_fds(), fds + callers[i].links);
		CHECK((bpf_link__fd(link) < 0) == (callers[i].links > 1));
		each_is_seen(&p, i);
		DESTROY(link);
		CHECK_EQ(count_fds(), fds);
	}
	unload(&p);
}

MAIN
