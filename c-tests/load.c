/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests that no call is lost while many threads create and destroy links at random and make calls. A thread's
 * programs count only that thread's calls, so the expected counts are known exactly. No thread accesses a map
 * during the test: while a CPU runs a bpf(2) map operation, the kernel skips probe programs on that CPU.
 */
#include "messages.h"
#include "programs.h"

#include <pthread.h>
#include <semaphore.h>

/*
 * A return probe tracks 10 in-flight calls (`maxactive` in Documentation/trace/kprobes.rst), so at most 10
 * threads make calls at a time.
 */
enum { THREADS = 64, CALLERS = 2, CALLING = 10 - CALLERS, MOST_CALLS = 50 };

static const char *const names[] = { CALL, "getsid" };
static const long numbers[] = { SYS_getpgid, SYS_getsid };

struct worker {
	struct programs programs;
	struct bpf_program *on_entry, *on_return;
	pthread_t thread;
	unsigned int seed;
	int rounds;
	/* For each slot, the number of calls that it should have counted. */
	__u64 calls[SLOTS];
};

static pthread_barrier_t start;
static sem_t calling;
static bool workers_ended;
static int failures;
/* Links that a thread leaves for another thread to destroy. */
static struct bpf_link *left_over[THREADS];

/* A random number below `count`. */
static int any_of(struct worker *worker, int count)
{
	return rand_r(&worker->seed) % count;
}

static void call(long number, int count)
{
	while (sem_wait(&calling) != 0)
		CHECK(errno == EINTR);
	while (count-- > 0)
		syscall(number, 0);
	CHECK(sem_post(&calling) == 0);
}

/* If the kernel supports cookies, the cookie selects the attachment's slot. */
static struct bpf_link *attach(struct worker *worker, int name, bool retprobe, int *slot)
{
	struct bpf_program *prog = retprobe ? worker->on_return : worker->on_entry;
	__u64 cookie = 0;
	*slot = retprobe ? ON_RETURN : ON_ENTRY;
	if (has_perf_links()) {
		*slot = any_of(worker, SLOTS);
		cookie = (__u64)any_of(worker, RAND_MAX) * SLOTS + (__u64)*slot;
	}
	return ATTACH(prog, names[name], OPTS(.retprobe = retprobe, .bpf_cookie = cookie));
}

static void *attach_and_destroy(void *argument)
{
	struct worker *worker = argument;
	watch(worker->programs.object);
	pthread_barrier_wait(&start);
	for (int round = 0; round < worker->rounds; round++) {
		int name = any_of(worker, 2), calls = any_of(worker, MOST_CALLS), slot;
		struct bpf_link *link = attach(worker, name, any_of(worker, 2), &slot);
		call(numbers[name], calls);
		worker->calls[slot] += (__u64)calls;
		/* Make calls that this attachment must not count. */
		call(numbers[!name], any_of(worker, MOST_CALLS));
		if (round == worker->rounds - 1)
			link = __atomic_exchange_n(&left_over[any_of(worker, THREADS)], link,
						   __ATOMIC_SEQ_CST);
		DESTROY(link);
		if (round < worker->rounds - 1)
			call(numbers[name], any_of(worker, MOST_CALLS));
		if (any_of(worker, 4) == 0) {
			__atomic_fetch_add(&failures, 1, __ATOMIC_SEQ_CST);
			CHECK(!bpf_program__attach_ksyscall(worker->on_entry, "no_such_call", NULL));
		}
	}
	return NULL;
}

/* Stays attached and makes calls throughout the test. */
static void *make_calls_all_the_time(void *argument)
{
	struct worker *worker = argument;
	watch(worker->programs.object);
	pthread_barrier_wait(&start);
	while (!__atomic_load_n(&workers_ended, __ATOMIC_SEQ_CST)) {
		make_calls(MOST_CALLS);
		worker->calls[ON_ENTRY] += MOST_CALLS;
		sched_yield();
	}
	return NULL;
}

static void counted_exactly(const struct worker *worker, const char *kind, int number)
{
	for (__u32 slot = 0; slot < SLOTS; slot++)
		if (counted(&worker->programs, slot) != worker->calls[slot])
			FAIL("%s %d, slot %u: %llu calls were made, %llu counted", kind, number, slot,
			     worker->calls[slot], counted(&worker->programs, slot));
}

static void load(int rounds)
{
	static struct worker workers[THREADS], callers[CALLERS];
	struct bpf_link *entries[CALLERS], *returns[CALLERS];
	bool cookies = has_perf_links();
	for (int i = 0; i < THREADS; i++) {
		struct programs p = cookies ? LOAD(cookie) : LOAD(count);
		workers[i] = (struct worker){
			.programs = p,
			.on_entry = program(&p, cookies ? "on_entry_by_cookie" : "on_entry"),
			.on_return = program(&p, cookies ? "on_return_by_cookie" : "on_return"),
			.seed = (unsigned int)i,
			.rounds = rounds,
		};
	}
	for (int i = 0; i < CALLERS; i++)
		callers[i].programs = LOAD(count);
	int fds = count_fds();
	for (int i = 0; i < CALLERS; i++) {
		entries[i] = ATTACH(program(&callers[i].programs, "on_entry"), CALL, NULL);
		returns[i] = ATTACH(program(&callers[i].programs, "on_return"), CALL, RETPROBE);
	}
	libbpf_set_print(count_warning);
	CHECK(pthread_barrier_init(&start, NULL, THREADS + CALLERS) == 0);
	CHECK(sem_init(&calling, 0, CALLING) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&workers[i].thread, NULL, attach_and_destroy, &workers[i]) == 0);
	for (int i = 0; i < CALLERS; i++)
		CHECK(pthread_create(&callers[i].thread, NULL, make_calls_all_the_time, &callers[i]) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(workers[i].thread, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		DESTROY(left_over[i]);
	__atomic_store_n(&workers_ended, true, __ATOMIC_SEQ_CST);
	for (int i = 0; i < CALLERS; i++) {
		CHECK(pthread_join(callers[i].thread, NULL) == 0);
		DESTROY(entries[i]);
		DESTROY(returns[i]);
		callers[i].calls[ON_RETURN] = callers[i].calls[ON_ENTRY];
	}
	CHECK_EQ(count_fds(), fds);
	CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
	CHECK(failures > 0);
	CHECK_EQ(warnings, failures);
	for (int i = 0; i < THREADS; i++) {
		counted_exactly(&workers[i], "thread", i);
		unload(&workers[i].programs);
	}
	for (int i = 0; i < CALLERS; i++) {
		CHECK(callers[i].calls[ON_ENTRY] > 0);
		counted_exactly(&callers[i], "caller", i);
		unload(&callers[i].programs);
	}
}

TEST(threads_attach_and_destroy_at_random)
{
	load(6);
}

TEST(threads_attach_and_destroy_at_random_by_tracefs)
{
	hide_the_pmu();
	load(3);
}

MAIN
