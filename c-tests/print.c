/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The callback of libbpf_set_print(), which the library can only read by replacing it
 * for a moment: whoever sets another meanwhile must not notice, nor any message get lost.
 */
#include "messages.h"
#include "programs.h"

#include <pthread.h>
#include <sys/mman.h>

enum { THREADS = 4, ROUNDS = 100 };

static __typeof__(libbpf_set_print) *own_set_print(void)
{
	void *libbpf = dlopen("libbpf.so.1", RTLD_NOW | RTLD_NOLOAD);
	if (!libbpf)
		libbpf = dlopen("libbpf.so.0", RTLD_NOW | RTLD_NOLOAD);
	CHECK(libbpf);
	__typeof__(libbpf_set_print) *own = dlsym(libbpf, "libbpf_set_print");
	CHECK(own && !is_ours((void *)own));
	return own;
}

/* Has this program's function called in place of libbpf's own. */
static void stand_in_for_libbpfs(__typeof__(libbpf_set_print) *function)
{
	/* mov $function, %rax; jmp *%rax */
	unsigned char code[12] = { 0x48, 0xb8, [10] = 0xff, 0xe0 };
	char *own = (char *)own_set_print(), *page = own - (uintptr_t)own % 4096;
	memcpy(code + 2, &function, sizeof(function));
	CHECK(mprotect(page, 2 * 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
	memcpy(own, code, sizeof(code));
	CHECK(mprotect(page, 2 * 4096, PROT_READ | PROT_EXEC) == 0);
}

/* Like libbpf's, but all other threads have their turn before it returns. */
static libbpf_print_fn_t callback;
static int callback_calls;

static libbpf_print_fn_t slow_set_print(libbpf_print_fn_t set)
{
	libbpf_print_fn_t previous = __atomic_exchange_n(&callback, set, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&callback_calls, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < THREADS; i++)
		sched_yield();
	return previous;
}

/* Two callbacks that both count, and can be told apart. */
static int count_too(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return count_warning(level, format, arguments);
}

static pthread_t failing[THREADS];
static int have_failed;

static void *fail(void *prog)
{
	for (int i = 0; i < ROUNDS; i++)
		CHECK_FAILS(
			bpf_program__attach_ksyscall(prog, CALL, (&(struct bpf_ksyscall_opts){ .sz = 3 })),
			EINVAL);
	__atomic_fetch_add(&have_failed, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void let_them_fail(struct bpf_program *prog)
{
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&failing[i], NULL, fail, prog) == 0);
}

static bool are_failing(void)
{
	return __atomic_load_n(&have_failed, __ATOMIC_SEQ_CST) < THREADS;
}

static void wait_for_them(void)
{
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(failing[i], NULL) == 0);
}

TEST(what_another_thread_sets_stays_set)
{
	struct programs p = LOAD(count);
	libbpf_print_fn_t set = count_warning;
	stand_in_for_libbpfs(slow_set_print);
	CHECK(!libbpf_set_print(set));
	let_them_fail(program(&p, "on_entry"));
	do {
		libbpf_print_fn_t other = set == count_warning ? count_too : count_warning;
		/* Neither is it another's, nor what stands in for it meanwhile. */
		CHECK(libbpf_set_print(other) == set);
		set = other;
	} while (are_failing());
	wait_for_them();
	CHECK(libbpf_set_print(NULL) == set);
	CHECK_EQ(warnings, THREADS * ROUNDS);
	unload(&p);
}

/* As a program does that has opened libbpf itself. */
TEST(what_is_set_by_libbpfs_own_function_stays_set)
{
	struct programs p = LOAD(count);
	stand_in_for_libbpfs(slow_set_print);
	libbpf_set_print(count_warning);
	let_them_fail(program(&p, "on_entry"));
	do {
		own_set_print()(count_too);
		CHECK(libbpf_set_print(count_warning) == count_too);
	} while (are_failing());
	wait_for_them();
	CHECK(callback == count_warning);
	CHECK_EQ(warnings, THREADS * ROUNDS);
	unload(&p);
}

/* Which it hands to the callback that it has at that moment. */
static void say_as_libbpf(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	__atomic_load_n(&callback, __ATOMIC_SEQ_CST)(LIBBPF_WARN, format, arguments);
	va_end(arguments);
}

TEST(no_message_of_libbpf_is_lost)
{
	struct programs p = LOAD(count);
	int said = 0;
	stand_in_for_libbpfs(slow_set_print);
	libbpf_set_print(count_warning);
	let_them_fail(program(&p, "on_entry"));
	do {
		say_as_libbpf("libbpf: said\n");
		said++;
	} while (are_failing());
	wait_for_them();
	CHECK(callback == count_warning);
	CHECK_EQ(warnings, THREADS * ROUNDS + said);
	unload(&p);
}

TEST(where_nothing_is_said_the_callback_is_left_alone)
{
	struct programs p = LOAD(count);
	stand_in_for_libbpfs(slow_set_print);
	callback = count_warning;
	for (int kind = 0; kind < 4; kind++) {
		struct bpf_ksyscall_opts *opts = OPTS(.retprobe = kind & 1,
						      .bpf_cookie = kind & 2 && has_perf_links() ? 7 : 0);
		DESTROY(ATTACH(program(&p, "on_entry"), kind & 2 ? "stat" : CALL, opts));
	}
	CHECK_EQ(callback_calls, 0);
	CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), "no_such_call", NULL), ENOENT);
	CHECK(callback_calls > 0);
	CHECK_EQ(warnings, 1);
	unload(&p);
}

MAIN
