/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests the parts of an attachment that differ between architectures: the layout of the options,
 * 64-bit cookies, registers and the kernel's link.
 */
#include "../test.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ksyscall.h>
#include "attach.h"

/* The C library never calls getpriority() by itself. The kernel rejects WHICH as invalid. */
#define CALL "getpriority"
enum { WHICH = 99, WHO = 0x12345678 };
static const __u64 COOKIE = 0x8123456789abcdefULL;

static volatile struct seen *seen;
static struct bpf_program *entry, *finish;
static bool has_cookies;

static __u32 count_of(int calls)
{
	__u32 before = seen->count;

	for (int n = 0; n < calls; n++)
		syscall(SYS_getpriority, WHICH, WHO);
	return seen->count - before;
}

static struct bpf_link *attach(const struct bpf_program *program, const char *name,
			       const struct bpf_ksyscall_opts *opts)
{
	seen->thread = getpid();
	errno = 0;
	return bpf_program__attach_ksyscall(program, name, opts);
}

TEST(runs_for_each_call_until_detached)
{
	struct bpf_link *link = attach(entry, CALL, NULL);

	CHECK(link);
	CHECK(bpf_link__fd(link) >= 0);
	CHECK(fcntl(bpf_link__fd(link), F_GETFD) & FD_CLOEXEC);
	CHECK(count_of(3) == 3);
	CHECK(bpf_link__destroy(link) == 0);
	CHECK(count_of(3) == 0);
}

TEST(sees_the_calls_argument)
{
	struct bpf_link *link = attach(entry, CALL, NULL);

	CHECK(link);
	CHECK(count_of(1) == 1);
	CHECK(seen->argument == WHO);
	CHECK(bpf_link__destroy(link) == 0);
}

TEST(sees_the_calls_result)
{
	LIBBPF_OPTS(bpf_ksyscall_opts, opts, .retprobe = true);
	struct bpf_link *link = attach(finish, CALL, &opts);

#ifdef __riscv
	/* Linux 6.12 does not support return probes on RISC-V, so the attach must fail. */
	if (!link && errno == EOPNOTSUPP)
		return;
#endif
	CHECK(link);
	CHECK(count_of(1) == 1);
	CHECK(seen->result == -EINVAL);
	CHECK(bpf_link__destroy(link) == 0);
}

TEST(cookie_has_64_bits)
{
	LIBBPF_OPTS(bpf_ksyscall_opts, opts, .bpf_cookie = COOKIE);
	struct bpf_link *link = attach(entry, CALL, &opts);

	/* On a kernel without cookies, the attach must fail. */
	if (!has_cookies && !link && errno == EOPNOTSUPP)
		return;
	CHECK(has_cookies && link);
	CHECK(count_of(1) == 1);
	CHECK(seen->cookie == COOKIE);
	CHECK(bpf_link__destroy(link) == 0);
}

/* Attaches with options of `size` bytes that end at an unreadable page. */
static struct bpf_link *attach_with(const void *bytes, size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* Place the options as close to the end of the page as their alignment allows. */
	size_t place = page - (size + 7) / 8 * 8;

	CHECK(pages != MAP_FAILED);
	CHECK(mprotect(pages + page, page, PROT_NONE) == 0);
	memcpy(pages + place, bytes, size);
	return attach(entry, CALL, (void *)(pages + place));
}

TEST(options_are_read_up_to_their_size)
{
	const size_t whole = offsetof(struct bpf_ksyscall_opts, retprobe) + sizeof(bool);
	union {
		struct bpf_ksyscall_opts opts;
		char bytes[2 * sizeof(struct bpf_ksyscall_opts)];
	} given = { 0 };
	struct bpf_link *link;

	/* `sz` is smaller than the `sz` field itself. */
	given.opts.sz = sizeof(size_t) - 1;
	CHECK(!attach_with(&given, sizeof(size_t)) && errno == EINVAL);
	/* `sz` covers only itself. */
	given.opts.sz = sizeof(size_t);
	CHECK(link = attach_with(&given, sizeof(size_t)));
	CHECK(bpf_link__destroy(link) == 0);
	/* One byte short of the end of the last field: the library ignores that field. */
	given.opts.sz = whole - 1;
	given.opts.retprobe = true;
	CHECK(link = attach_with(&given, whole - 1));
	CHECK(count_of(1) == 1);
	CHECK(seen->argument == WHO);
	CHECK(bpf_link__destroy(link) == 0);
	/* The whole structure, first alone and then followed by zeros. */
	given.opts.retprobe = false;
	given.opts.sz = whole;
	CHECK(link = attach_with(&given, whole));
	CHECK(bpf_link__destroy(link) == 0);
	given.opts.sz = sizeof(given);
	CHECK(link = attach_with(&given, sizeof(given)));
	CHECK(bpf_link__destroy(link) == 0);
	/* An unknown option. */
	given.bytes[whole] = 1;
	CHECK(!attach_with(&given, sizeof(given)) && errno == EINVAL);
	given.opts.sz = whole;
	CHECK(link = attach_with(&given, sizeof(given)));
	CHECK(bpf_link__destroy(link) == 0);
}

TEST(unknown_name_is_refused)
{
	CHECK(!attach(entry, "frobnicate", NULL) && errno == ENOENT);
	CHECK(!attach(entry, "getpriority\n", NULL) && errno == EINVAL);
}

/* Attaches by `name`; the program must run once when call `number` is made once. */
static void fires_for(const char *name, long number)
{
	struct bpf_link *link = attach(entry, name, NULL);
	__u32 before = seen->count;

	if (!link)
		FAIL("%s: %s", name, strerror(errno));
	syscall(number, -1, -1, -1, -1, -1, -1);
	if (seen->count != before + 1)
		FAIL("%s ran %u times", name, seen->count - before);
	CHECK(bpf_link__destroy(link) == 0);
}

/*
 * Alternative names of calls (old, prefixed or from other architectures), with the calls' numbers on this
 * architecture.
 */
static const struct {
	const char *name;
	long number;
} spellings[] = {
	{ "__NR_" CALL, SYS_getpriority },
	{ "SYS_" CALL, SYS_getpriority },
	{ "sys_" CALL, SYS_getpriority },
#if defined(__NR_umount) && !defined(__powerpc64__) /* on powerpc64, no call has this number */
	{ "umount", __NR_umount },
#else
	{ "umount", __NR_umount2 },
#endif
#ifdef __NR_stat
	{ "newstat", __NR_stat },
#endif
#ifdef __NR_newfstatat
	{ "newfstatat", __NR_newfstatat },
	{ "fstatat64", __NR_newfstatat },
#else
	{ "newfstatat", __NR_fstatat64 },
	{ "fstatat64", __NR_fstatat64 },
#endif
#ifdef __NR__llseek
	{ "_llseek", __NR__llseek },
	{ "llseek", __NR__llseek },
#else
	{ "_llseek", __NR_lseek },
	{ "llseek", __NR_lseek },
#endif
#ifdef __NR_ugetrlimit
	{ "ugetrlimit", __NR_ugetrlimit },
#else
	{ "ugetrlimit", __NR_getrlimit },
#endif
#if defined(__NR_chown32)
	{ "chown32", __NR_chown32 },
#elif defined(__NR_chown)
	{ "chown32", __NR_chown },
#endif
#ifdef __NR_clock_gettime64
	{ "clock_gettime64", __NR_clock_gettime64 },
#else
	{ "clock_gettime64", __NR_clock_gettime },
#endif
	{ "pread64", __NR_pread64 },
	{ "pread", __NR_pread64 },
#ifdef __NR_sendfile64
	{ "sendfile64", __NR_sendfile64 },
#else
	{ "sendfile64", __NR_sendfile },
#endif
};

TEST(other_spellings_lead_to_the_call)
{
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
		fires_for(spellings[i].name, spellings[i].number);
}

/*
 * In a process's first attach, the library detects how the kernel names its functions. Each of these calls
 * has a function in both 32-bit and 64-bit kernels.
 */
TEST(any_call_can_be_the_first)
{
#ifdef __NR_truncate64
	static const char *const names[] = { "truncate64", "ioctl", CALL };
	static const long numbers[] = { __NR_truncate64, __NR_ioctl, SYS_getpriority };
#else
	static const char *const names[] = { "truncate", "ioctl", CALL };
	static const long numbers[] = { __NR_truncate, __NR_ioctl, SYS_getpriority };
#endif

	for (int i = 0; i < 3; i++)
		fires_for(names[i], numbers[i]);
}

TEST(pinned_link_outlives_its_handle)
{
	const char *path = "/sys/fs/bpf/ksyscall-matrix";
	struct bpf_link *link = attach(entry, CALL, NULL);

	CHECK(link);
	if (!has_cookies) {
		/* Without BPF links for perf events, there is nothing to pin. */
		CHECK(bpf_link__pin(link, path) != 0);
		CHECK(access(path, F_OK) != 0);
		CHECK(bpf_link__destroy(link) == 0);
		return;
	}
	CHECK(bpf_link__pin(link, path) == 0);
	CHECK(!strcmp(bpf_link__pin_path(link), path));
	CHECK(bpf_link__destroy(link) == 0);
	CHECK(count_of(1) == 1);
	link = bpf_link__open(path);
	CHECK(link);
	CHECK(bpf_link__unpin(link) == 0);
	CHECK(count_of(1) == 1);
	CHECK(bpf_link__destroy(link) == 0);
	CHECK(count_of(1) == 0);
}

TEST(works_by_tracefs)
{
	LIBBPF_OPTS(bpf_ksyscall_opts, opts, .bpf_cookie = has_cookies ? COOKIE : 0);
	struct bpf_link *link;

	/* Hide the kprobe PMU. */
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("none", "/sys/bus/event_source", "tmpfs", 0, NULL) == 0);
	CHECK(count_entries(KPROBE_EVENTS, "") == 0);
	link = attach(entry, CALL, &opts);
	CHECK(link);
	CHECK(count_entries(KPROBE_EVENTS, "") == 1);
	CHECK(count_of(3) == 3);
	CHECK(seen->argument == WHO);
	CHECK(!has_cookies || seen->cookie == COOKIE);
	CHECK(bpf_link__destroy(link) == 0);
	CHECK(count_entries(KPROBE_EVENTS, "") == 0);
	CHECK(count_of(1) == 0);
	CHECK(!attach(entry, "frobnicate", NULL) && errno == ENOENT);
	CHECK(count_entries(KPROBE_EVENTS, "") == 0);
}

/*
 * On some architectures, one stub function serves all calls that the kernel's configuration disables. The
 * library recognises these calls in the kernel's list of symbols. If the list is incomplete, the library must
 * not guess.
 */
TEST(a_truncated_list_of_symbols_is_not_used)
{
#if defined(__s390x__) || defined(__powerpc__)
	const bool depends = true;
#elif defined(__arm__)
	/* A 64-bit kernel has a separate stub for each call. */
	struct utsname kernel;
	const bool depends = uname(&kernel) == 0 && strncmp(kernel.machine, "armv7", 5) == 0;
#else
	const bool depends = false;
#endif
	/* This call is optional in the kernel's configuration, but all tested kernels support it. */
	const char *name = "epoll_create1";
	struct bpf_link *link;

	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(write_file("/tmp/kallsyms", "c0112358 W sys_mbind\n"));
	CHECK(mount("/tmp/kallsyms", "/proc/kallsyms", NULL, MS_BIND, NULL) == 0);
	link = attach(entry, name, NULL);
	int error = errno;
	CHECK(depends ? !link && error == ENODATA : link != NULL);
	CHECK(!link || bpf_link__destroy(link) == 0);
	/* The failure is not cached. */
	CHECK(umount2("/proc/kallsyms", MNT_DETACH) == 0);
	CHECK(link = attach(entry, name, NULL));
	CHECK(bpf_link__destroy(link) == 0);
}

/* On kernels without an architecture prefix, the names of some unrelated functions also begin with sys_. */
TEST(a_function_of_no_call_is_not_used)
{
	CHECK(!attach(entry, "fillrect", NULL) && errno == ENOENT);
	CHECK(!attach(entry, "sys_fillrect", NULL) && errno == ENOENT);
}

#if !defined(__x86_64__) && !defined(__i386__) /* since Linux 6.5, CPU 0 cannot go offline on x86 */
TEST(works_while_cpu_0_is_offline)
{
	const char *online = "/sys/devices/system/cpu/cpu0/online";
	struct bpf_link *link;

	if (access(online, W_OK) != 0)
		SKIP("CPU 0 cannot be taken offline here");
	if (!write_file(online, "0"))
		SKIP("CPU 0 does not go offline: %s", strerror(errno));
	link = attach(entry, CALL, NULL);
	CHECK(write_file(online, "1"));
	CHECK(link);
	CHECK(count_of(3) == 3);
	CHECK(bpf_link__destroy(link) == 0);
}
#endif

static bool load(const char *path, bool with_cookies)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	size_t size;
	bool *constant;

	if (!object)
		return false;
	constant = (void *)bpf_map__initial_value(bpf_object__find_map_by_name(object, ".rodata"), &size);
	if (!constant || size != sizeof(*constant))
		return false;
	*constant = has_cookies = with_cookies;
	if (bpf_object__load(object)) {
		bpf_object__close(object);
		return false;
	}
	entry = bpf_object__find_program_by_name(object, "entry");
	finish = bpf_object__find_program_by_name(object, "finish");
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED,
		    bpf_object__find_map_fd_by_name(object, "state"), 0);
	return seen != MAP_FAILED;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: attach OBJECT [TEST]...\n");
		return 2;
	}
	libbpf_set_print(NULL);
	/* The first load fails if the kernel does not support cookies (before Linux 5.15). */
	if (!load(argv[1], true) && !load(argv[1], false)) {
		perror(argv[1]);
		return 1;
	}
	return run_tests(argc - 1, argv + 1, (void *)bpf_program__attach_ksyscall);
}
