/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Entries of kprobe_events: of others, which stay, and of a dead process, which goes. */
#ifndef ENTRIES_H
#define ENTRIES_H

#include "programs.h"

#include <fcntl.h>

#include <linux/perf_event.h>

/* How many are of others. */
enum { OTHERS = 2 };

static pid_t dead;
/* The name of its entry, which make_entries_of_others() does not make. */
static char dead_entry[64];
/* Keeps a live process's entry in use; 0 if there is none. */
static int live_event;

/* Writes to kprobe_events. */
__attribute__((format(printf, 1, 2))) static inline void command(const char *format, ...)
{
	char line[160];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	int events = open(KPROBE_EVENTS, O_WRONLY | O_APPEND | O_CLOEXEC);
	CHECK(events >= 0);
	CHECK(write(events, line, (size_t)length) == length);
	CHECK(close(events) == 0);
}

/* When a process started: field 22 of its stat (proc_pid_stat(5)). */
static inline unsigned long long start_of(pid_t process)
{
	char path[32], stat[512] = "";
	unsigned long long started;
	snprintf(path, sizeof(path), "/proc/%d/stat", process);
	FILE *file = fopen(path, "re");
	CHECK(file && fgets(stat, sizeof(stat), file));
	fclose(file);
	char *field = strrchr(stat, ')');
	for (int number = 2; number < 22; number++)
		CHECK(field && (field = strchr(field + 1, ' ')));
	CHECK(sscanf(field, "%llu", &started) == 1);
	return started;
}

static inline unsigned long own_namespace(void)
{
	struct stat namespace;
	CHECK(stat("/proc/self/ns/pid", &namespace) == 0);
	return namespace.st_ino;
}

/* A perf event on an entry. */
static inline int use(const char *entry)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
	char path[160];
	unsigned long long id;
	snprintf(path, sizeof(path), "/sys/kernel/tracing/events/%s/id", entry);
	FILE *file = fopen(path, "re");
	CHECK(file && fscanf(file, "%llu", &id) == 1);
	fclose(file);
	attr.config = id;
	int event = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	CHECK(event >= 0);
	return event;
}

static inline void make_entries_of_others(void)
{
	dead = fork();
	if (dead == 0)
		_exit(0);
	CHECK(dead > 0 && waitpid(dead, NULL, 0) == dead);
	snprintf(dead_entry, sizeof(dead_entry), "ksyscall/p%lu_%d_1_0", own_namespace(), dead);
	/* Of another program; of a live process, in use, for not everybody sees that it is alive. */
	char live[128];
	snprintf(live, sizeof(live), "ksyscall/p%lu_%d_%llu_0", own_namespace(), getppid(),
		 start_of(getppid()));
	command("p:others/own " CALL_SYMBOL "\n");
	command("p:%s " CALL_SYMBOL "\n", live);
	live_event = use(live);
}

static inline void remove_entries_of_others(void)
{
	if (live_event)
		CHECK(close(live_event) == 0);
	clear_entries();
}

static inline int entries(void)
{
	return count_entries(KPROBE_EVENTS, "");
}

/* What the names of a process's entries begin with, which is of this PID namespace. */
static inline const char *start_of_entries(pid_t process)
{
	static char start[64];
	snprintf(start, sizeof(start), ":ksyscall/p%lu_%d_", own_namespace(), process);
	return start;
}

static inline int entries_of(pid_t process)
{
	return count_entries(KPROBE_EVENTS, start_of_entries(process));
}

static inline void remove_entries_of(pid_t process)
{
	FILE *list = fopen(KPROBE_EVENTS, "re");
	char line[256], name[128];
	CHECK(list);
	while (fgets(line, sizeof(line), list))
		if (strstr(line, start_of_entries(process)) && sscanf(line, "%*[^:]:%127s", name) == 1)
			command("-:%s\n", name);
	fclose(list);
}

#endif
