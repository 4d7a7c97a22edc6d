/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Makes known numbers of calls, like known.c, but as a 32-bit program without a C library. The call numbers
   are from arch/x86/entry/syscalls/syscall_32.tbl. */
enum {
	EXIT = 1,
	WRITE = 4,
	UMOUNT2 = 52,
	FCNTL = 55,
	SOCKETCALL = 102,
	GETPGID = 132,
	SCHED_YIELD = 158,
	FCNTL64 = 221,
	/* Sub-calls of socketcall (include/uapi/linux/net.h). */
	SYS_LISTEN = 4,
	SYS_ACCEPT = 5,
};

static int call(int number, int first, const void *second, int third)
{
	int result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(first), "c"(second), "d"(third)
			 : "memory");
	return result;
}

static void repeat_with(int times, int number, int first, const void *second, int expected)
{
	for (int i = 0; i < times; i++)
		if (call(number, first, second, 0) != expected)
			call(EXIT, number, 0, 0);
}

static void repeat(int times, int number, int first, int expected)
{
	repeat_with(times, number, first, 0, expected);
}

void _start(void)
{
	static const char did[] = "did32 umount2 ENOENT 4\ndid32 fcntl EBADF 5\ndid32 fcntl64 EBADF 6\n"
				  "did32 socketcall EINVAL 2\ndid32 listen EBADF 7\ndid32 accept EBADF 3\n"
				  "did32 sched_yield - 3\ndid32 getpgid ESRCH 8\n";
	static const int arguments[] = { -1, 0, 0 };

	repeat(4, UMOUNT2, (int)"/nothing", -2);
	repeat(5, FCNTL, -1, -9);
	repeat(6, FCNTL64, -1, -9);
	repeat(2, SOCKETCALL, 0, -22);
	repeat_with(7, SOCKETCALL, SYS_LISTEN, arguments, -9);
	repeat_with(3, SOCKETCALL, SYS_ACCEPT, arguments, -9);
	repeat(3, SCHED_YIELD, 0, 0);
	repeat(8, GETPGID, -1, -3);
	call(WRITE, 1, did, sizeof(did) - 1);
	call(EXIT, 0, 0, 0);
	__builtin_unreachable();
}
