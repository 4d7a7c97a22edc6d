/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests skeletons from older and from future libbpf versions: the library must pass all bytes of a
 * skeleton to libbpf and read no byte beyond the skeleton's end.
 */
#include "chosen.h"
#include "handed.h"

#include <sys/mman.h>

/* The structure's size has not changed since libbpf 0.0.6. */
_Static_assert(sizeof(struct bpf_object_skeleton) == 72, "a newer libbpf's skeleton");

enum { PROGRAMS = 5, ENTRY = 1, RETURN = 3 };

static struct bpf_map *map;
/* A table with one map. The row is 32 bytes long in libbpf 1.5 and later, and 24 bytes long in older versions. */
static const void *maps[4] = { "calls", &map };

/* Fills a skeleton of `size` bytes, with arbitrary data after the known fields. */
static void fill(void *skeleton, size_t size, struct chosen *chosen, const struct programs *p,
		 size_t map_size)
{
	struct bpf_object_skeleton *known = &chosen->skeleton;
	CHOOSE(chosen, p, "on_kprobe", "on_entry", "on_tracepoint", "on_return", "on_kprobe");
	map = bpf_object__find_map_by_name(p->object, "calls");
	known->sz = size;
	known->obj = (struct bpf_object **)&p->object;
	known->map_cnt = 1;
	known->map_skel_sz = (int)map_size;
	known->maps = (void *)maps;
	for (size_t i = 0; i < size; i++)
		((char *)skeleton)[i] = (char)(i * 37 + 1);
	memcpy(skeleton, known, size < sizeof(*known) ? size : sizeof(*known));
}

/* Returns `size` bytes that end at an unreadable page. */
static void *at_the_end_of_a_page(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pages != MAP_FAILED);
	CHECK(mprotect(pages + page, page, PROT_NONE) == 0);
	return pages + page - size;
}

static void attach_in_parts(size_t size, size_t map_size, struct programs *p)
{
	static char before[HANDED_BYTES];
	struct chosen chosen;
	void *skeleton = at_the_end_of_a_page(size);
	fill(skeleton, size, &chosen, p, map_size);
	memcpy(before, skeleton, size);
	handed_count = 0;
	CHECK_EQ(bpf_object__attach_skeleton(skeleton), 0);
	CHECK(memcmp(skeleton, before, size) == 0);
	/*
	 * The library attaches two of the five programs itself, and passes the other three to libbpf one by
	 * one.
	 */
	CHECK_EQ(handed_count, 3);
	for (int i = 0; i < handed_count; i++) {
		struct bpf_object_skeleton known;
		CHECK_EQ(handed[i].size, size);
		memcpy(&known, handed[i].bytes, sizeof(known));
		CHECK_EQ(known.prog_cnt, 1);
		CHECK(known.progs == &chosen.progs[2 * i]);
		CHECK_EQ(known.map_cnt, i == 2);
		CHECK(known.maps == (void *)maps);
		CHECK_EQ(known.map_skel_sz, map_size);
		CHECK(known.obj == (struct bpf_object **)&p->object);
		CHECK(memcmp(handed[i].bytes + sizeof(known), before + sizeof(known), size - sizeof(known)) ==
		      0);
	}
	for (int i = 0; i < PROGRAMS; i++)
		CHECK(chosen.links[i]);
	CHECK(fires(p, ON_ENTRY));
	destroy_links(&chosen);
}

TEST(all_bytes_of_a_skeleton_are_passed_on_and_no_more_are_read)
{
	static const size_t sizes[] = { sizeof(struct bpf_object_skeleton),
					sizeof(struct bpf_object_skeleton) + 8, 200, 512 };
	struct programs p = LOAD(sections);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		attach_in_parts(sizes[i], 24, &p);
		attach_in_parts(sizes[i], 32, &p);
	}
	unload(&p);
}

/* The library leaves to libbpf any skeleton that is too short to parse or too long for the buffer. */
TEST(shorter_and_very_long_skeletons_are_left_to_libbpf)
{
	static const size_t sizes[] = { 8, 32, sizeof(struct bpf_object_skeleton) - 8, 513, HANDED_BYTES };
	struct programs p = LOAD(sections);
	/* libbpf would read beyond a short skeleton. */
	hand_on = false;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct chosen chosen;
		void *skeleton = at_the_end_of_a_page(sizes[i]);
		fill(skeleton, sizes[i], &chosen, &p, 32);
		handed_count = 0;
		CHECK_EQ(bpf_object__attach_skeleton(skeleton), 0);
		CHECK_EQ(handed_count, 1);
		CHECK(handed[0].skeleton == skeleton);
		CHECK(memcmp(handed[0].bytes, skeleton, sizes[i]) == 0);
	}
	unload(&p);
}

TEST(a_skeleton_without_such_programs_is_passed_on_unchanged)
{
	struct programs p = LOAD(sections);
	struct chosen chosen;
	char skeleton[200] __attribute__((aligned(16)));
	fill(skeleton, sizeof(skeleton), &chosen, &p, 32);
	chosen.programs[ENTRY] = chosen.programs[RETURN] = program(&p, "on_kprobe");
	CHECK_EQ(bpf_object__attach_skeleton((void *)skeleton), 0);
	CHECK_EQ(handed_count, 1);
	CHECK(handed[0].skeleton == skeleton);
	destroy_links(&chosen);
	unload(&p);
}

MAIN
