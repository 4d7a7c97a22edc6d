/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Attaches with every combination of program, name and options in each situation. Cases are named
 * SITUATION/PROGRAM/NAME/OPTIONS.
 */
#include "answers.h"

#include <grp.h>
#include <sys/prctl.h>

#include <linux/capability.h>

static const __u64 SOME_COOKIE = 0x0102030405060706;

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

static void ask_everything(const char *situation)
{
	static const char *const kinds[] = { "kprobe", "unloaded", "tracepoint", "socket", "closed", "null" };
	for (int kind = 0; kind < PROGRAM_KINDS; kind++) {
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
				      !valid	 ? "invalid"
				      : retprobe ? "return"
						 : "entry",
				      cookie ? "-cookie" : "");
				if (kind == NO_PROGRAM)
					in_peril(ask, &q);
				else
					ask(&q);
			}
		}
	}
}

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
	CHECK(write_file("/proc/self/uid_map", "0 0 1\n"));
	CHECK(getuid() == 0);
}

static void hide_sysfs(void)
{
	own_mounts();
	CHECK(umount2("/sys", MNT_DETACH) == 0);
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
	hide_the_pmu();
	hide_tracefs();
}

static void hide_pmu_and_make_tracefs_read_only(void)
{
	hide_the_pmu();
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

static void everything_in(const char *situation, void (*enter)(void))
{
	IN_A_PROCESS({
		enter();
		ask_everything(situation);
	});
}

void ask_situations(void)
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
		{ "no-pmu", hide_the_pmu },
		{ "no-pmu-no-tracefs", hide_pmu_and_tracefs },
		{ "no-pmu-read-only-tracefs", hide_pmu_and_make_tracefs_read_only },
	};
	make_long_names();
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		everything_in(all[i].name, all[i].enter);
	int before = paranoid();
	for (int level = -1; level <= 4; level++) {
		char name[32];
		set_paranoid(level);
		snprintf(name, sizeof(name), "nobody-paranoid%d", level);
		everything_in(name, become_nobody);
		snprintf(name, sizeof(name), "caps-paranoid%d", level);
		everything_in(name, keep_caps);
	}
	set_paranoid(before);
}
