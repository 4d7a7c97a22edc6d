/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests how the library reads libbpf's print callback. To read the callback, the library must replace it
 * briefly. A thread that sets another callback at that moment must not notice the replacement, and no message
 * may be lost.
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

/* Patches libbpf_set_print() in libbpf to jump to `function`. */
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

/* A stand-in for libbpf's libbpf_set_print() that lets the other threads run before it returns. */
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

/* A second counting callback with a different address. */
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

TEST(a_callback_set_by_another_thread_stays_set)
{
	struct programs p = LOAD(count);
	libbpf_print_fn_t set = count_warning;
	stand_in_for_libbpfs(slow_set_print);
	CHECK(!libbpf_set_print(set));
	let_them_fail(program(&p, "on_entry"));
	do {
		libbpf_print_fn_t other = set == count_warning ? count_too : count_warning;
		/* The previous callback is ours, not the library's temporary callback. */
		CHECK(libbpf_set_print(other) == set);
		set = other;
	} while (are_failing());
	wait_for_them();
	CHECK(libbpf_set_print(NULL) == set);
	CHECK_EQ(warnings, THREADS * ROUNDS);
	unload(&p);
}

static __typeof__(bpf_program__attach_ksyscall) *attach_of_copy;

static void *fail_by_copy(void *prog)
{
	for (int i = 0; i < ROUNDS; i++)
		CHECK_FAILS(attach_of_copy(prog, CALL, (&(struct bpf_ksyscall_opts){ .sz = 3 })), EINVAL);
	return NULL;
}

TEST(two_copies_of_the_library_keep_their_own_callbacks)
{
	struct programs p = LOAD(count);
	libbpf_print_fn_t set = count_warning;
	pthread_t failing_by_copy[THREADS];
	void *copy = open_copy((void *)bpf_program__attach_ksyscall);
	attach_of_copy = dlsym(copy, "bpf_program__attach_ksyscall");
	__typeof__(libbpf_set_print) *set_by_copy = dlsym(copy, "libbpf_set_print");
	CHECK(attach_of_copy && attach_of_copy != bpf_program__attach_ksyscall && set_by_copy);
	stand_in_for_libbpfs(slow_set_print);
	CHECK(!libbpf_set_print(set));
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&failing_by_copy[i], NULL, fail_by_copy, program(&p, "on_entry")) == 0);
	let_them_fail(program(&p, "on_entry"));
	do {
		libbpf_print_fn_t other = set == count_warning ? count_too : count_warning;
		CHECK((set == count_warning ? libbpf_set_print : set_by_copy)(other) == set);
		set = other;
	} while (are_failing());
	wait_for_them();
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(failing_by_copy[i], NULL) == 0);
	CHECK(libbpf_set_print(NULL) == set);
	CHECK_EQ(warnings, 2 * THREADS * ROUNDS);
	unload(&p);
}

/* IS_OUT: a thread has taken the callback out of libbpf, and will put it back when `turn` is GO_ON. */
static enum { NOT_OUT, IS_OUT, GO_ON } turn;

static libbpf_print_fn_t waiting_set_print(libbpf_print_fn_t set)
{
	libbpf_print_fn_t previous = __atomic_exchange_n(&callback, set, __ATOMIC_SEQ_CST);
	if (previous == count_warning && set != count_too && turn != GO_ON) {
		__atomic_store_n(&turn, IS_OUT, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) != GO_ON)
			sched_yield();
	}
	return previous;
}

static void die_of_sched_yield(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_yield, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	filter_calls(code, sizeof(code) / sizeof(code[0]));
}

static void *fail_once(void *prog)
{
	CHECK_FAILS(bpf_program__attach_ksyscall(prog, CALL, (&(struct bpf_ksyscall_opts){ .sz = 3 })),
		    EINVAL);
	return NULL;
}

static void fork_while_it_is_out(void)
{
	struct programs p = LOAD(count);
	struct bpf_program *prog = program(&p, "on_entry");
	pthread_t thread;
	CHECK_EQ(getpid(), 1);
	libbpf_set_print(count_warning);
	/* Make the library read the callback once. */
	fail_once(prog);
	stand_in_for_libbpfs(waiting_set_print);
	callback = count_warning;
	CHECK(pthread_create(&thread, NULL, fail_once, prog) == 0);
	while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) != IS_OUT)
		sched_yield();
	CHECK(unshare(CLONE_NEWPID) == 0);
	IN_CHILD({
		CHECK_EQ(getpid(), 1);
		die_of_sched_yield();
		turn = GO_ON;
		fail_once(prog);
		CHECK_EQ(warnings, 2);
		CHECK(libbpf_set_print(count_too) == count_warning);
		CHECK(libbpf_set_print(NULL) == count_too);
	});
	__atomic_store_n(&turn, GO_ON, __ATOMIC_SEQ_CST);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK_EQ(warnings, 2);
	unload(&p);
}

/*
 * No thread in the child will put the callback back: the thread that took it out belongs to the parent, which
 * has the same PID in another namespace.
 */
TEST(a_forked_child_of_the_same_pid_does_not_wait_for_it)
{
	CHECK(unshare(CLONE_NEWPID) == 0);
	IN_CHILD(fork_while_it_is_out());
}

/* A program that loaded libbpf itself may call libbpf's setter directly. */
TEST(a_callback_set_by_libbpfs_own_function_stays_set)
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

/* Prints through the callback that is currently set in libbpf, as libbpf does. */
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

TEST(without_a_message_the_callback_is_not_touched)
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
