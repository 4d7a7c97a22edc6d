/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests ksyscall_link__destroy_all() with every kind of link that libbpf creates. libbpf's code
 * must run only in the calling thread and handle the links in order. Other threads may only wait
 * for the kernel to remove kprobes.
 */
#include "messages.h"
#include "programs.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sys/resource.h>

EMBED(destroy, BPF_FOLDER "/destroy.bpf.o");
EMBED(ops, BPF_FOLDER "/ops.bpf.o");

#define UPROBE_EVENTS "/sys/kernel/tracing/uprobe_events"
enum { MOST = 24 };

/* A function with a USDT probe; the ELF note is in the format that <sys/sdt.h> emits. */
__attribute__((noinline)) void probed(void);
void probed(void)
{
	__asm__ volatile("990:	nop\n"
			 "	.pushsection .note.stapsdt, \"\", \"note\"\n"
			 "	.balign 4\n"
			 "	.4byte 992f - 991f, 994f - 993f, 3\n"
			 "991:	.asciz \"stapsdt\"\n"
			 "992:	.balign 4\n"
			 "993:	.8byte 990b, probe_base, 0\n"
			 "	.asciz \"ksyscall\"\n"
			 "	.asciz \"probed\"\n"
			 "	.asciz \"\"\n"
			 "994:	.balign 4\n"
			 "	.popsection\n"
			 "	.pushsection .stapsdt.base, \"a\"\n"
			 "probe_base: .space 1\n"
			 "	.popsection\n" ::
				 : "memory");
}

/* The thread that calls destroy_all(), and the fds that libbpf closes during that call. */
static pid_t thread;
static bool is_destroying;
static int closed[4 * MOST], closed_count;
/* The number of BPF links in the kernel after libbpf's last close(). */
static int links_left;

/* Intercepts libbpf's close(); the library under test makes the system call directly. */
int close(int fd)
{
	if (is_destroying) {
		if (syscall(SYS_gettid) != thread)
			FAIL("another thread runs code of libbpf's");
		CHECK(closed_count < 4 * MOST);
		closed[closed_count++] = fd;
		/* The C library's close() is a cancellation point. */
		pthread_testcancel();
	}
	int result = (int)syscall(SYS_close, fd);
	if (is_destroying)
		links_left = count_links();
	return result;
}

static int check_thread(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level, (void)format, (void)arguments;
	if (syscall(SYS_gettid) != thread)
		FAIL("another thread calls the print callback");
	return 0;
}

static void destroy(struct bpf_link **links, size_t n)
{
	thread = (pid_t)syscall(SYS_gettid);
	libbpf_set_print(check_thread);
	closed_count = 0;
	is_destroying = true;
	CHECK_EQ(ksyscall_link__destroy_all(links, n), 0);
	is_destroying = false;
	for (size_t i = 0; i < n; i++)
		CHECK(!links[i]);
}

/* The position of `fd` among the fds that libbpf closed, or -1. */
static int place_of(int fd)
{
	for (int i = 0; i < closed_count; i++)
		if (closed[i] == fd)
			return i;
	return -1;
}

/* Loads one program of the object; skips the test if the kernel or libbpf does not support it. */
static struct programs load_one(const char *name)
{
	struct programs p = { .object = open_object(start_destroy, end_destroy) };
	struct bpf_program *wanted = program(&p, name);
	CHECK_EQ(bpf_program__set_autoload(wanted, true), 0);
	if (bpf_program__type(wanted) == BPF_PROG_TYPE_UNSPEC)
		SKIP("this libbpf does not know the section of %s", name);
	libbpf_set_print(NULL);
	int error = bpf_object__load(p.object);
	if (error)
		SKIP("this kernel loads no %s: %s", name, strerror(-error));
	p.calls = watch(p.object);
	return p;
}

/*
 * TOGETHER: the links stay in the kernel until libbpf has closed all of them.
 * EACH: each close() in libbpf detaches one link and waits until the kernel has detached it.
 */
enum waits { TOGETHER, EACH };

/*
 * Destroys `count` libbpf links, mixed with links of this library and NULL entries.
 * `attach` creates one libbpf link or skips the test.
 */
static void destroy_mixed(struct bpf_link *(*attach)(const struct programs *), const char *name, int count,
			  enum waits waits)
{
	static struct bpf_link *links[3 * MOST];
	int fds[MOST], own[MOST], before_all = count_fds();
	struct programs p = load_one(name), ours = LOAD(count);
	int before = count_fds(), links_before = count_links();
	for (int i = 0; i < count; i++) {
		links[3 * i] = attach(&p);
		links[3 * i + 1] = NULL;
		links[3 * i + 2] = i % 8 ? NULL : ATTACH(program(&ours, "on_entry"), CALL, NULL);
		fds[i] = bpf_link__fd(links[3 * i]);
		own[i] = links[3 * i + 2] ? bpf_link__fd(links[3 * i + 2]) : -1;
	}
	int attached = count_links() - links_before;
	make_calls(1);
	CHECK_EQ(counted(&ours, ON_ENTRY), (count + 7) / 8);
	destroy(links, 3 * (size_t)count);
	CHECK(!fires(&ours, ON_ENTRY));
	CHECK_EQ(count_fds(), before);
	CHECK_EQ(count_links(), links_before);
	CHECK(closed_count >= count);
	/* libbpf closes its own links in list order, and never closes this library's links. */
	for (int i = 0, last = -1; i < count && waits == TOGETHER; i++) {
		CHECK(place_of(fds[i]) > last);
		last = place_of(fds[i]);
		CHECK(own[i] < 0 || place_of(own[i]) < 0);
	}
	/* After libbpf's last close(), either all links or only this library's links are left. */
	int ours_attached = (count + 7) / 8;
	if (has_perf_links())
		CHECK_EQ(links_left - links_before, waits == TOGETHER ? attached : ours_attached);
	unload(&p);
	unload(&ours);
	CHECK_EQ(count_fds(), before_all);
}

#define DESTROYS(id, attach, program, count, waits)           \
	TEST(id)                                              \
	{                                                     \
		destroy_mixed(attach, program, count, waits); \
	}
/* Without BPF links for perf events, each close() in libbpf waits for its link to be detached. */
#define IF_LINKS (has_perf_links() ? TOGETHER : EACH)

static struct bpf_program *only(const struct programs *p)
{
	struct bpf_program *prog;
	bpf_object__for_each_program(prog, p->object)
		if (bpf_program__autoload(prog))
			return prog;
	FAIL("no program is loaded");
}

static struct bpf_link *works(struct bpf_link *link)
{
	int error = errno;
	if (!link || libbpf_get_error(link))
		FAIL("libbpf's attach: %s", strerror(error));
	return link;
}

static struct bpf_link *by_section(const struct programs *p)
{
	return works(bpf_program__attach(only(p)));
}

DESTROYS(kprobes, by_section, "on_kprobe", MOST, IF_LINKS)
DESTROYS(kretprobes, by_section, "on_kretprobe", MOST, IF_LINKS)

static struct bpf_link *if_there_are(const struct programs *p)
{
	struct bpf_link *link = bpf_program__attach(only(p));
	if (!link)
		SKIP("this kernel has no such links: %s", strerror(errno));
	return link;
}

DESTROYS(kprobe_multi_links, if_there_are, "on_kprobe_multi", 8, TOGETHER)
DESTROYS(uprobes, by_section, "on_uprobe", MOST, IF_LINKS)
DESTROYS(uretprobes, by_section, "on_uretprobe", MOST, IF_LINKS)
DESTROYS(uprobe_multi_links, if_there_are, "on_uprobe_multi", MOST, EACH)

/* Destroying a USDT link changes state that all USDT links of the object share. */
TEST(usdts)
{
	if (!has_perf_links())
		SKIP("without cookies libbpf attaches to no USDT of a position-independent program");
	for (int round = 0; round < 4; round++)
		destroy_mixed(by_section, "on_usdt", MOST, EACH);
}

DESTROYS(tracepoints, by_section, "on_tracepoint", 1, IF_LINKS)

/* On Linux 6.1, a program can have only one raw tracepoint or fentry link. */
DESTROYS(raw_tracepoints, by_section, "on_raw_tracepoint", 1, EACH)
DESTROYS(fentry, by_section, "on_fentry", 1, EACH)
DESTROYS(iterators, by_section, "on_iterator", MOST, EACH)

static struct bpf_link *to_software_clock(const struct programs *p)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof(attr),
					.config = PERF_COUNT_SW_CPU_CLOCK,
					.sample_period = 1000000000 };
	int event = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	CHECK(event >= 0);
	return works(bpf_program__attach_perf_event(only(p), event));
}

DESTROYS(perf_events, to_software_clock, "on_event", 16, IF_LINKS)

static int cgroup;

static struct bpf_link *to_cgroup(const struct programs *p)
{
	return works(bpf_program__attach_cgroup(only(p), cgroup));
}

TEST(cgroups)
{
	own_mounts();
	CHECK(mount("none", "/tmp", "cgroup2", 0, NULL) == 0);
	cgroup = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(cgroup >= 0);
	destroy_mixed(to_cgroup, "on_egress", 16, EACH);
	close(cgroup);
}

static struct bpf_link *to_loopback(const struct programs *p)
{
	return works(bpf_program__attach_xdp(only(p), 1));
}

DESTROYS(xdp, to_loopback, "on_packet", 1, EACH)

TEST(maps_of_struct_ops)
{
	struct programs p = LOAD(ops);
	struct bpf_link *links[2] = { NULL };
	links[1] = works(bpf_map__attach_struct_ops(bpf_object__find_map_by_name(p.object, "control")));
	destroy(links, 2);
	unload(&p);
}

/* libbpf cannot remove the event's tracefs entry while anything still uses the event. */
TEST(tracefs_probes)
{
	static const char *const names[] = { "on_kprobe", "on_kretprobe", "on_uprobe", "on_uretprobe" };
	hide_the_pmu();
	for (size_t kind = 0; kind < sizeof(names) / sizeof(names[0]); kind++) {
		struct bpf_link *links[8];
		struct programs p = load_one(names[kind]);
		struct programs ours = LOAD(count);
		/* Use one libbpf link, because libbpf 1.1 cannot create two tracefs uprobes at one offset. */
		links[0] = by_section(&p);
		for (int i = 1; i < 8; i++)
			links[i] = i % 2 ? NULL : ATTACH(program(&ours, "on_entry"), CALL, NULL);
		CHECK_EQ(count_entries(KPROBE_EVENTS, "") + count_entries(UPROBE_EVENTS, ""), 4);
		destroy(links, 8);
		CHECK_EQ(count_entries(KPROBE_EVENTS, ""), 0);
		CHECK_EQ(count_entries(UPROBE_EVENTS, ""), 0);
		unload(&p);
		unload(&ours);
	}
}

static struct bpf_link *links_of_cancelled[4];

static void *cancel_and_destroy(void *unused)
{
	pthread_cancel(pthread_self());
	destroy(links_of_cancelled, 4);
	pthread_testcancel();
	return unused;
}

/* The cancellation takes effect only after all links are destroyed. */
TEST(a_cancelled_thread_destroys_all)
{
	struct programs p = load_one("on_kprobe"), ours = LOAD(count);
	pthread_t cancelled;
	void *result;
	for (int i = 0; i < 4; i++)
		links_of_cancelled[i] = i % 2 ? ATTACH(program(&ours, "on_entry"), CALL, NULL)
					      : by_section(&p);
	CHECK(pthread_create(&cancelled, NULL, cancel_and_destroy, NULL) == 0);
	CHECK(pthread_join(cancelled, &result) == 0);
	CHECK(result == PTHREAD_CANCELED);
	CHECK(closed_count >= 2);
	for (int i = 0; i < 4; i++)
		CHECK(!links_of_cancelled[i]);
	unload(&p);
	unload(&ours);
}

/* If the library cannot duplicate a link's fd, libbpf closes the link's last fd and waits. */
TEST(no_descriptor_is_left_for_a_copy)
{
	struct programs p = load_one("on_kprobe");
	struct bpf_link *links[2] = { by_section(&p), by_section(&p) };
	struct rlimit old, none = { 0 };
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	none.rlim_max = old.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	int before = count_links();
	destroy(links, 2);
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	CHECK(links_left < before || !has_perf_links());
	CHECK(!fires(&p, ON_ENTRY));
	unload(&p);
}

TEST(a_disconnected_link_stays_attached)
{
	struct programs p = load_one("on_raw_tracepoint"), ours = LOAD(count);
	struct bpf_link *links[] = { ATTACH(program(&ours, "on_entry"), CALL, NULL), by_section(&p) };
	enum { COUNT = sizeof(links) / sizeof(links[0]) };
	int fds[COUNT];
	for (int i = 0; i < COUNT; i++) {
		fds[i] = bpf_link__fd(links[i]);
		bpf_link__disconnect(links[i]);
	}
	destroy(links, COUNT);
	CHECK(fires(&ours, ON_ENTRY));
	/* The raw tracepoint counts every system call of this thread, including those that read the count. */
	__u64 seen_before = counted(&p, ON_ENTRY);
	CHECK(counted(&p, ON_ENTRY) > seen_before);
	for (int i = 0; i < COUNT; i++)
		CHECK(close(fds[i]) == 0);
	unload(&p);
	unload(&ours);
}

MAIN
