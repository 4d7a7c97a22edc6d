/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the questions share: the line that is printed, the programs, and one attach. */
#ifndef ANSWERS_H
#define ANSWERS_H

#include "../programs.h"

/* A line: begin() says the case, each part() a part of the answer, finish() prints it. */
__attribute__((format(printf, 1, 2))) void begin(const char *format, ...);
__attribute__((format(printf, 1, 2))) void part(const char *format, ...);
void finish(void);

const char *errno_name(int error);
/* What a function of libbpf returned that answers 0 or a negative errno, once -1 and errno. */
const char *outcome(int result);
/* Destroys the link, and says what that returned. */
void say_destroy(struct bpf_link *link);

extern struct loaded {
	/* With programs that read their cookie, where the kernel has cookies. */
	struct programs probes;
	struct programs others;
	struct programs closed;
	struct programs unloaded;
	bool cookies;
} loaded;

/* Before anything is asked. */
void load_programs(void);

enum program_kind { ON_PROBE, UNLOADED, TRACEPOINT, SOCKET, CLOSED, NO_PROGRAM, PROGRAM_KINDS };

struct bpf_program *program_of(enum program_kind kind, bool retprobe);
struct bpf_program *probe(bool retprobe);

/* How often the program runs that counts in this slot, when the call is made once. */
int runs(__u32 slot, long number);

/* While attaching, no more than these fds can be opened, until they are given back. */
void leave_fds(int count);
void give_fds_back(void);

struct question {
	struct bpf_program *prog;
	const char *name;
	const struct bpf_ksyscall_opts *opts;
	/* What the program should see. */
	long number;
	__u64 cookie;
	bool retprobe;
};

/* Attaches, says what that gave and did, and detaches. The line has begun. */
void ask(const struct question *q);
/* A crash is an answer too. Where libbpf crashes it holds nothing that would stay behind. */
void in_peril(void (*ask_it)(const struct question *), const struct question *q);

/* Asks in a process of its own, which has not attached before. */
#define IN_A_PROCESS(questions)              \
	IN_CHILD({                           \
		alarm(600);                  \
		watch(loaded.probes.object); \
		questions;                   \
		fflush(stdout);              \
	})

/* Each in the file of its name. */
void ask_options(void);
void ask_spellings(void);
void ask_links(void);
void ask_sections(void);
void ask_history(void);
void ask_situations(void);

#endif
