/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Entries of kprobe_events: of others, which stay, and of a dead process, which goes. */
#ifndef ENTRIES_H
#define ENTRIES_H

#include "programs.h"

#include <fcntl.h>

/* How many are of others. */
enum { OTHERS = 4 };

static pid_t dead;
/* The name of its entry, which make_entries_of_others() does not make. */
static char dead_entry[64];

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

static inline void make_entries_of_others(void)
{
	struct stat namespace;
	dead = fork();
	if (dead == 0)
		_exit(0);
	CHECK(dead > 0 && waitpid(dead, NULL, 0) == dead);
	CHECK(stat("/proc/self/ns/pid", &namespace) == 0);
	unsigned long own = namespace.st_ino;
	snprintf(dead_entry, sizeof(dead_entry), "ksyscall/p%lu_%d_0", own, dead);
	/* Of another program; a live process; another PID namespace; one that is not known. */
	command("p:others/own " CALL_SYMBOL "\n");
	command("p:ksyscall/p%lu_%d_0 " CALL_SYMBOL "\n", own, getppid());
	command("p:ksyscall/p%lu_%d_0 " CALL_SYMBOL "\n", own + 1, dead);
	command("p:ksyscall/p0_%d_0 " CALL_SYMBOL "\n", dead);
}

static inline int entries(void)
{
	return count_entries(KPROBE_EVENTS, "");
}

static inline int entries_of(pid_t process)
{
	char part[32];
	snprintf(part, sizeof(part), "_%d_", process);
	return count_entries(KPROBE_EVENTS, part);
}

static inline void remove_entries_of(pid_t process)
{
	FILE *list = fopen(KPROBE_EVENTS, "re");
	char line[256], part[32], name[64];
	CHECK(list);
	snprintf(part, sizeof(part), "_%d_", process);
	while (fgets(line, sizeof(line), list))
		if (strstr(line, part) && sscanf(line, "%*[^:]:%63s", name) == 1)
			command("-:%s\n", name);
	fclose(list);
}

#endif
