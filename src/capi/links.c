/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The exported functions that libbpf does not have. They are in C for the reason that
 * entry.c gives. What they do is in Rust, in links.rs.
 */
#include "say.h"

#include <pthread.h>

struct ksyscall_links_opts;

/* In links.rs. */
void ksyscall_warn_links(const struct bpf_program *prog, struct answer *answer);
int ksyscall_attach_links(const struct bpf_program *prog, const char *const *names, size_t n,
			  struct bpf_link **links, const struct ksyscall_links_opts *opts,
			  struct answer *answer);
int ksyscall_destroy_links(struct bpf_link **links, size_t n);
int ksyscall_link_missed(const struct bpf_link *link, unsigned long long *missed);
int ksyscall_program_recursion_misses(const struct bpf_program *prog, unsigned long long *misses);
void ksyscall_list_names(char (*names)[65], size_t room);

int ksyscall_links__attach(const struct bpf_program *prog, const char *const *names, size_t n,
			   struct bpf_link **links, const struct ksyscall_links_opts *opts);
int ksyscall_links__destroy(struct bpf_link **links, size_t n);
int ksyscall_link__missed(const struct bpf_link *link, unsigned long long *missed);
int ksyscall_program__recursion_misses(const struct bpf_program *prog, unsigned long long *misses);
const char *ksyscall__name(size_t index);

int ksyscall_links__attach(const struct bpf_program *prog, const char *const *names, size_t n,
			   struct bpf_link **links, const struct ksyscall_links_opts *opts)
{
	struct answer answer = { .hold = hold };
	int attached;
	ksyscall_warn_links(prog, &answer);
	say(&answer);
	attached = ksyscall_attach_links(prog, names, n, links, opts, &answer);
	if (attached >= 0)
		return attached;
	say(&answer);
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

int ksyscall_program__recursion_misses(const struct bpf_program *prog, unsigned long long *misses)
{
	int error = ksyscall_program_recursion_misses(prog, misses);
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
