/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A tracer that has single system calls of a child fail, as strace's --inject
 * does, or ends the child there, or lets it wait while others do something.
 *
 * The child calls traced_from_here(), makes the calls, and ends the tracing by
 * mark(END). Calls between mark(PAUSE) and mark(RESUME) are left alone.
 */
#ifndef INJECT_H
#define INJECT_H

#include "test.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include <linux/perf_event.h>

/* Numbers of no system call, by which the child says where it is. */
enum mark { PAUSE = 100000, RESUME, END };

static inline void mark(enum mark mark)
{
	syscall(mark);
}

static inline void traced_from_here(void)
{
	/* Nobody else would let it go on. */
	CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
	raise(SIGSTOP);
}

/* A system call: its name, what it is made on, and whether that was after a pause. */
struct step {
	const char *call;
	char object[48];
	bool resumed;
};

struct injection {
	/* The step that is meant, counted from 0; -1 for none. */
	int at;
	/* What it fails with. */
	int error;
	/* The child is killed before the step. */
	bool kills;
	/* Done before the step, which waits for it; if none is meant, before every one. */
	void (*meanwhile)(void);
	/* Each BPF_LINK_CREATE fails as on a kernel that has no links of perf events. */
	bool no_links;
};

enum { MAX_FDS = 64 };

struct trace {
	int length;
	struct step steps[160];
	/* What the child's fds are open on. */
	char objects[MAX_FDS][sizeof(((struct step *)0)->object)];
	/* The child has an entry in kprobe_events. */
	bool has_entry;
};

/* Reads up to `size` bytes of the child's memory, as many as are there. */
static inline void read_memory(pid_t child, unsigned long address, void *to, size_t size)
{
	struct iovec here = { to, size }, there = { (void *)address, size };
	CHECK(process_vm_readv(child, &here, 1, &there, 1, 0) > 0);
}

static inline void read_text(pid_t child, unsigned long address, char *text, size_t size)
{
	memset(text, 0, size);
	read_memory(child, address, text, size - 1);
}

static inline const char *behind_last(const char *text, char separator)
{
	const char *found = strrchr(text, separator);
	return found ? found + 1 : text;
}

__attribute__((format(printf, 2, 3))) static inline void name_object(struct step *step, const char *format,
								     ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(step->object, sizeof(step->object), format, arguments);
	va_end(arguments);
}

/* Names the child's call and its object; false for one that only gets memory. */
static inline bool describe(struct step *step, const struct trace *trace, pid_t child,
			    const struct user_regs_struct *call)
{
	const char *of_fd = trace->objects[call->rdi % MAX_FDS];
	struct perf_event_attr event = { 0 };
	int fds[2];
	char text[160];

	switch (call->orig_rax) {
	case SYS_openat:
		step->call = "openat";
		read_text(child, call->rsi, text, sizeof(text));
		if (strcmp(behind_last(text, '/'), "kprobe_events") != 0)
			name_object(step, "%s", behind_last(text, '/'));
		else if (!(call->rdx & O_WRONLY))
			name_object(step, trace->has_entry ? "own in the list" : "list of entries");
		else
			name_object(step, "kprobe_events%s", trace->has_entry ? ", to remove" : "");
		return true;
	case SYS_faccessat2:
	case SYS_faccessat:
		step->call = "faccessat";
		read_text(child, call->rsi, text, sizeof(text));
		name_object(step, "%s", behind_last(text, '/'));
		return true;
	case SYS_readlinkat:
		step->call = "readlinkat";
		read_text(child, call->rsi, text, sizeof(text));
		name_object(step, "%s", behind_last(text, '/'));
		return true;
	case SYS_write:
		step->call = "write";
		read_text(child, call->rsi, text, sizeof(text));
		text[strcspn(text, "\n")] = 0;
		if (text[0] == '-')
			name_object(step, trace->has_entry ? "-own" : "-dead");
		else
			name_object(step, "%c:%s", text[0], behind_last(text, ' '));
		return true;
	case SYS_perf_event_open:
		step->call = "perf_event_open";
		read_memory(child, call->rdi, &event, PERF_ATTR_SIZE_VER1);
		if (event.type == PERF_TYPE_TRACEPOINT) {
			name_object(step, "entry");
			return true;
		}
		read_text(child, event.config1, text, sizeof(text));
		name_object(step, "%c:%s", event.config ? 'r' : 'p', text);
		return true;
	case SYS_bpf:
		step->call = "bpf";
		CHECK_EQ(call->rdi, BPF_LINK_CREATE);
		/* The program's and the event's. */
		read_memory(child, call->rsi, fds, sizeof(fds));
		name_object(step, fds[1] < 0 ? "no event" : "event");
		return true;
	case SYS_read:
		step->call = "read";
		name_object(step, "%s", of_fd);
		return true;
	case SYS_close:
		step->call = "close";
		name_object(step, "%s", of_fd);
		return true;
	case SYS_ioctl:
		step->call = "ioctl";
		name_object(step, "%s", of_fd);
		return true;
	case SYS_getpid:
		step->call = "getpid";
		return true;
	case SYS_getcpu:
		step->call = "getcpu";
		return true;
	case SYS_brk:
	case SYS_mmap:
	case SYS_munmap:
	case SYS_madvise:
		return false;
	}
	FAIL("system call %lld, which no attach should make", call->orig_rax);
}

/* What there is after a call that was made. */
static inline void note(struct trace *trace, const struct step *step, const struct user_regs_struct *call)
{
	bool failed = (long)call->rax < 0, is_removal = step->object[0] == '-';
	const char *result = strcmp(step->call, "openat") == 0		  ? step->object
			     : strcmp(step->call, "perf_event_open") == 0 ? "event"
			     : strcmp(step->call, "bpf") == 0		  ? "link"
									  : NULL;
	if (result && !failed)
		snprintf(trace->objects[call->rax % MAX_FDS], sizeof(trace->objects[0]), "%s", result);
	if (strcmp(step->call, "write") == 0 && !failed)
		trace->has_entry = !is_removal;
}

/* Waits until the child has come to traced_from_here(); false if it has ended before. */
static inline bool wait_for(pid_t child)
{
	int status;
	CHECK(waitpid(child, &status, 0) == child);
	if (!WIFSTOPPED(status))
		return false;
	CHECK(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
	return true;
}

/* Follows the child to its mark(END), where the tracing ends; false if it ends before. */
static inline bool follow(pid_t child, const struct injection *injection, struct trace *trace)
{
	struct user_regs_struct call;
	bool entering = true, resumed = false, paused = false;
	struct step *step = NULL;
	int status, error = 0;

	*trace = (struct trace){ 0 };
	for (int signal = 0;;) {
		CHECK(ptrace(PTRACE_SYSCALL, child, 0, signal) == 0);
		CHECK(waitpid(child, &status, 0) == child);
		if (!WIFSTOPPED(status))
			return false;
		signal = WSTOPSIG(status) & ~0x80;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		signal = 0;
		CHECK(ptrace(PTRACE_GETREGS, child, 0, &call) == 0);
		if (!entering) {
			entering = true;
			if (step && error) {
				call.rax = (unsigned long)-error;
				CHECK(ptrace(PTRACE_SETREGS, child, 0, &call) == 0);
			} else if (step) {
				note(trace, step, &call);
			}
			continue;
		}
		entering = false;
		step = NULL;
		switch (call.orig_rax) {
		case PAUSE:
			paused = true;
			continue;
		case RESUME:
			paused = false;
			resumed = true;
			continue;
		case END:
			CHECK(ptrace(PTRACE_DETACH, child, 0, 0) == 0);
			return true;
		}
		if (paused)
			continue;
		CHECK(trace->length < (int)(sizeof(trace->steps) / sizeof(trace->steps[0])));
		step = &trace->steps[trace->length];
		step->resumed = resumed;
		if (!describe(step, trace, child, &call)) {
			step = NULL;
			continue;
		}
		bool meant = trace->length++ == injection->at;
		if (injection->meanwhile && (meant || injection->at < 0))
			injection->meanwhile();
		if (meant && injection->kills) {
			CHECK(kill(child, SIGKILL) == 0);
			do
				CHECK(waitpid(child, &status, 0) == child);
			while (WIFSTOPPED(status));
			CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
			return false;
		}
		error = meant && injection->error			  ? injection->error
			: injection->no_links && call.orig_rax == SYS_bpf ? EINVAL
									  : 0;
		/* A close fails as Linux has it fail: the fd is closed all the same (close(2)). */
		if (error && call.orig_rax != SYS_close) {
			call.orig_rax = (unsigned long)-1;
			CHECK(ptrace(PTRACE_SETREGS, child, 0, &call) == 0);
		}
	}
}

#endif
