/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Attaches several times in one process. Cases are named history/QUESTION. */
#include "answers.h"

static void ask_again(const char *question)
{
	begin("history/%s", question);
	ask(&(struct question){ .prog = probe(false), .name = CALL, .number = SYS_getpgid });
}

/* Attaches without privileges, then with them. */
static void ask_after_refusal(void)
{
	CHECK(seteuid(65534) == 0);
	ask_again("refused");
	CHECK(seteuid(0) == 0);
	ask_again("allowed-after-refusal");
}

/* Attaches for the first time without a free fd, then with free fds. */
static void ask_after_lack_of_fds(void)
{
	leave_fds(0);
	ask_again("no-fd-at-first");
	give_fds_back();
	ask_again("fds-after-lack");
}

static void ask_errno(void)
{
	begin("history/errno-is-set-again");
	errno = ENOTTY;
	struct bpf_link *link = bpf_program__attach_ksyscall(probe(false), "no_such_call", NULL);
	part("%s", link ? "link" : errno_name(errno));
	finish();
}

void ask_history(void)
{
	IN_A_PROCESS(ask_after_refusal());
	IN_A_PROCESS(ask_after_lack_of_fds());
	IN_A_PROCESS(ask_errno());
}
