/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The functions that libksyscall-ext.so exports, which libbpf does not have. They are in
 * C for the reason that entry.c has. What they do is in Rust, in ext.rs.
 */
#include "say.h"

#include <pthread.h>

struct ksyscall_links_opts;

/* In ext.rs. */
int ksyscall_attach_links(const struct bpf_program *prog, const char *const *names, size_t n,
			  struct bpf_link **links, const struct ksyscall_links_opts *opts,
			  struct answer *answer);
int ksyscall_destroy_links(struct bpf_link **links, size_t n);
int ksyscall_link_missed(const struct bpf_link *link, unsigned long long *missed);
void ksyscall_list_names(char (*names)[65], size_t room);

int ksyscall_links__attach(const struct bpf_program *prog, const char *const *names, size_t n,
			   struct bpf_link **links, const struct ksyscall_links_opts *opts);
int ksyscall_links__destroy(struct bpf_link **links, size_t n);
int ksyscall_link__missed(const struct bpf_link *link, unsigned long long *missed);
const char *ksyscall__name(size_t index);

int ksyscall_links__attach(const struct bpf_program *prog, const char *const *names, size_t n,
			   struct bpf_link **links, const struct ksyscall_links_opts *opts)
{
	struct answer answer;
	int attached;
	do {
		answer = (struct answer){ .print = hold };
		attached = ksyscall_attach_links(prog, names, n, links, opts, &answer);
		if (answer.text.length > 0)
			say(&answer);
	} while (answer.again);
	if (attached >= 0)
		return attached;
	errno = answer.error;
	return -answer.error;
}

/* A thread that was cancelled ends afterwards, and not in libbpf's close(), below Rust. */
int ksyscall_links__destroy(struct bpf_link **links, size_t n)
{
	int cancel, error;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	error = ksyscall_destroy_links(links, n);
	pthread_setcancelstate(cancel, &cancel);
	if (error)
		errno = -error;
	return error;
}

int ksyscall_link__missed(const struct bpf_link *link, unsigned long long *missed)
{
	int error = ksyscall_link_missed(link, missed);
	if (error)
		errno = -error;
	return error;
}

/* More than any architecture has, and the longest with its NUL; filled when asked for. */
static char names[1024][65];

static void list(void)
{
	ksyscall_list_names(names, sizeof(names) / sizeof(names[0]));
}

const char *ksyscall__name(size_t index)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, list);
	return index < sizeof(names) / sizeof(names[0]) && names[index][0] ? names[index] : NULL;
}
