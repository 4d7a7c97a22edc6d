/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tests that the library's functions fail with ENOMEM and leak nothing if any allocation fails. */
#include "programs.h"

void *__libc_malloc(size_t size);
void __libc_free(void *block);

static int blocks, allocations_until_failure = -1;

void *malloc(size_t size)
{
	if (allocations_until_failure >= 0 && allocations_until_failure-- == 0) {
		errno = ENOMEM;
		return NULL;
	}
	void *block = __libc_malloc(size);
	blocks += block != NULL;
	return block;
}

void free(void *block)
{
	blocks -= block != NULL;
	__libc_free(block);
}

/* Calls the function under test; returns whether it succeeded. */
typedef bool make(const struct programs *p);

/*
 * Calls `make` until it succeeds, allowing one more allocation to succeed each time. When `make` succeeds,
 * exactly `kept` blocks stay allocated. Returns the number of allocations that `make` requires.
 */
static int fail_at_each_allocation(make *make, const struct programs *p, int kept)
{
	int fds = count_fds(), links = count_links(), before = blocks;
	for (int failed = 0;; failed++) {
		errno = 0;
		allocations_until_failure = failed;
		bool is_made = make(p);
		int error = errno;
		bool was_enough = allocations_until_failure >= 0;
		allocations_until_failure = -1;
		CHECK_EQ(is_made, was_enough);
		if (!is_made)
			CHECK_EQ(error, ENOMEM);
		CHECK(!fires(p, ON_ENTRY));
		CHECK_EQ(count_fds(), fds);
		CHECK_EQ(count_links(), links);
		CHECK(blocks == before + kept || (!is_made && blocks == before));
		if (is_made)
			return failed;
	}
}

static bool attach(const struct programs *p)
{
	struct bpf_link *link = bpf_program__attach_ksyscall(program(p, "on_entry"), CALL, NULL);
	if (link)
		DESTROY(link);
	return link;
}

static bool attach_to_many(const struct programs *p)
{
	static const char *const names[] = { CALL, "acct", "getppid" };
	struct ksyscall_links_opts opts = { .sz = sizeof(opts),
					    .threads = 1,
					    .callers = KSYSCALL_CALLERS_ALL };
	struct ksyscall_links *links = ksyscall_links__attach(program(p, "on_entry"), names, 3, &opts);
	if (links) {
		CHECK_EQ(ksyscall_links__count(links), 3);
		CHECK_EQ(ksyscall_links__destroy(links), 0);
	}
	return links;
}

static bool find_functions(const struct programs *p)
{
	(void)p;
	return ksyscall__function(CALL, KSYSCALL_CALLERS_ALL, 1);
}

TEST(nothing_is_left_if_memory_runs_out)
{
	struct programs p = LOAD(count);
	libbpf_set_print(NULL);
	/* The first attach caches libbpf's functions; that memory stays allocated. */
	CHECK(attach(&p));
	CHECK(fail_at_each_allocation(attach, &p, 0) > 0);
	/* The library allocates memory for names, results, a plan, functions and links. */
	CHECK(fail_at_each_allocation(attach_to_many, &p, 0) > 8);
	unload(&p);
}

TEST(the_kernels_functions_are_cached_completely_or_not_at_all)
{
	enum { KEPT = 2 }; /* the list of functions and the structure that holds it */
	struct programs p = LOAD(count);
	CHECK(fail_at_each_allocation(find_functions, &p, KEPT) > 8);
	unload(&p);
}

MAIN
