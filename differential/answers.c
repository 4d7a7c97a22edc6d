/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Asks bpf_program__attach_ksyscall() many questions and prints a line for each:
 * the case, a tab, and the answer in parts. Which library answers is the first
 * line's. Nothing is judged here: `compare` does, with the lines of two libraries.
 *
 * A case is named SITUATION/PROGRAM/NAME/OPTIONS or options/CLASS/SIZE or
 * GROUP/QUESTION. Each situation is a process of its own, which has not attached
 * before, unless the situation says so.
 */
#include "../c-tests/programs.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <setjmp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <linux/capability.h>
#include <linux/perf_event.h>

EMBED(auto, BPF_FOLDER "/auto.bpf.o");

static const __u64 SOME_COOKIE = 0x0102030405060706;

/* --- A kernel that takes everything, and what it was asked for ------------- */

/* While this is set, no probe is opened and no program attached, which is quick. */
static struct {
	bool plays;
	__u64 config;
	__u64 cookie;
} pretence;

/* libbpf and libksyscall both call the C library's syscall() and ioctl(). */
long syscall(long number, ...)
{
	static long (*real)(long, ...);
	va_list list;
	long a[6];
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (pretence.plays && number == SYS_perf_event_open) {
		pretence.config = ((const struct perf_event_attr *)a[0])->config;
		return dup(0);
	}
	if (pretence.plays && number == SYS_bpf && a[0] == BPF_LINK_CREATE) {
		pretence.cookie = ((const union bpf_attr *)a[1])->link_create.perf_event.bpf_cookie;
		return dup(0);
	}
	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	va_start(list, request);
	long argument = va_arg(list, long);
	va_end(list);
	if (pretence.plays)
		return 0;
	return (int)syscall(SYS_ioctl, fd, request, argument);
}

/* --- Answers --------------------------------------------------------------- */

static char line[1024];

__attribute__((format(printf, 1, 2))) static void begin(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	strcat(line, "\t");
}

__attribute__((format(printf, 1, 2))) static void part(const char *format, ...)
{
	size_t length = strlen(line);
	va_list list;
	if (line[length - 1] != '\t')
		length += (size_t)snprintf(line + length, sizeof(line) - length, ", ");
	va_start(list, format);
	vsnprintf(line + length, sizeof(line) - length, format, list);
	va_end(list);
}

static void finish(void)
{
	puts(line);
	line[0] = 0;
}

static const char *errno_name(int error)
{
	return error ? strerrorname_np(error) : "no errno";
}

/* What a function of libbpf returned that answers 0 or a negative errno, once -1 and errno. */
static const char *outcome(int result)
{
	static char text[32];
	if (result < 0)
		return errno_name(result == -1 ? errno : -result);
	snprintf(text, sizeof(text), "%d", result);
	return text;
}

/* The number that the next fd would have: it tells of one that was left open below. */
static int next_fd(void)
{
	int fd = dup(0);
	close(fd);
	return fd;
}

/* Open from the start, for where no mount leads there. */
static int events_fd = -1;

static int entries(void)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", events_fd);
	return count_entries(path, "");
}

/* --- Programs -------------------------------------------------------------- */

static struct {
	/* With programs that read their cookie, where the kernel has cookies. */
	struct programs probes;
	struct programs others;
	struct programs closed;
	struct bpf_object *unloaded;
	bool cookies;
} loaded;

enum { HIGH_FD = 200 };

static void load_programs(void)
{
	loaded.cookies = has_perf_links();
	/* Of a closed program the number stays closed: no other fd comes to be so high. */
	while (dup(0) < HIGH_FD)
		;
	loaded.closed = LOAD(count);
	CHECK(close(bpf_program__fd(program(&loaded.closed, "on_entry"))) == 0);
	CHECK(close(bpf_program__fd(program(&loaded.closed, "on_return"))) == 0);
	for (int fd = 3; fd <= HIGH_FD; fd++)
		if (fd != events_fd)
			close(fd);
	loaded.probes = loaded.cookies ? LOAD(cookie) : LOAD(count);
	loaded.others = LOAD(count);
	loaded.unloaded = open_object(start_count, end_count);
}

static struct bpf_program *probe(bool retprobe)
{
	static const char *const names[2][2] = { { "on_entry", "on_return" },
						 { "on_entry_by_cookie", "on_return_by_cookie" } };
	return program(&loaded.probes, names[loaded.cookies][retprobe]);
}

static __u32 slot_of(__u64 cookie, bool retprobe)
{
	return loaded.cookies ? (__u32)(cookie % SLOTS) : retprobe ? ON_RETURN : ON_ENTRY;
}

/* How often the program runs when the call is made once. */
static int runs(__u32 slot, long number)
{
	static const struct calls none;
	CHECK(bpf_map_update_elem(loaded.probes.calls, &slot, &none, BPF_ANY) == 0);
	syscall(number, NOBODY, -1, -1, -1, -1, -1);
	return (int)counted(&loaded.probes, slot);
}

/* --- One attach ------------------------------------------------------------ */

struct question {
	struct bpf_program *prog;
	const char *name;
	const struct bpf_ksyscall_opts *opts;
	/* What the program should see. */
	long number;
	__u64 cookie;
	bool retprobe;
};

/* Of open fds: what holds, and what holds during the attach. */
static struct rlimit usual_limit, attach_limit;

static void set_limit(const struct rlimit *limit)
{
	CHECK(setrlimit(RLIMIT_NOFILE, limit) == 0);
}

/* While attaching, no more than these fds can be opened. The lowest unused number counts. */
static void leave_fds(int count)
{
	attach_limit.rlim_cur = (rlim_t)(next_fd() + count);
}

/* Attaches, says what that gave and did, and detaches. The line has begun. */
static void ask(const struct question *q)
{
	int fd = next_fd(), events = entries();
	__u32 slot = slot_of(q->cookie, q->retprobe);
	set_limit(&attach_limit);
	errno = 0;
	struct bpf_link *link = bpf_program__attach_ksyscall(q->prog, q->name, q->opts);
	int error = errno;
	set_limit(&usual_limit);
	if (link) {
		part("link");
		part("runs %d", runs(slot, q->number));
		struct calls calls = seen(&loaded.probes, slot);
		if (loaded.cookies)
			part("cookie %#llx", (unsigned long long)calls.cookie);
		if (q->number == SYS_getpgid && !q->retprobe)
			part("argument %#llx", (unsigned long long)calls.argument);
		if (q->number == SYS_getpgid && q->retprobe)
			part("result %lld", (long long)calls.result);
		part("destroy %s", outcome(bpf_link__destroy(link)));
		part("then runs %d", runs(slot, q->number));
	} else {
		part("%s", errno_name(error));
	}
	if (next_fd() != fd)
		part("leaves an fd");
	if (entries() != events)
		part("leaves a tracefs entry");
	finish();
}

static sigjmp_buf before_crash;

static void on_crash(int number)
{
	siglongjmp(before_crash, number);
}

/* A crash is an answer too. Where libbpf crashes it holds nothing that would stay behind. */
static void in_peril(void (*ask_it)(const struct question *), const struct question *q)
{
	struct sigaction action = { .sa_handler = on_crash }, old;
	CHECK(sigaction(SIGSEGV, &action, &old) == 0);
	int crash = sigsetjmp(before_crash, 1);
	if (crash == 0) {
		ask_it(q);
	} else {
		set_limit(&usual_limit);
		part("signal %d", crash);
		finish();
	}
	CHECK(sigaction(SIGSEGV, &old, NULL) == 0);
}

/* --- Every combination of program, name and options ------------------------ */

static char long_names[6][4001];

static struct {
	const char *label, *name;
} names[] = {
	{ "valid", CALL },
	{ "unknown", "no_such_call" },
	{ "empty", "" },
	{ "null", NULL },
	{ "63", long_names[0] },
	{ "64", long_names[1] },
	{ "65", long_names[2] },
	{ "127", long_names[3] },
	{ "128", long_names[4] },
	{ "4000", long_names[5] },
	{ "upper-case", "GETPGID" },
	{ "space", "get pgid" },
	{ "newline", CALL "\n" },
	{ "path", "../" CALL },
	{ "offset", CALL "+0x10" },
	{ "not-utf-8", "getpgid\xff" },
};

static const size_t name_count = sizeof(names) / sizeof(names[0]);

static void make_long_names(void)
{
	static const size_t lengths[] = { 63, 64, 65, 127, 128, 4000 };
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		memset(long_names[i], 'x', lengths[i]);
}

enum { ON_PROBE, UNLOADED, TRACEPOINT, SOCKET, CLOSED, NO_PROGRAM, PROGRAMS };

static struct bpf_program *program_of(int kind, bool retprobe)
{
	static const struct programs none;
	struct programs unloaded = none;
	switch (kind) {
	case UNLOADED:
		unloaded.object = loaded.unloaded;
		return program(&unloaded, retprobe ? "on_return" : "on_entry");
	case TRACEPOINT:
		return program(&loaded.others, "on_tracepoint");
	case SOCKET:
		return program(&loaded.others, "on_packet");
	case CLOSED:
		return program(&loaded.closed, retprobe ? "on_return" : "on_entry");
	case NO_PROGRAM:
		return NULL;
	default:
		return probe(retprobe);
	}
}

static void ask_everything(const char *situation)
{
	static const char *const kinds[] = { "kprobe", "unloaded", "tracepoint", "socket", "closed", "null" };
	for (int kind = 0; kind < PROGRAMS; kind++) {
		for (size_t name = 0; name < name_count; name++) {
			for (int i = 0; i < 5; i++) {
				bool retprobe = i & 1, valid = i < 4;
				__u64 cookie = i & 2 ? SOME_COOKIE : 0;
				struct bpf_ksyscall_opts opts;
				memset(&opts, 0, sizeof(opts));
				opts.sz = sizeof(opts);
				opts.bpf_cookie = cookie;
				opts.retprobe = retprobe;
				if (!valid)
					((char *)&opts)[sizeof(opts) - 1] = 1;
				struct question q = {
					.prog = program_of(kind, retprobe),
					.name = names[name].name,
					.opts = i == 0 ? NULL : &opts,
					.number = SYS_getpgid,
					.cookie = cookie,
					.retprobe = retprobe,
				};
				begin("%s/%s/%s/%s%s", situation, kinds[kind], names[name].label,
				      !valid ? "invalid" : retprobe ? "return" : "entry",
				      cookie ? "-cookie" : "");
				if (kind == NO_PROGRAM)
					in_peril(ask, &q);
				else
					ask(&q);
			}
		}
	}
}

/* --- Situations ------------------------------------------------------------ */

static void nothing(void)
{
}

static void set_paranoid(int level)
{
	FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "we");
	CHECK(file && fprintf(file, "%d\n", level) > 0 && fclose(file) == 0);
}

static int paranoid(void)
{
	FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
	int level;
	CHECK(file && fscanf(file, "%d", &level) == 1 && fclose(file) == 0);
	return level;
}

static void become_nobody(void)
{
	CHECK(setgroups(0, NULL) == 0);
	CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
}

static void keep_caps(void)
{
	static const int caps[] = { CAP_PERFMON, CAP_BPF };
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	for (int i = 0; i < 2; i++)
		data[CAP_TO_INDEX(caps[i])].permitted |= CAP_TO_MASK(caps[i]);
	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted;
	CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0);
	become_nobody();
	CHECK(syscall(SYS_capset, &header, data) == 0);
}

static void new_user_namespace(void)
{
	CHECK(unshare(CLONE_NEWUSER) == 0);
	FILE *map = fopen("/proc/self/uid_map", "we");
	CHECK(map && fputs("0 0 1\n", map) >= 0 && fclose(map) == 0);
	CHECK(getuid() == 0);
}

static void own_mounts(void)
{
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

static void hide_pmu(void)
{
	own_mounts();
	CHECK(mount("none", "/sys/bus/event_source", "tmpfs", 0, NULL) == 0);
}

static void hide_sysfs(void)
{
	own_mounts();
	CHECK(umount2("/sys", MNT_DETACH) == 0);
}

static void hide_tracefs(void)
{
	own_mounts();
	CHECK(umount2("/sys/kernel/tracing", MNT_DETACH) == 0);
	CHECK(umount2("/sys/kernel/debug", MNT_DETACH) == 0);
}

static void make_tracefs_read_only(void)
{
	static const char *const mounts[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing",
					      "/sys/kernel/debug" };
	own_mounts();
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++)
		CHECK(mount("none", mounts[i], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0 ||
		      errno == EINVAL);
}

static void hide_pmu_and_tracefs(void)
{
	hide_pmu();
	hide_tracefs();
}

static void hide_pmu_and_make_tracefs_read_only(void)
{
	hide_pmu();
	make_tracefs_read_only();
}

static void few_fds(int count)
{
	DESTROY(ATTACH(probe(false), CALL, NULL));
	leave_fds(count);
}

static void no_fd(void)
{
	few_fds(0);
}

static void one_fd(void)
{
	few_fds(1);
}

static void two_fds(void)
{
	few_fds(2);
}

static void paranoid_nobody(int level)
{
	set_paranoid(level);
	become_nobody();
}

static void paranoid_caps(int level)
{
	set_paranoid(level);
	keep_caps();
}

static void everything_in(const char *situation, void (*enter)(void), void (*enter_level)(int), int level)
{
	fflush(stdout);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		alarm(600);
		watch(loaded.probes.object);
		if (enter)
			enter();
		else
			enter_level(level);
		ask_everything(situation);
		fflush(stdout);
		_exit(0);
	}
	ends_well(child);
}

static void situations(void)
{
	static const struct {
		const char *name;
		void (*enter)(void);
	} all[] = {
		{ "root", nothing },
		{ "nobody", become_nobody },
		{ "caps", keep_caps },
		{ "user-namespace", new_user_namespace },
		{ "fds-0", no_fd },
		{ "fds-1", one_fd },
		{ "fds-2", two_fds },
		{ "no-tracefs", hide_tracefs },
		{ "read-only-tracefs", make_tracefs_read_only },
		{ "no-sysfs", hide_sysfs },
		{ "no-pmu", hide_pmu },
		{ "no-pmu-no-tracefs", hide_pmu_and_tracefs },
		{ "no-pmu-read-only-tracefs", hide_pmu_and_make_tracefs_read_only },
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		everything_in(all[i].name, all[i].enter, NULL, 0);
	int before = paranoid();
	for (int level = -1; level <= 4; level++) {
		char name[32];
		snprintf(name, sizeof(name), "nobody-paranoid%d", level);
		everything_in(name, NULL, paranoid_nobody, level);
		snprintf(name, sizeof(name), "caps-paranoid%d", level);
		everything_in(name, NULL, paranoid_caps, level);
	}
	set_paranoid(before);
}

/* --- Images of the options ------------------------------------------------- */

enum { PAGE = 4096, COOKIE_AT = 8, RETPROBE_AT = 16, END_OF_FIELDS = 17 };

static unsigned char *page_end;

static __u64 random_bits(void)
{
	static __u64 state = 88172645463325252;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Like ask(), of the kernel that takes everything. */
static void ask_pretending(const struct question *q)
{
	pretence.config = pretence.cookie = ~0ULL;
	errno = 0;
	struct bpf_link *link = bpf_program__attach_ksyscall(q->prog, q->name, q->opts);
	if (link) {
		part("link");
		part("config %#llx", (unsigned long long)pretence.config);
		if (loaded.cookies)
			part(pretence.cookie == q->cookie ? "its cookie" : "another cookie");
		part("destroy %s", outcome(bpf_link__destroy(link)));
	} else {
		part("%s", errno_name(errno));
	}
	finish();
}

/*
 * Asks with these `sz` bytes, which end where there is no more memory. The case
 * is named by what libbpf.h says that they mean.
 */
static void ask_image(const unsigned char *bytes, size_t sz)
{
	static int number;
	const char *class = "plain";
	size_t room = sz < sizeof(sz) ? sizeof(sz) : sz;
	unsigned char *place = page_end - room;
	__u64 cookie = 0;
	bool retprobe = sz > RETPROBE_AT && bytes[RETPROBE_AT];
	memcpy(place, bytes, room);
	memcpy(place, &sz, sizeof(sz));
	if (sz >= COOKIE_AT + sizeof(cookie))
		memcpy(&cookie, bytes + COOKIE_AT, sizeof(cookie));
	if (cookie || retprobe)
		class = !cookie ? "return" : !retprobe ? "cookie" : "cookie-return";
	for (size_t i = END_OF_FIELDS; i < sz; i++)
		if (bytes[i])
			class = "unknown";
	if (sz < sizeof(sz))
		class = "short";
	begin("options/%s/%zu-%d", class, sz, ++number);
	ask_pretending(&(struct question){ .prog = probe(false), .name = CALL, .opts = (void *)place, .cookie = cookie });
}

static void random_image(unsigned char *bytes, size_t sz, size_t from)
{
	for (size_t i = from; i < sz; i++)
		bytes[i] = (unsigned char)random_bits();
}

static void ask_images(void)
{
	static unsigned char bytes[PAGE];
	page_end = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(page_end != MAP_FAILED);
	page_end += PAGE;
	CHECK(munmap(page_end, PAGE) == 0);
	/* What is found out once is found out of the real kernel. */
	DESTROY(ATTACH(probe(false), CALL, NULL));
	pretence.plays = true;
	for (size_t sz = 0; sz <= PAGE; sz++) {
		size_t fields = sz < END_OF_FIELDS ? sz : END_OF_FIELDS;
		memset(bytes, 0, sizeof(bytes));
		random_image(bytes, fields, COOKIE_AT);
		ask_image(bytes, sz);
		if (sz > COOKIE_AT)
			bytes[COOKIE_AT + random_bits() % (sz - COOKIE_AT)] = (unsigned char)(1 << random_bits() % 8);
		ask_image(bytes, sz);
		random_image(bytes, sz, COOKIE_AT);
		ask_image(bytes, sz);
	}
	for (size_t i = COOKIE_AT; i < PAGE; i++) {
		memset(bytes, 0, sizeof(bytes));
		bytes[i] = (unsigned char)(1 << i % 8);
		ask_image(bytes, PAGE);
	}
	for (size_t sz = COOKIE_AT; sz <= 32; sz++) {
		for (size_t bit = COOKIE_AT * 8; bit < sz * 8; bit++) {
			memset(bytes, 0, sizeof(bytes));
			bytes[bit / 8] = (unsigned char)(1 << bit % 8);
			ask_image(bytes, sz);
		}
	}
	/* Sizes that promise more than there is, up to those that are negative as ssize_t. */
	static const size_t too_large[] = { 25, PAGE, SSIZE_MAX, (size_t)SSIZE_MAX + 1, (size_t)SSIZE_MAX + 17,
					    (size_t)SSIZE_MAX + 18, SIZE_MAX - 16, SIZE_MAX };
	for (size_t i = 0; i < sizeof(too_large) / sizeof(too_large[0]); i++) {
		for (int unknown = 0; unknown < 2; unknown++) {
			struct bpf_ksyscall_opts *opts = (void *)(page_end - sizeof(*opts));
			memset(opts, 0, sizeof(*opts));
			opts->sz = too_large[i];
			page_end[-1] = (unsigned char)unknown;
			begin("options/beyond-%s/%zu", unknown ? "unknown" : "zero", too_large[i]);
			in_peril(ask_pretending, &(struct question){ .prog = probe(false), .name = CALL, .opts = opts });
		}
	}
	pretence.plays = false;
}

/* --- Names that are calls, in other words ---------------------------------- */

static void ask_spellings(void)
{
	static const struct {
		const char *name;
		long number;
	} calls[] = {
		{ "openat", SYS_openat },	    { "newuname", SYS_uname },
		{ "stat", SYS_stat },		    { "uname", SYS_uname },
		{ "sendfile", SYS_sendfile },	    { "umount2", SYS_umount2 },
		{ "__NR_getpgid", SYS_getpgid },    { "SYS_getpgid", SYS_getpgid },
		{ "sys_getpgid", SYS_getpgid },	    { "umount", SYS_umount2 },
		{ "sendfile64", SYS_sendfile },	    { "socketcall", SYS_getpgid },
		{ "getuid16", SYS_getuid },	    { "uselib", SYS_uselib },
		{ "__x64_sys_getpgid", SYS_getpgid }, { "pread", SYS_pread64 },
	};
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		begin("spelling/%s", calls[i].name);
		ask(&(struct question){ .prog = probe(false), .name = calls[i].name, .number = calls[i].number });
	}
}

/* --- What libbpf's functions make of the link ------------------------------ */

static const char PIN[] = "/sys/fs/bpf/ksyscall-differential";
static const char OTHER_PIN[] = "/sys/fs/bpf/ksyscall-differential-2";

#define SAY(name, call)                                                                 \
	do {                                                                            \
		errno = 0;                                                              \
		part(name " %s", outcome(call));                                        \
	} while (0)

static void say_runs(void)
{
	part("runs %d", runs(0, SYS_getpgid));
}

/* Each program that is asked about is the entry's, without a cookie: its slot is 0. */
static struct bpf_link *attached(void)
{
	return ATTACH(probe(false), CALL, NULL);
}

static void ask_links(void)
{
	struct bpf_link *link, *second;
	int (*update_map)(struct bpf_link *, const struct bpf_map *);
	int fd, fds;

	begin("link/fd");
	link = attached();
	part("%s", bpf_link__fd(link) >= 0 ? "open" : "none");
	part("%s", fcntl(bpf_link__fd(link), F_GETFD) & FD_CLOEXEC ? "close-on-exec" : "inherited");
	struct bpf_link_info info = { 0 };
	struct bpf_prog_info prog_info = { 0 };
	__u32 size = sizeof(info), prog_size = sizeof(prog_info);
	SAY("info", bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &size));
	SAY("program", bpf_obj_get_info_by_fd(bpf_program__fd(probe(false)), &prog_info, &prog_size));
	part("type %u", info.type);
	part("program %s", info.prog_id == prog_info.id ? "its" : "another");
	SAY("destroy", bpf_link__destroy(link));
	finish();

	begin("link/fds");
	fds = count_fds();
	link = attached();
	part("holds %d", count_fds() - fds);
	SAY("destroy", bpf_link__destroy(link));
	part("holds %d", count_fds() - fds);
	finish();

	begin("link/pin");
	link = attached();
	part("path %s", bpf_link__pin_path(link) ?: "none");
	SAY("pin", bpf_link__pin(link, PIN));
	part("path %s", bpf_link__pin_path(link) ?: "none");
	SAY("again", bpf_link__pin(link, PIN));
	SAY("elsewhere", bpf_link__pin(link, OTHER_PIN));
	SAY("unpin", bpf_link__unpin(link));
	part("path %s", bpf_link__pin_path(link) ?: "none");
	part("file %s", access(PIN, F_OK) == 0 ? "there" : "gone");
	SAY("unpin", bpf_link__unpin(link));
	SAY("elsewhere", bpf_link__pin(link, OTHER_PIN));
	SAY("unpin", bpf_link__unpin(link));
	say_runs();
	SAY("destroy", bpf_link__destroy(link));
	say_runs();
	finish();

	begin("link/pin-badly");
	link = attached();
	SAY("not a bpffs", bpf_link__pin(link, "/tmp/ksyscall-differential"));
	SAY("no folder", bpf_link__pin(link, "/no/such/folder/pin"));
	SAY("pin", bpf_link__pin(link, PIN));
	second = attached();
	SAY("taken", bpf_link__pin(second, PIN));
	SAY("destroy", bpf_link__destroy(second));
	SAY("unpin", bpf_link__unpin(link));
	SAY("destroy", bpf_link__destroy(link));
	finish();

	begin("link/pin-outlives");
	link = attached();
	SAY("pin", bpf_link__pin(link, PIN));
	SAY("destroy", bpf_link__destroy(link));
	part("file %s", access(PIN, F_OK) == 0 ? "there" : "gone");
	say_runs();
	errno = 0;
	link = bpf_link__open(PIN);
	if (link && !libbpf_get_error(link)) {
		part("path %s", bpf_link__pin_path(link) ?: "none");
		SAY("update", bpf_link__update_program(link, probe(false)));
		SAY("unpin", bpf_link__unpin(link));
		say_runs();
		SAY("destroy", bpf_link__destroy(link));
		/* An opened link's detach may end after its last fd is closed. */
		wait_until_silent(&loaded.probes, 0);
	} else {
		part("open %s", errno_name(errno));
	}
	finish();

	begin("link/update");
	link = attached();
	SAY("same", bpf_link__update_program(link, probe(false)));
	SAY("other", bpf_link__update_program(link, probe(true)));
	SAY("unloaded", bpf_link__update_program(link, program_of(UNLOADED, false)));
	SAY("socket", bpf_link__update_program(link, program_of(SOCKET, false)));
	update_map = (int (*)(struct bpf_link *, const struct bpf_map *))dlsym(RTLD_DEFAULT, "bpf_link__update_map");
	if (update_map)
		SAY("map", update_map(link, bpf_object__find_map_by_name(loaded.probes.object, "calls")));
	say_runs();
	SAY("destroy", bpf_link__destroy(link));
	say_runs();
	finish();

	begin("link/detach");
	link = attached();
	SAY("detach", bpf_link__detach(link));
	say_runs();
	SAY("destroy", bpf_link__destroy(link));
	say_runs();
	finish();

	begin("link/disconnect");
	link = attached();
	fd = bpf_link__fd(link);
	bpf_link__disconnect(link);
	part("%s", bpf_link__fd(link) == fd ? "same fd" : "another fd");
	say_runs();
	SAY("destroy", bpf_link__destroy(link));
	say_runs();
	SAY("close", close(fd));
	say_runs();
	finish();

	begin("link/disconnect-pin");
	link = attached();
	fd = bpf_link__fd(link);
	SAY("pin", bpf_link__pin(link, PIN));
	bpf_link__disconnect(link);
	SAY("unpin", bpf_link__unpin(link));
	SAY("destroy", bpf_link__destroy(link));
	SAY("close", close(fd));
	say_runs();
	finish();

	begin("link/close-fd");
	link = attached();
	SAY("close", close(bpf_link__fd(link)));
	SAY("destroy", bpf_link__destroy(link));
	say_runs();
	finish();

	begin("link/two");
	link = attached();
	second = attached();
	say_runs();
	SAY("destroy", bpf_link__destroy(link));
	say_runs();
	SAY("destroy", bpf_link__destroy(second));
	say_runs();
	finish();

	begin("link/null");
	SAY("destroy", bpf_link__destroy(NULL));
	finish();

	begin("link/child-exits");
	link = attached();
	IN_CHILD(_exit(PASSED));
	say_runs();
	SAY("destroy", bpf_link__destroy(link));
	finish();

	begin("link/child-destroys");
	link = attached();
	IN_CHILD(bpf_link__destroy(link));
	say_runs();
	SAY("destroy", bpf_link__destroy(link));
	say_runs();
	finish();

	begin("link/object-closed-first");
	struct programs p = LOAD(count);
	link = ATTACH(program(&p, "on_entry"), CALL, NULL);
	int calls = dup(p.calls);
	unload(&p);
	p.calls = calls;
	part("%s", fires(&p, ON_ENTRY) ? "runs" : "does not run");
	SAY("destroy", bpf_link__destroy(link));
	part("%s", fires(&p, ON_ENTRY) ? "runs" : "does not run");
	close(calls);
	finish();
}

/* --- Programs that say in their section where they belong ------------------ */

static void ask_sections(void)
{
#ifdef LIBBPF_MAJOR_VERSION
	static const struct {
		const char *program;
		__u32 slot;
		long number;
	} sections[] = {
		{ "on_getpgid", 0, SYS_getpgid },
		{ "on_getpgid_return", 1, SYS_getpgid },
		{ "on_stat", 2, SYS_stat },
		{ "on_uname", 3, SYS_uname },
		{ "on_unknown", 4, SYS_getpgid },
	};
	struct bpf_object *object = open_object(start_auto, end_auto);
	struct programs p = { object, -1 };
	CHECK(bpf_program__set_autoload(program(&p, "on_unknown"), true) == 0);
	CHECK(bpf_object__load(object) == 0);
	p.calls = watch(object);
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		begin("section/%s", sections[i].program);
		errno = 0;
		struct bpf_link *link = bpf_program__attach(program(&p, sections[i].program));
		if (link) {
			part("link");
			syscall(sections[i].number, NOBODY, -1, -1);
			part("runs %llu", (unsigned long long)counted(&p, sections[i].slot));
			SAY("destroy", bpf_link__destroy(link));
		} else {
			part("%s", errno_name(errno));
		}
		finish();
	}
	unload(&p);
#endif
}

/* --- One process, one attach after another --------------------------------- */

/* A refusal for lack of rights, and then the rights. */
static void ask_after_refusal(void)
{
	CHECK(seteuid(65534) == 0);
	begin("history/refused");
	ask(&(struct question){ .prog = probe(false), .name = CALL, .number = SYS_getpgid });
	CHECK(seteuid(0) == 0);
	begin("history/allowed-after-refusal");
	ask(&(struct question){ .prog = probe(false), .name = CALL, .number = SYS_getpgid });
}

/* A first attach without a free fd, and then with one. */
static void ask_after_lack_of_fds(void)
{
	leave_fds(0);
	begin("history/no-fd-at-first");
	ask(&(struct question){ .prog = probe(false), .name = CALL, .number = SYS_getpgid });
	attach_limit = usual_limit;
	begin("history/fds-after-lack");
	ask(&(struct question){ .prog = probe(false), .name = CALL, .number = SYS_getpgid });
}

static void ask_errno(void)
{
	begin("history/errno-is-set-again");
	errno = ENOTTY;
	struct bpf_link *link = bpf_program__attach_ksyscall(probe(false), "no_such_call", NULL);
	part("%s", link ? "link" : errno_name(errno));
	finish();
}

static void in_a_process(void (*questions)(void))
{
	IN_CHILD({
		alarm(600);
		watch(loaded.probes.object);
		questions();
		fflush(stdout);
	});
}

int main(void)
{
	reason_fd = 2;
	libbpf_set_print(NULL);
	printf("library\t%s\n", file_of((void *)bpf_program__attach_ksyscall));
	printf("cookies\t%s\n", has_perf_links() ? "yes" : "no");
	events_fd = open(KPROBE_EVENTS, O_RDONLY | O_CLOEXEC);
	CHECK(events_fd >= 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &usual_limit) == 0);
	attach_limit = usual_limit;
	make_long_names();
	load_programs();
	fflush(stdout);
	in_a_process(ask_images);
	in_a_process(ask_spellings);
	in_a_process(ask_links);
	in_a_process(ask_sections);
	in_a_process(ask_after_refusal);
	in_a_process(ask_after_lack_of_fds);
	in_a_process(ask_errno);
	situations();
	begin("end/links-left");
	part("%d", count_links());
	finish();
	return 0;
}
