/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Declares what all questions share: functions that print lines, load the programs and perform a single
 * attach. */
#ifndef ANSWERS_H
#define ANSWERS_H

#include "../programs.h"

/* Build a line: begin() sets the case, part() adds a part of the answer, and finish() prints the line. */
__attribute__((format(printf, 1, 2))) void begin(const char *format, ...);
__attribute__((format(printf, 1, 2))) void part(const char *format, ...);
void finish(void);

const char *errno_name(int error);
/* Formats a libbpf function's result: 0, a negative errno, or (in old versions) -1 with errno set. */
const char *outcome(int result);
/* Destroys the link and adds the result to the line. */
void say_destroy(struct bpf_link *link);

extern struct loaded {
	/* These programs read their cookies, which requires Linux 5.15. */
	struct programs probes;
	struct programs others;
	struct programs closed;
	struct programs unloaded;
} loaded;

/* Call this before the first question. */
void load_programs(void);

enum program_kind { ON_PROBE, UNLOADED, TRACEPOINT, SOCKET, CLOSED, NO_PROGRAM, PROGRAM_KINDS };

struct bpf_program *program_of(enum program_kind kind, bool retprobe);
struct bpf_program *probe(bool retprobe);

/* Makes one call; returns how many runs of the program this slot counted. */
int runs(__u32 slot, long number);

/* Until give_fds_back() is called, an attach can open at most `count` more fds. */
void leave_fds(int count);
void give_fds_back(void);

struct question {
	struct bpf_program *prog;
	const char *name;
	const struct bpf_ksyscall_opts *opts;
	/* The call and the cookie that the program should see. */
	long number;
	__u64 cookie;
	bool retprobe;
};

/* Attaches, reports the result and the program's runs, and detaches. Call begin() first. */
void ask(const struct question *q);
/* Calls `ask_it`; reports a crash as an answer. libbpf holds no resources at the points where it crashes. */
void in_peril(void (*ask_it)(const struct question *), const struct question *q);

/* Answers the questions in a separate process that has not attached any program before. */
#define IN_A_PROCESS(questions)              \
	IN_CHILD({                           \
		alarm(600);                  \
		watch(loaded.probes.object); \
		questions;                   \
		fflush(stdout);              \
	})

/* Each function is defined in the file with the same name. */
void ask_options(void);
void ask_spellings(void);
void ask_links(void);
void ask_sections(void);
void ask_history(void);
void ask_situations(void);

#endif
