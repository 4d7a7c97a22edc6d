/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A small test harness. TEST(name) { ... } registers a test. Each test runs in a separate
 * process: a crash is a failure, libraries keep no state between tests, and no change to mounts,
 * limits or the user ID outlives the test. A test fails if it leaves open fds, BPF links or
 * kprobe_events entries. The output is TAP 13, which testing/results.py reads.
 */
#ifndef TEST_H
#define TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/bpf.h>

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

static struct test *tests, **tests_end __attribute__((unused)) = &tests;

#define TEST(id)                                                     \
	static void test_##id(void);                                 \
	__attribute__((constructor)) static void register_##id(void) \
	{                                                            \
		static struct test test = { #id, test_##id, NULL };  \
		*tests_end = &test;                                  \
		tests_end = &test.next;                              \
	}                                                            \
	static void test_##id(void)

enum { PASSED = 0, FAILED = 1, SKIPPED = 77 };

/* The fd to which end() writes the reason: a pipe in a test's process, otherwise stderr. */
static int reason_fd = STDERR_FILENO;

/* Writes the reason and ends the process. If IN_CHILD() created this process, the test ends the same way. */
__attribute__((noreturn, format(printf, 2, 3))) static inline void end(int status, const char *format, ...)
{
	char reason[1024];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	if (length >= (int)sizeof(reason))
		length = sizeof(reason) - 1;
	ssize_t written = write(reason_fd, reason, (size_t)length);
	(void)written;
	_exit(status);
}

#define FAIL(format, ...) end(FAILED, "%s:%d: " format, __FILE__, __LINE__, ##__VA_ARGS__)
#define SKIP(...) end(SKIPPED, __VA_ARGS__)

#define CHECK(condition)                                                               \
	do {                                                                           \
		errno = 0;                                                             \
		if (!(condition))                                                      \
			FAIL("%s (errno %d: %s)", #condition, errno, strerror(errno)); \
	} while (0)

#define CHECK_EQ(is, should)                                                           \
	do {                                                                           \
		long long is_ = (long long)(is), should_ = (long long)(should);        \
		if (is_ != should_)                                                    \
			FAIL("%s is %lld, not %s = %lld", #is, is_, #should, should_); \
	} while (0)

#define CHECK_TEXT(is, should)                                                            \
	do {                                                                              \
		const char *is_ = (is), *should_ = (should);                              \
		if (!is_ || strcmp(is_, should_) != 0)                                    \
			FAIL("%s is '%s', not '%s'", #is, is_ ? is_ : "(null)", should_); \
	} while (0)

#define CHECK_HAS(text, part)                                                    \
	do {                                                                     \
		const char *text_ = (text), *part_ = (part);                     \
		if (!strstr(text_, part_))                                       \
			FAIL("%s does not say '%s': '%s'", #text, part_, text_); \
	} while (0)

/* Checks that a function returns NULL and sets errno to `error`. */
#define CHECK_FAILS(call, error)                                                                 \
	do {                                                                                     \
		errno = 0;                                                                       \
		const void *result_ = (call);                                                    \
		int errno_ = errno;                                                              \
		if (result_)                                                                     \
			FAIL("%s succeeded", #call);                                             \
		if (errno_ != (error))                                                           \
			FAIL("%s: errno %d (%s), not " #error, #call, errno_, strerror(errno_)); \
	} while (0)

/* Runs `body` in a child process; fails the test unless the child passes. */
#define IN_CHILD(body)                     \
	do {                               \
		pid_t child_ = fork();     \
		CHECK(child_ >= 0);        \
		if (child_ == 0) {         \
			alarm(TIME_LIMIT); \
			body;              \
			_exit(PASSED);     \
		}                          \
		ends_well(child_);         \
	} while (0)

/*
 * Seconds after which a test counts as hung. The guest's clock also runs while the host's processors have other
 * work, so this is many times what the slowest test needs (each.c: 40 s).
 */
enum { TIME_LIMIT = 600 };

static inline void ends_well(pid_t child)
{
	int status;
	if (waitpid(child, &status, 0) != child)
		FAIL("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status))
		FAIL("the child was ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) != PASSED)
		_exit(WEXITSTATUS(status));
}

/* Forks a child that keeps its copies of the fds open until the caller closes `release`. */
static inline pid_t fork_a_keeper(int *release)
{
	int wait[2];
	char byte;
	CHECK(pipe(wait) == 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		alarm(TIME_LIMIT);
		close(wait[1]);
		_exit(read(wait[0], &byte, 1) == 0 ? PASSED : FAILED);
	}
	close(wait[0]);
	*release = wait[1];
	return child;
}

/* Runs `body` and stores in the array `text` what it prints to stderr. */
#define CAPTURE_STDERR(text, body)                                                             \
	do {                                                                                   \
		int stderr_ = dup(STDERR_FILENO), said_[2];                                    \
		CHECK(stderr_ >= 0 && pipe(said_) == 0 && dup2(said_[1], STDERR_FILENO) >= 0); \
		body;                                                                          \
		CHECK(dup2(stderr_, STDERR_FILENO) >= 0);                                      \
		close(stderr_), close(said_[1]);                                               \
		ssize_t length_ = read(said_[0], text, sizeof(text) - 1);                      \
		CHECK(length_ >= 0);                                                           \
		text[length_] = 0;                                                             \
		close(said_[0]);                                                               \
	} while (0)

static inline int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;
	if (!dir)
		FAIL("/proc/self/fd: %s", strerror(errno));
	while (readdir(dir))
		count++;
	closedir(dir);
	/* Exclude `.`, `..` and the directory's own fd. */
	return count - 3;
}

/* Counts the BPF links in the whole system. Not every test uses libbpf, so this function uses bpf(2). */
static inline int count_links(void)
{
	union bpf_attr attr = { 0 };
	int count = 0;
	while (syscall(SYS_bpf, BPF_LINK_GET_NEXT_ID, &attr, sizeof(attr)) == 0) {
		attr.start_id = attr.next_id;
		count++;
	}
	return count;
}

/* Counts the lines of a kprobe_events file that contain `part`; returns 0 if there is no such file. */
static inline int count_entries(const char *path, const char *part)
{
	FILE *file = fopen(path, "re");
	char line[512];
	int count = 0;
	while (file && fgets(line, sizeof(line), file))
		count += strstr(line, part) != NULL;
	if (file)
		fclose(file);
	return count;
}

#define KPROBE_EVENTS "/sys/kernel/tracing/kprobe_events"

/* Replaces a file's content; returns false on an error. */
static inline bool write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	return file && fputs(text, file) >= 0 && fclose(file) == 0;
}

static inline bool kernel_is_at_least(int major, int minor)
{
	struct utsname kernel;
	int have_major = 0, have_minor = 0;
	uname(&kernel);
	sscanf(kernel.release, "%d.%d", &have_major, &have_minor);
	return have_major > major || (have_major == major && have_minor >= minor);
}

/* Linux 5.15 added cookies as well as BPF links for perf events. */
static inline bool has_perf_links(void)
{
	return kernel_is_at_least(5, 15);
}

/* The name of the executable or library that contains `function`. */
static inline const char *file_of(void *function)
{
	Dl_info info;
	return dladdr(function, &info) && info.dli_fname ? info.dli_fname : "(unknown)";
}

/* Loads a second copy of the library that contains `function`, as a plugin might. */
static inline void *open_copy(void *function)
{
	char path[] = "/tmp/libksyscall-XXXXXX";
	struct stat file;
	int from = open(file_of(function), O_RDONLY), to = mkstemp(path);
	CHECK(from >= 0 && to >= 0 && fstat(from, &file) == 0);
	CHECK(sendfile(to, from, NULL, (size_t)file.st_size) == file.st_size);
	close(from);
	close(to);
	void *copy = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!copy)
		FAIL("%s", dlerror());
	CHECK(unlink(path) == 0);
	return copy;
}

#ifdef STATIC
/* With --wrap, the linker resolves this name to libbpf's own function, which old versions lack. */
extern char __real_bpf_program__attach_ksyscall[] __attribute__((weak));

static inline bool is_ours(void *function)
{
	return function && function != (void *)__real_bpf_program__attach_ksyscall;
}
#else
static inline bool is_ours(void *function)
{
	return strstr(file_of(function), "/libksyscall.so.1");
}
#endif

static int results;

/* Prints a test's result and, unless it passed, the reason. */
__attribute__((format(printf, 3, 4))) static inline int say(int result, const char *name, const char *format,
							    ...)
{
	char reason[1100];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	if (!results++)
		puts("TAP version 13");
	printf("%s %d - %s", result == FAILED ? "not ok" : "ok", results, name);
	if (result == SKIPPED)
		printf(" # SKIP %s", reason);
	putchar('\n');
	if (result == FAILED)
		for (char *line = strtok(reason, "\n"); line; line = strtok(NULL, "\n"))
			printf("# %s\n", line);
	return result;
}

static inline int run_test(const struct test *test)
{
	int reason[2];
	char text[1024] = "";
	int entries = count_entries(KPROBE_EVENTS, "");
	if (pipe(reason) != 0) {
		perror("pipe");
		exit(FAILED);
	}
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		close(reason[0]);
		reason_fd = reason[1];
		alarm(TIME_LIMIT);
		int fds = count_fds(), links = count_links();
		test->run();
		if (count_fds() != fds)
			FAIL("%d fds are open, before it were %d", count_fds(), fds);
		if (count_links() != links)
			FAIL("%d BPF links are there, before it were %d", count_links(), links);
		_exit(PASSED);
	}
	close(reason[1]);
	size_t length = 0;
	ssize_t got;
	while ((got = read(reason[0], text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)got;
	close(reason[0]);
	int status = 0;
	waitpid(child, &status, 0);
	int left = count_entries(KPROBE_EVENTS, "");
	/* Remove the entries that are not in use, so that they do not make the next test fail. */
	if (left != entries)
		write_file(KPROBE_EVENTS, "");
	if (WIFSIGNALED(status))
		return say(FAILED, test->name, "ended by signal %d%s", WTERMSIG(status),
			   WTERMSIG(status) == SIGALRM ? " (hung)" : "");
	if (WEXITSTATUS(status) == SKIPPED)
		return say(SKIPPED, test->name, "%s", text);
	if (WEXITSTATUS(status) != PASSED)
		return say(FAILED, test->name, "%s", text);
	if (left != entries)
		return say(FAILED, test->name, "kprobe_events has %d entries, before it had %d", left,
			   entries);
	return say(PASSED, test->name, "%s", "");
}

/*
 * Runs all tests, or only those named in `argv`. `function` is the function under test as this program
 * resolves it. The first result reports whether this library defines that function: if not, the tests would
 * test libbpf.
 */
static inline int run_tests(int argc, char **argv, void *function)
{
	bool failed = false;
	if (!getenv("KSYSCALL_TEST_ANY_LIBRARY"))
		failed = say(is_ours(function) ? PASSED : FAILED, "this_library_answers",
			     "the function is in %s", file_of(function)) == FAILED;
	for (struct test *test = failed ? NULL : tests; test; test = test->next) {
		bool wanted = argc < 2;
		for (int i = 1; i < argc; i++)
			wanted |= strcmp(argv[i], test->name) == 0;
		if (wanted && run_test(test) == FAILED)
			failed = true;
	}
	printf("1..%d\n", results);
	return failed;
}

#endif
