/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Makes requested system calls in a 32-bit process. Until its input ends, the process reads a call's number
 * and five arguments, makes the call and writes the result. The program does not use the C library, because
 * many systems have no 32-bit C library.
 */
struct request {
	unsigned int number, arguments[5];
};

static int make_call(const struct request *r)
{
	int result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(r->number), "b"(r->arguments[0]), "c"(r->arguments[1]), "d"(r->arguments[2]),
			   "S"(r->arguments[3]), "D"(r->arguments[4])
			 : "memory");
	return result;
}

/* Makes an exit, read or write call; the numbers are from arch/x86/entry/syscalls/syscall_32.tbl. */
static int plain_call(unsigned int number, int first, void *second, unsigned int third)
{
	struct request r = { number, { first, (unsigned int)second, third } };

	return make_call(&r);
}

void _start(void)
{
	struct request request;

	while (plain_call(3, 0, &request, sizeof(request)) == sizeof(request)) {
		int result = make_call(&request);

		plain_call(4, 1, &result, sizeof(result));
	}
	plain_call(1, 0, 0, 0);
	__builtin_unreachable();
}
