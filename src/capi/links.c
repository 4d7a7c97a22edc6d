/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Exports the functions that libbpf does not define. They are written in C for the reason given in entry.c,
 * and call the implementation in Rust.
 */
#include "say.h"

#include <pthread.h>
#include <string.h>

struct ksyscall_links;
struct ksyscall_links_opts;
enum ksyscall_callers { KSYSCALL_CALLERS_NATIVE };
enum ksyscall_c_library { KSYSCALL_GLIBC };

/* Defined in links.rs, destroy.rs and serving.rs. */
void ksyscall_warn_links(const struct bpf_program *prog, struct answer *answer);
struct ksyscall_links *ksyscall_attach_links(const struct bpf_program *prog, const char *const *names,
					     size_t n, const struct ksyscall_links_opts *opts,
					     struct answer *answer);
int ksyscall_destroy_links(struct ksyscall_links *links);
size_t ksyscall_count_links(const struct ksyscall_links *links);
int ksyscall_links_result(const struct ksyscall_links *links, size_t index);
const char *ksyscall_links_function(const struct ksyscall_links *links, size_t index, size_t nth);
int ksyscall_links_missed(const struct ksyscall_links *links, unsigned long long *missed);
int ksyscall_destroy_all(struct bpf_link **links, size_t n);
int ksyscall_link_missed(const struct bpf_link *link, unsigned long long *missed);
int ksyscall_program_recursion_misses(const struct bpf_program *prog, unsigned long long *misses);
void ksyscall_list_names(char (*names)[65], size_t room);
int ksyscall_find_function(const char *syscall_name, unsigned int callers, size_t nth, const char **function);
int ksyscall_find_c_library_call(const char *function, unsigned int c_library, size_t nth);

/* Sets errno if `error` is a negative errno instead of 0. Returns `error`. */
static int with_errno(int error)
{
	if (error)
		errno = -error;
	return error;
}

/*
 * Defers thread cancellation until the attach is done: ending the thread inside `progress` would unwind Rust
 * frames.
 */
struct ksyscall_links *ksyscall_links__attach(const struct bpf_program *prog, const char *const *names,
					      size_t n, const struct ksyscall_links_opts *opts)
{
	struct answer answer;
	struct ksyscall_links *links;
	int cancel;
	begin(&answer);
	ksyscall_warn_links(prog, &answer);
	say(&answer);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	links = ksyscall_attach_links(prog, names, n, opts, &answer);
	pthread_setcancelstate(cancel, &cancel);
	if (!links) {
		say(&answer);
		errno = answer.error;
	}
	return links;
}

int ksyscall_links__destroy(struct ksyscall_links *links)
{
	return with_errno(ksyscall_destroy_links(links));
}

size_t ksyscall_links__count(const struct ksyscall_links *links)
{
	return ksyscall_count_links(links);
}

int ksyscall_links__result(const struct ksyscall_links *links, size_t index)
{
	return ksyscall_links_result(links, index);
}

const char *ksyscall_links__function(const struct ksyscall_links *links, size_t index, size_t nth)
{
	return ksyscall_links_function(links, index, nth);
}

int ksyscall_links__missed(const struct ksyscall_links *links, unsigned long long *missed)
{
	return with_errno(ksyscall_links_missed(links, missed));
}

/*
 * Defers thread cancellation until all links are destroyed: ending the thread inside libbpf's close() would
 * unwind Rust frames.
 */
int ksyscall_link__destroy_all(struct bpf_link **links, size_t n)
{
	int cancel, error;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	error = ksyscall_destroy_all(links, n);
	pthread_setcancelstate(cancel, &cancel);
	return with_errno(error);
}

int ksyscall_link__missed(const struct bpf_link *link, unsigned long long *missed)
{
	return with_errno(ksyscall_link_missed(link, missed));
}

int ksyscall_program__recursion_misses(const struct bpf_program *prog, unsigned long long *misses)
{
	return with_errno(ksyscall_program_recursion_misses(prog, misses));
}

/*
 * The names of all calls, filled in on first use. There is room for more names than any architecture defines,
 * and for the longest name with its NUL.
 */
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

const char *ksyscall__function(const char *syscall_name, enum ksyscall_callers callers, size_t nth)
{
	const char *function = NULL;
	with_errno(ksyscall_find_function(syscall_name, (unsigned int)callers, nth, &function));
	return function;
}

const char *ksyscall__c_library_call(const char *function, enum ksyscall_c_library c_library, size_t nth)
{
	int index = ksyscall_find_c_library_call(function, (unsigned int)c_library, nth);
	if (index >= 0)
		return ksyscall__name((size_t)index);
	with_errno(index);
	return NULL;
}
