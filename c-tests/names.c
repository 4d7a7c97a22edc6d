/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The names of docs/names.md: a program that is attached by one runs when the call is made. */
#include "messages.h"
#include "programs.h"

EMBED(names, "../docs/names.md");

/* The calls that the functions of docs/names.md serve on x86-64. */
static const struct {
	const char *function;
	long number;
} calls[] = {
	{ "sys_chown", SYS_chown },
	{ "sys_clock_gettime", SYS_clock_gettime },
	{ "sys_fadvise64", SYS_fadvise64 },
	{ "sys_fcntl", SYS_fcntl },
	{ "sys_futex", SYS_futex },
	{ "sys_getdents", SYS_getdents },
	{ "sys_getgroups", SYS_getgroups },
	{ "sys_getrlimit", SYS_getrlimit },
	{ "sys_lseek", SYS_lseek },
	{ "sys_mmap", SYS_mmap },
	{ "sys_newfstatat", SYS_newfstatat },
	{ "sys_newstat", SYS_stat },
	{ "sys_newuname", SYS_uname },
	{ "sys_openat", SYS_openat },
	{ "sys_pread64", SYS_pread64 },
	{ "sys_prlimit64", SYS_prlimit64 },
	{ "sys_pselect6", SYS_pselect6 },
	{ "sys_pwrite64", SYS_pwrite64 },
	{ "sys_rt_sigaction", SYS_rt_sigaction },
	{ "sys_rt_sigprocmask", SYS_rt_sigprocmask },
	{ "sys_rt_sigtimedwait", SYS_rt_sigtimedwait },
	{ "sys_select", SYS_select },
	{ "sys_sendfile64", SYS_sendfile },
	{ "sys_setuid", SYS_setuid },
	{ "sys_statfs", SYS_statfs },
	{ "sys_sync_file_range", SYS_sync_file_range },
	{ "sys_timerfd_settime", SYS_timerfd_settime },
	{ "sys_truncate", SYS_truncate },
	{ "sys_umount", SYS_umount2 },
	{ "sys_utimensat", SYS_utimensat },
};

/* Functions that no kernel tested has: sysctl went in 5.5. */
static const char *const missing[] = { "sys_brand_new_call", "sys_sysctl" };

static bool is_missing(const char *function)
{
	for (size_t i = 0; i < sizeof(missing) / sizeof(*missing); i++)
		if (strcmp(function, missing[i]) == 0)
			return true;
	return false;
}

static long number_of(const char *function)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (strcmp(function, calls[i].function) == 0)
			return calls[i].number;
	FAIL("no call of %s is known here", function);
}

/* There is no such call here: attaches if there is a function of the name, as libbpf does. */
static void is_told(struct bpf_program *prog, const char *name)
{
	char symbol[100];
	snprintf(symbol, sizeof(symbol), "__x64_sys_%s", name);
	libbpf_set_print(NULL);
	struct bpf_link *function = bpf_program__attach_kprobe(prog, false, symbol);
	if (!function || libbpf_get_error(function)) {
		CHECK_FAILS(bpf_program__attach_ksyscall(prog, name, NULL), ENOENT);
		return;
	}
	forget_warnings();
	libbpf_set_print(keep_warning);
	struct bpf_link *link = ATTACH(prog, name, NULL);
	CHECK_EQ(warnings, 1);
	CHECK_HAS(warned, symbol);
	DESTROY(link);
	DESTROY(function);
}

/* Attaches by a name, makes the call, and expects the program to have run. */
static void is_served_by(const struct programs *p, const char *name, const char *function)
{
	struct bpf_program *entry = program(p, "on_entry");
	if (strcmp(function, "-") == 0)
		return is_told(entry, name);
	if (is_missing(function)) {
		libbpf_set_print(NULL);
		CHECK_FAILS(bpf_program__attach_ksyscall(entry, name, NULL), ENOENT);
		return;
	}
	long number = number_of(function);
	struct bpf_link *link = ATTACH(entry, name, NULL);
	__u64 before = counted(p, ON_ENTRY);
	/* None of the calls does anything with these arguments. */
	CHECK_EQ(syscall(number, -1, 0, 0, 0, 0, 0), -1);
	__u64 fired = counted(p, ON_ENTRY) - before;
	if (fired != 1)
		FAIL("%s, served by %s, fired %llu times", name, function, (unsigned long long)fired);
	DESTROY(link);
}

TEST(every_documented_name_leads_to_the_function_that_serves_the_call)
{
	struct programs p = LOAD(count);
	char *names = strndup(start_names, (size_t)(end_names - start_names)), *rest = names;
	int count = 0;
	CHECK(names);
	for (char *line; (line = strsep(&rest, "\n"));) {
		char name[80], function[80];
		/* | `name` | calls | functions on x86-64 | ... */
		if (sscanf(line, "| `%79[^`]` |%*[^|]| %79[^ ]", name, function) != 2)
			continue;
		if (function[0] == '`')
			*strrchr(memmove(function, function + 1, strlen(function)), '`') = '\0';
		/* The time limit is that of one name. */
		alarm(TIME_LIMIT);
		is_served_by(&p, name, function);
		count++;
	}
	CHECK(count > 60);
	free(names);
	unload(&p);
}

MAIN
