/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests the macros of ksyscall.bpf.h on x86-64 with each libbpf version. matrix/arguments.c
 * tests every argument of every call.
 */
#include "programs.h"

#include <sys/mman.h>

EMBED(arguments, BPF_FOLDER "/" ARGUMENTS);

/* The first word is a multiple of 8, as a pointer to the registers would be. */
static const long WORDS[] = { 0x0123456789abcde8, 0x1f2e3d4c5b6a7988, 0x2a3b4c5d6e7f8091,
			      0x3c4d5e6f708192a3, 0x4e5f60718293a4b5, 0x50617283948596a7 };
#define SIX WORDS[0], WORDS[1], WORDS[2], WORDS[3], WORDS[4], WORDS[5]

/* Returns what the program saw in the last of `calls` calls. */
static struct passed passed(const struct programs *p, int calls)
{
	struct passed passed;
	__u32 zero = 0;

	CHECK_EQ(counted(p, ON_ENTRY), calls);
	CHECK(bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(p->object, "passed"), &zero, &passed) == 0);
	return passed;
}

static struct bpf_link *attach_kprobe(const struct programs *p, const char *name, const char *function)
{
	struct bpf_link *link = bpf_program__attach_kprobe(program(p, name), false, function);

	CHECK(link && !libbpf_get_error(link));
	return link;
}

TEST(arguments_have_their_types)
{
	struct programs p = LOAD(arguments);
	struct bpf_link *link = ATTACH(program(&p, "typed"), "pread64", NULL);

	/* The upper half of an int argument is unspecified. */
	syscall(SYS_pread64, WORDS[0], WORDS[1], WORDS[2], WORDS[3]);
	struct passed seen = passed(&p, 1);

	CHECK_EQ(seen.arguments[0], (int)WORDS[0]);
	CHECK_EQ(seen.arguments[1], WORDS[1]);
	CHECK_EQ(seen.arguments[2], WORDS[2]);
	CHECK_EQ(seen.arguments[3], WORDS[3]);
	CHECK_EQ(seen.number, SYS_pread64);
	DESTROY(link);
	unload(&p);
}

static void six_words_are_seen(const struct programs *p)
{
	syscall(SYS_getpgid, SIX);
	struct passed seen = passed(p, 1);

	for (int n = 0; n < 6; n++)
		CHECK_EQ(seen.arguments[n], WORDS[n]);
	CHECK_EQ(seen.number, SYS_getpgid);
	CHECK_EQ(seen.is_compat, 0);
}

TEST(words_are_unchanged)
{
	struct programs p = LOAD(arguments);
	struct bpf_link *link = ATTACH(program(&p, "words"), CALL, NULL);

	six_words_are_seen(&p);
	DESTROY(link);
	unload(&p);
}

/*
 * Without syscall wrappers (x86-64 before Linux 4.17), a function receives the arguments themselves.
 * __sys_sendto() is not a system call's entry point, but receives its arguments in the same way.
 */
TEST(a_function_may_receive_the_arguments_directly)
{
	struct programs p = LOAD(arguments);
	struct bpf_link *link = attach_kprobe(&p, "words", "__sys_sendto");

	syscall(SYS_sendto, SIX);
	struct passed seen = passed(&p, 1);

	/* The first, fourth and sixth arguments are ints. */
	CHECK_EQ((int)seen.arguments[0], (int)WORDS[0]);
	CHECK_EQ(seen.arguments[1], WORDS[1]);
	CHECK_EQ(seen.arguments[2], WORDS[2]);
	CHECK_EQ((int)seen.arguments[3], (int)WORDS[3]);
	CHECK_EQ(seen.arguments[4], WORDS[4]);
	CHECK_EQ((int)seen.arguments[5], (int)WORDS[5]);
	/* Without a wrapper, the caller's registers are not available. */
	CHECK_EQ(seen.number, -1);
	DESTROY(link);
	unload(&p);
}

#ifndef NATIVE_ONLY
/*
 * A 64-bit program can make a 32-bit call, so the code segment does not identify 32-bit calls. The call's
 * number is from the 32-bit table.
 */
TEST(int_0x80_of_64_bit_code_is_compat)
{
	enum { GETPGID_OF_32_BITS = 132 };
	struct programs p = LOAD(arguments);
	struct bpf_link *link = attach_kprobe(&p, "words", "__ia32_sys_getpgid");
	long result = GETPGID_OF_32_BITS;

	__asm__ volatile("int $0x80"
			 : "+a"(result)
			 : "b"(WORDS[0]), "c"(WORDS[1]), "d"(WORDS[2]), "S"(WORDS[3]), "D"(WORDS[4])
			 : "r8", "r9", "r10", "r11", "memory");
	struct passed seen = passed(&p, 1);

	CHECK_EQ(seen.is_compat, 1);
	CHECK_EQ(seen.number, GETPGID_OF_32_BITS);
	for (int n = 0; n < 5; n++)
		CHECK_EQ(seen.arguments[n], (unsigned int)WORDS[n]);
	DESTROY(link);
	unload(&p);
}

/* i386 system call numbers, and the operation numbers of socketcall and ipc. */
enum { SOCKETCALL = 102, IPC = 117, BIND = 2, CONNECT = 3, SEMCTL = 3, MSGSND = 11, MSGRCV = 12 };

static void compat_call(long number, unsigned int a, unsigned int b, unsigned int c, unsigned int d,
			unsigned int e, unsigned int f)
{
	register long sixth __asm__("r12") = f;

	/* The sixth argument is in ebp. The red zone below the stack pointer may hold variables. */
	__asm__ volatile("lea -128(%%rsp), %%rsp; push %%rbp; mov %%r12d, %%ebp; int $0x80; pop %%rbp;"
			 "lea 128(%%rsp), %%rsp"
			 : "+a"(number)
			 : "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), "r"(sixth)
			 : "r8", "r9", "r10", "r11", "memory", "cc");
}

/* Returns memory that a 32-bit pointer can address. */
static unsigned int *words_of_32_bits(void)
{
	unsigned int *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	CHECK(words != MAP_FAILED);
	words[0] = 0x81234567;
	words[1] = 0xfffffff5;
	words[2] = 0x2a3b4c5d;
	return words;
}

TEST(a_call_is_seen_directly_and_through_socketcall)
{
	struct programs p = LOAD(arguments);
	struct bpf_link *links[] = { ATTACH(program(&p, "sub_connect"), "connect", NULL),
				     attach_kprobe(&p, "sub_connect", "__ia32_compat_sys_socketcall") };
	unsigned int *words = words_of_32_bits();
	unsigned int block = (unsigned int)(unsigned long)words;

	/* Operations other than connect must not be counted. The second call's operation number is invalid. */
	compat_call(SOCKETCALL, BIND, block, 0, 0, 0, 0);
	compat_call(SOCKETCALL, 1 << 16 | CONNECT, block, 0, 0, 0, 0);
	CHECK_EQ(counted(&p, ON_ENTRY), 0);
	compat_call(SOCKETCALL, CONNECT, block, 0, 0, 0, 0);
	struct passed seen = passed(&p, 1);

	CHECK_EQ(seen.number, SOCKETCALL);
	for (int n = 0; n < 3; n++)
		CHECK_EQ(seen.arguments[n], n == 1 ? words[n] : (__u64)(int)words[n]);
	syscall(SYS_connect, -1, WORDS[1], 5);
	seen = passed(&p, 2);
	CHECK_EQ(seen.number, SYS_connect);
	CHECK_EQ(seen.arguments[0], (__u64)-1);
	CHECK_EQ(seen.arguments[1], WORDS[1]);
	CHECK_EQ(seen.arguments[2], 5);
	DESTROY(links[0]);
	DESTROY(links[1]);
	unload(&p);
}

/* If the version is 0, compat_ksys_ipc() in ipc/syscall.c reads two of msgrcv's arguments from memory. */
TEST(msgrcv_through_ipc_has_arguments_that_depend_on_the_version)
{
	for (unsigned int version = 0; version < 2; version++) {
		struct programs p = LOAD(arguments);
		struct bpf_link *link = attach_kprobe(&p, "sub_msgrcv", "__ia32_compat_sys_ipc");
		unsigned int *words = words_of_32_bits(), first = version << 16 | MSGRCV;
		unsigned int pointer = (unsigned int)(unsigned long)words;

		compat_call(IPC, MSGSND, -1, 64, 7, pointer, -9);
		CHECK_EQ(counted(&p, ON_ENTRY), 0);
		compat_call(IPC, first, -1, 64, 7, pointer, -9);
		struct passed seen = passed(&p, 1);

		CHECK_EQ(seen.arguments[0], (__u64)-1);
		CHECK_EQ(seen.arguments[1], version ? pointer : words[0]);
		CHECK_EQ(seen.arguments[2], 64);
		CHECK_EQ(seen.arguments[3], version ? (__u64)-9 : (__u64)(int)words[1]);
		CHECK_EQ(seen.arguments[4], 7);
		DESTROY(link);
		unload(&p);
	}
}

TEST(a_program_on_ipc_sees_the_sub_call)
{
	struct programs p = LOAD(arguments);
	struct bpf_link *link = attach_kprobe(&p, "through_ipc", "__ia32_compat_sys_ipc");
	unsigned int *words = words_of_32_bits();

	compat_call(IPC, SEMCTL, -1, 0, 0x100, (unsigned int)(unsigned long)words, 0);
	struct passed seen = passed(&p, 1);

	CHECK_EQ(seen.number, SEMCTL);
	CHECK_EQ(seen.is_compat, SEMCTL);
	CHECK_EQ(seen.arguments[0], 0x100);
	CHECK_EQ(seen.arguments[1], words[0]);
	DESTROY(link);
	unload(&p);
}

#endif

/* The kernel uses different code to save the registers for kprobe_multi programs. */
TEST(a_kprobe_multi_program_sees_the_same)
{
	enum { KPROBE_MULTI = 42 };
	struct programs p = { open_object(start_arguments, end_arguments), -1 };
	const char *symbol = CALL_SYMBOL;
	union bpf_attr attr = { .link_create = { .attach_type = KPROBE_MULTI } };

	libbpf_set_print(NULL);
	bpf_program__set_expected_attach_type(program(&p, "words"), (enum bpf_attach_type)KPROBE_MULTI);
	CHECK(bpf_object__load(p.object) == 0);
	p.calls = watch(p.object);
	attr.link_create.prog_fd = (__u32)bpf_program__fd(program(&p, "words"));
	attr.link_create.kprobe_multi.syms = (__u64)(unsigned long)&symbol;
	attr.link_create.kprobe_multi.cnt = 1;
	int link = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr)), error = errno;

	if (link < 0 && !kernel_is_at_least(6, 12)) {
		/* Linux 5.10 lacks kprobe_multi, and Debian builds 6.1 without CONFIG_FPROBE. */
		CHECK_EQ(error, kernel_is_at_least(5, 18) ? EOPNOTSUPP : EINVAL);
		unload(&p);
		return;
	}
	CHECK(link >= 0);
	six_words_are_seen(&p);
	close(link);
	unload(&p);
}

MAIN
