/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Skeletons with programs from sections.bpf.c. */
#ifndef CHOSEN_H
#define CHOSEN_H

#include "programs.h"

EMBED(sections, BPF_FOLDER "/sections.bpf.o");

/* A skeleton with chosen programs in a chosen order, in the format that `bpftool gen skeleton` generates. */
enum { MOST = 8 };
struct chosen {
	struct bpf_object_skeleton skeleton;
	struct bpf_prog_skeleton progs[MOST];
	struct bpf_program *programs[MOST];
	struct bpf_link *links[MOST];
};

static inline void choose(struct chosen *chosen, const struct programs *p, const char *const *names)
{
	memset(chosen, 0, sizeof(*chosen));
	int count = 0;
	for (; names[count]; count++) {
		CHECK(count < MOST);
		chosen->programs[count] = program(p, names[count]);
		chosen->progs[count].name = names[count];
		chosen->progs[count].prog = &chosen->programs[count];
		chosen->progs[count].link = &chosen->links[count];
	}
	chosen->skeleton.sz = sizeof(chosen->skeleton);
	chosen->skeleton.prog_cnt = count;
	chosen->skeleton.prog_skel_sz = sizeof(chosen->progs[0]);
	chosen->skeleton.progs = chosen->progs;
}

#define CHOOSE(chosen, p, ...) choose(chosen, p, (const char *const[]){ __VA_ARGS__, NULL })

static inline void destroy_links(struct chosen *chosen)
{
	for (int i = 0; i < chosen->skeleton.prog_cnt; i++)
		DESTROY(chosen->links[i]);
}

#endif
