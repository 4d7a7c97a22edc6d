/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every system call of an attach and a destroy fails in turn, with each errno
 * that its man page lists; memory lacks; the process is killed at each call.
 *
 * An attach that fails answers the errno of the call that failed, unless
 * errnos.h says otherwise, and leaves nothing: no fd, no memory, no BPF link, no
 * entry in kprobe_events, and nothing wrong learnt, for the next one works.
 *
 * Built with AddressSanitizer; each child searches for leaks before it ends.
 */
#include "programs.h"

#include <sys/resource.h>

#include <sanitizer/lsan_interface.h>

#include "entries.h"
#include "errnos.h"
#include "inject.h"

/* The heap, of which nothing may be left, and whose n-th allocation may fail. */

static int blocks, allocations_until_failure = -1;

void *__interceptor_malloc(size_t size);
void __interceptor_free(void *block);

void *malloc(size_t size)
{
	if (allocations_until_failure >= 0 && allocations_until_failure-- == 0) {
		errno = ENOMEM;
		return NULL;
	}
	void *block = __interceptor_malloc(size);
	blocks += block != NULL;
	return block;
}

void free(void *block)
{
	blocks -= block != NULL;
	__interceptor_free(block);
}

/* One way to attach. */
struct way {
	/* Without the kprobe PMU. */
	bool tracefs;
	/* Without BPF links of perf events, on kernels that have them (Linux 5.15). */
	bool no_links;
	bool retprobe;
	/* Not the first attach of its process. */
	bool warm;
	/* To a call that the kernel does not have. */
	bool missing;
	/* With one errno of each kind. */
	bool few;
	/* The first attach of its process, which asks what state the kernel is in. */
	bool first;
	/* On another CPU than the first, which an event is opened on. */
	bool other_cpu;
};

static const int *errors_of(const struct step *step)
{
	for (size_t i = 0; i < sizeof(man_pages) / sizeof(man_pages[0]); i++)
		if (strcmp(man_pages[i].call, step->call) == 0)
			return man_pages[i].errors;
	FAIL("no man page of %s", step->call);
}

/* `pattern` may have one `*`. */
static bool matches(const char *pattern, const char *text)
{
	const char *star = strchr(pattern, '*');
	if (!star)
		return strcmp(pattern, text) == 0;
	size_t length = strlen(text), head = (size_t)(star - pattern), tail = strlen(star + 1);
	return length >= head + tail && strncmp(pattern, text, head) == 0 &&
	       strcmp(text + length - tail, star + 1) == 0;
}

/* The errno that a fault comes to in the end, or NONE. */
static int answer(const struct way *way, const struct step *step, int error)
{
	int during = step->resumed ? DESTROY : ATTACH;
	/* The way itself, or the kernel's. */
	if ((way->no_links || !has_perf_links()) && strcmp(step->call, "bpf") == 0 &&
	    strcmp(step->object, "event") == 0 && error == EINVAL)
		return NONE;
	/* It is opened on the CPU that the process runs on. */
	if (way->other_cpu && strcmp(step->call, "perf_event_open") == 0 && error == ENODEV)
		return NONE;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *rule = &rules[i];
		if ((!rule->call || strcmp(rule->call, step->call) == 0) &&
		    (!rule->object || matches(rule->object, step->object)) &&
		    (!rule->error || rule->error == error) && (rule->during & during))
			return rule->answer == PASSED_ON ? error : rule->answer;
	}
	return error;
}

/* Whether the fault keeps the process's entry from being removed. */
static bool keeps_entry(const struct step *step, int error)
{
	return error != EINTR && ((strcmp(step->call, "openat") == 0 &&
				   strcmp(step->object, "kprobe_events, to remove") == 0) ||
				  (strcmp(step->call, "write") == 0 && strcmp(step->object, "-own") == 0));
}

/* Attaching. */

static struct programs p;

static __u32 slot(const struct way *way)
{
	return way->retprobe ? ON_RETURN : ON_ENTRY;
}

static struct bpf_link *attach(const struct way *way, const char *name)
{
	struct bpf_program *prog = program(&p, way->retprobe ? "on_return" : "on_entry");
	return bpf_program__attach_ksyscall(prog, name, OPTS(.retprobe = way->retprobe));
}

static void works(const struct way *way)
{
	struct bpf_link *link = attach(way, CALL);
	if (!link)
		FAIL("the next attach: errno %d (%s)", errno, strerror(errno));
	CHECK(fires(&p, slot(way)));
	DESTROY(link);
}

/* An attach of another process, which removes the entries of those that are dead. */
static void works_elsewhere(const struct way *way)
{
	IN_CHILD({
		watch(p.object);
		works(way);
	});
}

struct result {
	struct bpf_link *link;
	int error, destroyed;
	bool fired;
};

/* An attach and a destroy that the parent follows. */
static struct result traced_attach(const struct way *way)
{
	struct result result = { 0 };
	traced_from_here();
	errno = 0;
	result.link = attach(way, way->missing ? MISSING : CALL);
	result.error = errno;
	mark(PAUSE);
	if (result.link) {
		result.fired = fires(&p, slot(way));
		mark(RESUME);
		result.destroyed = bpf_link__destroy(result.link);
	}
	mark(END);
	return result;
}

/*
 * Has the process ask for the state, and draw the number that its entries have, without an
 * fd, so that it learns nothing else.
 */
static void ask_for_the_state(void)
{
	struct rlimit old, none;
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	none = old;
	none.rlim_cur = 0;
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	struct bpf_link *link = attach(&(struct way){ 0 }, CALL);
	int error = errno;
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	CHECK(!link);
	CHECK_EQ(error, EMFILE);
}

static void begin(const struct way *way)
{
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET(way->other_cpu, &cpus);
	CHECK(sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
	libbpf_set_print(NULL);
	/* Frees the message of one that the sanitizer has made in vain. */
	CHECK(dlsym(RTLD_DEFAULT, "malloc"));
	p = LOAD(count);
	if (way->tracefs)
		hide_the_pmu();
	if (!way->first)
		ask_for_the_state();
	if (way->tracefs)
		make_entries_of_others();
}

static void finish(void)
{
	unload(&p);
	remove_entries_of_others();
}

/* Faults. */

/* An attach with a fault, in a child that has seen others; without, if there is no step. */
static void suffer(const struct way *way, const struct step *step, int error)
{
	int fds = count_fds(), links = count_links(), blocks_before = blocks;
	int attach_error = way->missing ? ENOENT : NONE, destroy_error = NONE;
	int should = step ? answer(way, step, error) : NONE;
	if (step && step->resumed)
		destroy_error = should;
	else if (should != NONE)
		attach_error = should;

	struct result result = traced_attach(way);
	if (attach_error) {
		CHECK_EQ((bool)result.link, false);
		CHECK_EQ(result.error, attach_error);
	} else {
		if (!result.link)
			FAIL("no link: errno %d (%s)", result.error, strerror(result.error));
		CHECK_EQ(result.fired, true);
		CHECK_EQ(result.destroyed, -destroy_error);
	}
	CHECK_EQ(fires(&p, slot(way)), false);
	CHECK_EQ(count_fds(), fds);
	CHECK_EQ(count_links(), links);
	CHECK_EQ(blocks, blocks_before);
	CHECK_EQ(entries_of(getpid()), step && keeps_entry(step, error));
}

static const char *what(const struct step *step, int error)
{
	static char texts[2][160], *text = texts[0];
	text = text == texts[0] ? texts[1] : texts[0];
	if (step && step->call)
		snprintf(text, sizeof(texts[0]), "%s of %s of '%s'", strerrorname_np(error), step->call,
			 step->object);
	else
		snprintf(text, sizeof(texts[0]), "no fault");
	return text;
}

/*
 * Each of the errors at one step, in one child, with a normal attach and a search
 * for leaks in the end. Of the last, the trace; without a step, of each.
 */
static void run(const struct way *way, int at, const struct step *step, const int *errors, int count,
		struct trace *traces)
{
	struct injection injection = { .at = at, .no_links = way->no_links && has_perf_links() };
	alarm(TIME_LIMIT);
	fflush(NULL);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		alarm(TIME_LIMIT);
		watch(p.object);
		for (int i = 0; i < count; i++)
			suffer(way, step, errors[i]);
		works(way);
		/* One that a fault has kept goes with the normal attach. */
		CHECK_EQ(entries(), way->tracefs ? OTHERS : 0);
		CHECK_EQ(__lsan_do_recoverable_leak_check(), 0);
		_exit(PASSED);
	}
	for (int i = 0; i < count; i++) {
		struct trace *trace = &traces[step ? 0 : i];
		injection.error = errors[i];
		if (!wait_for(child))
			FAIL(" with %s", what(step, errors[i - 1]));
		if (way->tracefs) {
			remove_entries_of(child);
			if (count_entries(KPROBE_EVENTS, dead_entry) == 0)
				command("p:%s " CALL_SYMBOL "\n", dead_entry);
		}
		if (!follow(child, &injection, trace))
			FAIL(" with %s: it ended in the middle", what(step, errors[i]));
		if (step) {
			CHECK_TEXT(what(&trace->steps[at], errors[i]), what(step, errors[i]));
		}
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child);
	if (status != 0)
		FAIL(" with %s: status %#x", what(step, errors[count - 1]), status);
}

/* Whether the step asks for the kernel's state. */
static bool is_of_state(const struct step *step)
{
	return matches("*enabled", step->object);
}

/* Whether the step reads how sysfs describes the PMU. */
static bool is_of_description(const struct step *step)
{
	return strcmp(step->object, "type") == 0 || strcmp(step->object, "retprobe") == 0;
}

/*
 * Whether a second attach of a process comes to the step as the first did.
 * What a fault kept from being learnt is asked for again.
 */
static bool comes_again(const struct way *way, const struct trace *plain, int at, int error)
{
	const struct step *step = &plain[0].steps[at];
	if (is_of_description(step) && strcmp(step->call, "close") != 0 && error != EINTR && !way->missing)
		return true;
	for (int i = 0; i <= at; i++)
		if (i >= plain[1].length || strcmp(plain[0].steps[i].call, plain[1].steps[i].call) != 0 ||
		    strcmp(plain[0].steps[i].object, plain[1].steps[i].object) != 0)
			return false;
	return true;
}

/* The library tells these errnos from all others, and EPERM stands for the others. */
static bool is_of_its_kind(int error)
{
	return error == EPERM || error == EINTR || error == EINVAL || error == EBADF || error == ENOENT;
}

static void inject_all(const struct way *way)
{
	static struct trace plain[2], trace;
	static const int none[2];
	int runs = 0;

	begin(way);
	if (way->warm) {
		watch(p.object);
		works(way);
	}
	run(way, -1, NULL, none, 2, plain);
	for (int at = 0; at < plain[0].length; at++) {
		const struct step *step = &plain[0].steps[at];
		if (way->first != is_of_state(step))
			continue;
		/* The description is read the same with links and without. */
		bool few = way->few || (way->no_links && is_of_description(step));
		int errors[32], count = 0;
		for (const int *error = errors_of(step); *error; error++) {
			if (way->other_cpu ? *error != ENODEV : few && !is_of_its_kind(*error))
				continue;
			errors[count++] = *error;
			runs++;
			if (!comes_again(way, plain, at, *error) || keeps_entry(step, *error)) {
				run(way, at, step, errors, count, &trace);
				count = 0;
			}
		}
		if (count > 0)
			run(way, at, step, errors, count, &trace);
	}
	CHECK(runs > 0);
	finish();
}

#define FAULTS(id, ...)                                   \
	TEST(id)                                          \
	{                                                 \
		inject_all(&(struct way){ __VA_ARGS__ }); \
	}

FAULTS(of_the_pmu, .few = false)
FAULTS(of_asking_for_the_kernels_state, .first = true, .few = true)
FAULTS(of_an_event_on_a_cpu_that_is_offline, .other_cpu = true)
FAULTS(of_a_return_probe, .retprobe = true, .few = true)
FAULTS(of_a_second_attach, .warm = true, .few = true)
FAULTS(of_the_pmu_without_links, .no_links = true)
FAULTS(of_a_return_probe_without_links, .no_links = true, .retprobe = true, .few = true)
FAULTS(of_a_second_attach_without_links, .no_links = true, .warm = true, .few = true)
FAULTS(of_tracefs, .tracefs = true)
FAULTS(of_a_return_probe_in_tracefs, .tracefs = true, .retprobe = true, .few = true)
FAULTS(of_looking_for_a_missing_call, .missing = true, .few = true)
FAULTS(of_looking_for_a_missing_call_to_return, .missing = true, .retprobe = true, .few = true)
FAULTS(of_looking_for_a_missing_call_in_tracefs, .missing = true, .tracefs = true, .few = true)

static const struct way by_tracefs = { .tracefs = true };

TEST(a_process_killed_at_any_call_leaves_one_inert_entry_at_most)
{
	static struct trace trace;
	struct injection injection = { .kills = true };
	int kept = 0;
	begin(&by_tracefs);
	for (bool killed = true; killed; injection.at++) {
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			watch(p.object);
			traced_attach(&by_tracefs);
			_exit(PASSED);
		}
		CHECK(wait_for(child));
		killed = !follow(child, &injection, &trace);
		if (!killed)
			ends_well(child);
		int left = entries_of(child);
		CHECK(left <= 1);
		kept += left;
		works_elsewhere(&by_tracefs);
		CHECK_EQ(entries_of(child), 0);
		CHECK_EQ(entries(), OTHERS);
	}
	CHECK(kept > 0);
	finish();
}

static pid_t followed;

/* By its number here, which is another in its own PID namespace. */
static void watch_followed(void)
{
	__u32 zero = 0, thread = (__u32)followed;
	int watched = bpf_object__find_map_fd_by_name(p.object, "watched");
	CHECK(bpf_map_update_elem(watched, &zero, &thread, BPF_ANY) == 0);
}

/* Not the program that the child attaches, for that would then run twice a call. */
static void attach_elsewhere(void)
{
	works_elsewhere(&(struct way){ .tracefs = true, .retprobe = true });
	watch_followed();
}

/* How many calls the child makes to attach and destroy while another process does both. */
static int is_left_alone(pid_t child, int at)
{
	static struct trace trace;
	struct injection injection = { .at = at, .meanwhile = attach_elsewhere };
	CHECK(child >= 0);
	if (child == 0) {
		struct result result = traced_attach(&by_tracefs);
		CHECK(result.link);
		CHECK_EQ(result.fired, true);
		CHECK_EQ(result.destroyed, 0);
		_exit(PASSED);
	}
	followed = child;
	watch_followed();
	CHECK(wait_for(child));
	CHECK(follow(child, &injection, &trace));
	ends_well(child);
	CHECK_EQ(entries(), OTHERS);
	return trace.length;
}

/* At each call. */
TEST(an_entry_of_a_live_process_is_left_alone)
{
	begin(&by_tracefs);
	is_left_alone(fork(), -1);
	finish();
}

/* The other cannot see that it is alive, and may remove it in the moment before it is in use. */
TEST(an_entry_of_another_pid_namespace_stays_or_is_made_anew)
{
	begin(&by_tracefs);
	int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	CHECK(own >= 0 && unshare(CLONE_NEWPID) == 0);
	/* The namespace's first process, with which it ends. */
	pid_t first = fork();
	CHECK(first >= 0);
	if (first == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	int other = open("/proc/self/ns/pid_for_children", O_RDONLY | O_CLOEXEC);
	CHECK(other >= 0);
	for (int at = 0, count = 1; at < count; at++) {
		CHECK(setns(other, CLONE_NEWPID) == 0);
		pid_t child = fork();
		/* Further children are of the namespace of this process. */
		if (child != 0)
			CHECK(setns(own, CLONE_NEWPID) == 0);
		count = is_left_alone(child, at);
	}
	CHECK(close(own) == 0 && close(other) == 0);
	CHECK(kill(first, SIGKILL) == 0 && waitpid(first, NULL, 0) == first);
	finish();
}

TEST(without_memory)
{
	int failed = 0;
	begin(&(struct way){ 0 });
	for (;;) {
		int fds = count_fds(), blocks_before = blocks;
		errno = 0;
		allocations_until_failure = failed;
		struct bpf_link *link = attach(&(struct way){ 0 }, CALL);
		int error = errno;
		bool was_enough = allocations_until_failure >= 0;
		allocations_until_failure = -1;
		if (was_enough) {
			CHECK(link);
			DESTROY(link);
			break;
		}
		CHECK(!link);
		CHECK_EQ(error, ENOMEM);
		CHECK_EQ(count_fds(), fds);
		CHECK_EQ(blocks, blocks_before);
		failed++;
	}
	CHECK(failed > 0);
	CHECK_EQ(__lsan_do_recoverable_leak_check(), 0);
	finish();
}

static struct ksyscall_links *attach_to_all_callers(void)
{
	static const char *const names[] = { CALL, "acct", "getppid" };
	struct ksyscall_links_opts opts = { .sz = sizeof(opts),
					    .threads = 1,
					    .callers = KSYSCALL_CALLERS_ALL };
	return ksyscall_links__attach(program(&p, "on_entry"), names, 3, &opts);
}

TEST(many_without_memory)
{
	int failed = 0;
	begin(&(struct way){ 0 });
	int fds = count_fds(), links_before = count_links(), blocks_before = blocks;
	for (;; failed++) {
		errno = 0;
		allocations_until_failure = failed;
		struct ksyscall_links *links = attach_to_all_callers();
		int error = errno;
		bool was_enough = allocations_until_failure >= 0;
		allocations_until_failure = -1;
		if (was_enough) {
			CHECK(links);
			CHECK_EQ(ksyscall_links__count(links), 3);
			CHECK(fires(&p, ON_ENTRY));
			CHECK_EQ(ksyscall_links__destroy(links), 0);
		} else {
			CHECK(!links);
			CHECK_EQ(error, ENOMEM);
		}
		CHECK(!fires(&p, ON_ENTRY));
		CHECK_EQ(count_fds(), fds);
		CHECK_EQ(count_links(), links_before);
		CHECK_EQ(blocks, blocks_before);
		if (was_enough)
			break;
	}
	/* The names, their outcomes, the plan, its addresses, the functions, the links, ... */
	CHECK(failed > 8);
	CHECK_EQ(__lsan_do_recoverable_leak_check(), 0);
	finish();
}

TEST(the_functions_of_a_call_without_memory)
{
	enum { KEPT = 2 }; /* the list of functions, and what holds it */
	const char *function = NULL;
	int fds = count_fds(), blocks_before = blocks, failed = 0;
	for (; !function; failed++) {
		errno = 0;
		allocations_until_failure = failed;
		function = ksyscall__function(CALL, KSYSCALL_CALLERS_ALL, 1);
		int error = errno;
		allocations_until_failure = -1;
		if (!function)
			CHECK_EQ(error, ENOMEM);
		CHECK_EQ(count_fds(), fds);
		CHECK(blocks == blocks_before || blocks == blocks_before + KEPT);
	}
	CHECK_EQ(blocks, blocks_before + KEPT);
	CHECK_TEXT(function, "__ia32_sys_" CALL);
	CHECK(failed > 8);
	CHECK_EQ(__lsan_do_recoverable_leak_check(), 0);
}

MAIN
