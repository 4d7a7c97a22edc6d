/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The struct of options, by its size. Each case lies at the very end of a page
 * behind which there is none: a byte read too many is a crash.
 */
#include "programs.h"

#include <stddef.h>
#include <sys/mman.h>

static const size_t COOKIE_AT = offsetof(struct bpf_ksyscall_opts, bpf_cookie);
static const size_t RETPROBE_AT = offsetof(struct bpf_ksyscall_opts, retprobe);
static const __u64 SOME_COOKIE = 0x0102030405060708;

enum { PAGE = 4096, PAGES = 2 };

/* `sz` bytes of options with what is covered of the cookie and the retprobe. */
static unsigned char *options(size_t sz, __u64 cookie, unsigned char retprobe)
{
	static char *page;
	unsigned char whole[PAGE * PAGES] = { 0 };
	if (!page) {
		page = mmap(NULL, PAGE * (PAGES + 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);
		CHECK(page != MAP_FAILED);
		CHECK(mprotect(page + PAGE * PAGES, PAGE, PROT_NONE) == 0);
	}
	memcpy(whole, &sz, sizeof(sz));
	memcpy(whole + COOKIE_AT, &cookie, sizeof(cookie));
	whole[RETPROBE_AT] = retprobe;
	/* The size itself is always there to be read. */
	size_t room = sz < sizeof(sz) ? sizeof(sz) : sz;
	unsigned char *place = (unsigned char *)page + PAGE * PAGES - room;
	memcpy(place, whole, room);
	return place;
}

#define AS_OPTS(bytes) ((const struct bpf_ksyscall_opts *)(const void *)(bytes))

TEST(the_struct_is_as_libbpf_has_it)
{
	CHECK_EQ(sizeof(struct bpf_ksyscall_opts), 24);
	CHECK_EQ(offsetof(struct bpf_ksyscall_opts, sz), 0);
	CHECK_EQ(COOKIE_AT, 8);
	CHECK_EQ(RETPROBE_AT, 16);
	CHECK_EQ(offsetof(struct bpf_ksyscall_opts, bpf_ksyscall_opts__last_field), 16);
}

TEST(a_size_less_than_its_own_is_invalid)
{
	struct programs p = LOAD(count);
	libbpf_set_print(NULL);
	for (size_t sz = 0; sz < sizeof(size_t); sz++)
		CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), CALL,
							 AS_OPTS(options(sz, 0, 0))),
			    EINVAL);
	unload(&p);
}

/* Attaches and tells by whether the call's return is seen if it is a return probe. */
static void attaches(struct programs *p, const unsigned char *opts, bool retprobe)
{
	struct bpf_link *link = ATTACH(program(p, "on_return"), CALL, AS_OPTS(opts));
	syscall(SYS_getpgid, NOBODY);
	/* At the entry, the register of the result holds something else. */
	CHECK_EQ((__s64)seen(p, ON_RETURN).result == -ESRCH, retprobe);
	DESTROY(link);
}

TEST(a_field_counts_only_if_the_size_covers_all_of_it)
{
	struct programs p = LOAD(count);
	attaches(&p, options(8, 0, 0), false);
	/* Half a cookie is none: on a kernel without cookies it is no error either. */
	for (size_t sz = 9; sz < 16; sz += 3)
		attaches(&p, options(sz, ~0ULL, 0), false);
	unload(&p);
}

TEST(a_size_of_16_has_the_cookie_only)
{
	if (!has_perf_links()) {
		struct programs p = LOAD(count);
		libbpf_set_print(NULL);
		CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), CALL,
							 AS_OPTS(options(16, SOME_COOKIE, 0))),
			    EOPNOTSUPP);
		attaches(&p, options(16, 0, 0), false);
		unload(&p);
		return;
	}
	struct programs p = LOAD(cookie);
	struct bpf_link *link = ATTACH(program(&p, "on_return_by_cookie"), CALL,
				       AS_OPTS(options(16, SOME_COOKIE, 0)));
	syscall(SYS_getpgid, NOBODY);
	CHECK_EQ(seen(&p, SOME_COOKIE % SLOTS).cookie, SOME_COOKIE);
	CHECK((__s64)seen(&p, SOME_COOKIE % SLOTS).result != -ESRCH);
	DESTROY(link);
	unload(&p);
}

/* What lies behind the size is not the options', whatever is there. */
TEST(what_the_size_does_not_cover_does_not_count)
{
	struct programs p = LOAD(count);
	struct bpf_ksyscall_opts opts;
	memset(&opts, 0xff, sizeof(opts));
	opts.sz = 8;
	attaches(&p, (unsigned char *)&opts, false);
	opts.bpf_cookie = 0;
	opts.sz = 16;
	attaches(&p, (unsigned char *)&opts, false);
	opts.sz = 17;
	attaches(&p, (unsigned char *)&opts, true);
	unload(&p);
}

TEST(a_size_of_17_and_more_has_all_fields)
{
	struct programs p = LOAD(count);
	attaches(&p, options(17, 0, 1), true);
	attaches(&p, options(24, 0, 1), true);
	attaches(&p, options(24, 0, 0), false);
	attaches(&p, options(4096, 0, 1), true);
	attaches(&p, options(PAGE * PAGES, 0, 1), true);
	unload(&p);
}

TEST(every_value_but_zero_is_a_return_probe)
{
	struct programs p = LOAD(count);
	attaches(&p, options(17, 0, 2), true);
	attaches(&p, options(24, 0, 0x80), true);
	unload(&p);
}

TEST(a_set_byte_behind_the_fields_is_invalid)
{
	static const size_t sizes[] = { 18, 24, 25, 4096 };
	struct programs p = LOAD(count);
	libbpf_set_print(NULL);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		unsigned char *opts = options(sizes[i], 0, 0);
		opts[17] = 1;
		CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), CALL, AS_OPTS(opts)),
			    EINVAL);
		opts[17] = 0;
		opts[sizes[i] - 1] = 0x80;
		CHECK_FAILS(bpf_program__attach_ksyscall(program(&p, "on_entry"), CALL, AS_OPTS(opts)),
			    EINVAL);
	}
	unload(&p);
}

TEST(the_struct_may_lie_anywhere)
{
	struct programs p = LOAD(count);
	unsigned char bytes[32];
	memcpy(bytes + 3, options(24, 0, 1), 24);
	attaches(&p, bytes + 3, true);
	unload(&p);
}

TEST(the_options_are_not_changed)
{
	struct programs p = LOAD(count);
	struct bpf_ksyscall_opts opts = { .sz = sizeof(opts), .retprobe = true }, before;
	memcpy(&before, &opts, sizeof(opts));
	DESTROY(ATTACH(program(&p, "on_return"), CALL, &opts));
	CHECK(memcmp(&before, &opts, sizeof(opts)) == 0);
	unload(&p);
}

MAIN
