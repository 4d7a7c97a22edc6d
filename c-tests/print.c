/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The callback of libbpf_set_print(), which the library can only read by replacing it
 * for a moment: whoever sets another meanwhile must not notice, nor any message get lost.
 */
#include "messages.h"
#include "programs.h"

#include <pthread.h>
#include <sys/mman.h>

enum { THREADS = 4, ROUNDS = 400 };

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
		CHECK_FAILS(bpf_program__attach_ksyscall(prog, CALL, (&(struct bpf_ksyscall_opts){ .sz = 3 })), EINVAL);
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
	libbpf_set_print(set);
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
	__typeof__(libbpf_set_print) *own = own_set_print();
	libbpf_set_print(count_warning);
	let_them_fail(program(&p, "on_entry"));
	do {
		own(count_too);
		CHECK(libbpf_set_print(count_warning) == count_too);
	} while (are_failing());
	wait_for_them();
	CHECK(own(NULL) == count_warning);
	CHECK_EQ(warnings, THREADS * ROUNDS);
	unload(&p);
}

TEST(no_message_of_libbpf_is_lost)
{
	struct programs p = LOAD(count);
	int opened = 0;
	libbpf_set_print(count_warning);
	CHECK(libbpf_get_error(bpf_object__open_mem("none", 4, NULL)) != 0);
	int warnings_each = warnings;
	CHECK(warnings_each > 0);
	warnings = 0;
	let_them_fail(program(&p, "on_entry"));
	do {
		CHECK(libbpf_get_error(bpf_object__open_mem("none", 4, NULL)) != 0);
		opened++;
	} while (are_failing());
	wait_for_them();
	CHECK_EQ(warnings, THREADS * ROUNDS + opened * warnings_each);
	CHECK(libbpf_set_print(NULL) == count_warning);
	unload(&p);
}

TEST(where_nothing_is_said_the_callback_is_left_alone)
{
	struct programs p = LOAD(count);
	if (getenv("KSYSCALL_TEST_ANY_LIBRARY"))
		SKIP("libbpf itself does not ask for its callback");
	/* From here on, who calls libbpf's function is ended by a breakpoint. */
	unsigned char *start = (unsigned char *)own_set_print();
	uintptr_t page = (uintptr_t)start & -(uintptr_t)4096;
	CHECK(mprotect((void *)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
	start[0] = 0xcc;
	for (int kind = 0; kind < 4; kind++) {
		struct bpf_ksyscall_opts *opts =
			OPTS(.retprobe = kind & 1, .bpf_cookie = kind & 2 && has_perf_links() ? 7 : 0);
		DESTROY(ATTACH(program(&p, "on_entry"), kind & 2 ? "stat" : CALL, opts));
	}
	/* And so is who has something to say. */
	pid_t child = fork();
	if (child == 0) {
		bpf_program__attach_ksyscall(program(&p, "on_entry"), "no_such_call", NULL);
		_exit(PASSED);
	}
	int status;
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTRAP);
	unload(&p);
}

MAIN
