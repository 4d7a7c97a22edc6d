/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests pthread_cancel() during an attach or a destroy. The cancelled thread may end only in the print
 * callback or after the function has returned. The thread's cleanup handlers must run, and no fd may leak.
 */
#include "messages.h"
#include "programs.h"

#include <fcntl.h>
#include <pthread.h>

/* The input and the results of a thread that is cancelled. */
struct work {
	struct bpf_program *prog;
	const char *name;
	const struct bpf_ksyscall_opts *opts;
	struct bpf_link *to_destroy;
	struct bpf_link *link;
	int error;
	bool is_done, is_cleaned_up;
};

static void clean_up(void *argument)
{
	struct work *work = argument;
	work->is_cleaned_up = true;
}

static void *do_and_end(void *argument)
{
	struct work *work = argument;
	pthread_cleanup_push(clean_up, work);
	/* The thread ends at the next cancellation point. */
	pthread_cancel(pthread_self());
	errno = 0;
	if (work->to_destroy)
		work->error = -bpf_link__destroy(work->to_destroy);
	else if (!(work->link = bpf_program__attach_ksyscall(work->prog, work->name, work->opts)))
		work->error = errno;
	work->is_done = true;
	pthread_testcancel();
	pthread_cleanup_pop(0);
	return NULL;
}

static struct work work_of_a_thread(struct work work)
{
	pthread_t thread;
	void *result;
	int fds = count_fds();
	CHECK(pthread_create(&thread, NULL, do_and_end, &work) == 0);
	CHECK(pthread_join(thread, &result) == 0);
	CHECK(result == PTHREAD_CANCELED);
	CHECK(work.is_cleaned_up);
	CHECK_EQ(count_fds(), fds + (work.link != NULL) - (work.to_destroy != NULL));
	return work;
}

/* Callbacks that contain a cancellation point: an explicit one, and write() to a log. */
static int end_there(enum libbpf_print_level level, const char *format, va_list arguments)
{
	keep_warning(level, format, arguments);
	pthread_testcancel();
	return 0;
}

static int log_file;

static int write_it(enum libbpf_print_level level, const char *format, va_list arguments)
{
	keep_warning(level, format, arguments);
	return (int)write(log_file, warned, strlen(warned));
}

/* Cancels threads in the print callback, which is called at different steps of an attach. */
static void end_in(libbpf_print_fn_t callback, const struct programs *p, const char *unreached)
{
	const struct work works[] = {
		{ .prog = program(p, "on_entry"), .name = "no_such_call" },
		{ .prog = program(p, "on_entry"), .name = "no such call" },
		{ .prog = program(p, "on_entry"),
		  .name = CALL,
		  .opts = &(struct bpf_ksyscall_opts){ .sz = 3 } },
		{ .prog = program(p, "on_packet"), .name = CALL },
		{ .prog = program(p, "on_entry"), .name = "no_such_call", .opts = RETPROBE },
		/* This attach prints a one-time warning; without the cancellation, it would then succeed. */
		{ .prog = program(p, "on_entry"), .name = unreached },
	};
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
		forget_warnings();
		libbpf_set_print(callback);
		struct work work = work_of_a_thread(works[i]);
		CHECK(!work.is_done);
		CHECK_EQ(warnings, 1);
		CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
		/* Other threads can still attach and receive warnings. */
		CHECK(libbpf_set_print(keep_warning) == callback);
		CHECK_FAILS(bpf_program__attach_ksyscall(program(p, "on_entry"), "no_such_call", NULL),
			    ENOENT);
		CHECK_EQ(warnings, 2);
		struct bpf_link *link = ATTACH(program(p, "on_entry"), CALL, NULL);
		CHECK(fires(p, ON_ENTRY));
		DESTROY(link);
	}
	DESTROY(ATTACH(program(p, "on_entry"), unreached, NULL));
}

static void ends_in_callbacks(void)
{
	struct programs p = LOAD(count);
	CHECK((log_file = open("/dev/null", O_WRONLY | O_CLOEXEC)) >= 0);
	end_in(write_it, &p, "uselib");
	end_in(end_there, &p, "socketcall");
	close(log_file);
	unload(&p);
}

TEST(a_thread_can_exit_in_the_callback)
{
	ends_in_callbacks();
}

TEST(a_thread_can_exit_in_the_callback_without_a_pmu)
{
	hide_the_pmu();
	ends_in_callbacks();
}

/* In the first attach and in later ones, open(), read() and close() must not be cancellation points. */
static void is_done_first(const struct programs *p)
{
	libbpf_set_print(keep_warning);
	for (int i = 0; i < 2; i++) {
		forget_warnings();
		struct work work = work_of_a_thread(
			(struct work){ .prog = program(p, "on_entry"), .name = CALL });
		CHECK(work.is_done && work.link);
		CHECK(fires(p, ON_ENTRY));
		work = work_of_a_thread((struct work){ .to_destroy = work.link });
		CHECK(work.is_done);
		CHECK_EQ(work.error, 0);
		CHECK(!fires(p, ON_ENTRY));
		CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
		CHECK_EQ(warnings, 0);
		work = work_of_a_thread(
			(struct work){ .prog = program(p, "on_entry"), .name = "no_such_call" });
		CHECK(work.is_done);
		CHECK_EQ(work.error, ENOENT);
		work = work_of_a_thread((struct work){ .prog = program(p, "on_packet"), .name = CALL });
		CHECK(work.is_done);
		CHECK_EQ(work.error, EINVAL);
		CHECK_EQ(warnings, 2);
		CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
	}
}

TEST(the_callbacks_own_calls_come_first)
{
	struct programs p = LOAD(count);
	is_done_first(&p);
	unload(&p);
}

TEST(the_callbacks_own_calls_come_first_without_a_pmu)
{
	hide_the_pmu();
	struct programs p = LOAD(count);
	is_done_first(&p);
	unload(&p);
}

MAIN
