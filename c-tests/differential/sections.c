/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Attaches programs by their sections. Cases are named section/PROGRAM. */
#include "answers.h"

EMBED(sections, BPF_FOLDER "/sections.bpf.o");

void ask_sections(void)
{
#ifdef LIBBPF_MAJOR_VERSION
	static const struct {
		const char *program;
		__u32 slot;
		long number;
	} sections[] = {
		{ "on_entry", ON_ENTRY, SYS_getpgid },
		{ "on_return", ON_RETURN, SYS_getpgid },
		{ "on_stat", ON_STAT, SYS_stat },
		{ "on_no_call", ON_ENTRY, SYS_getpgid },
	};
	struct programs p = LOAD(sections);
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		begin("section/%s", sections[i].program);
		errno = 0;
		struct bpf_link *link = bpf_program__attach(program(&p, sections[i].program));
		if (link) {
			part("link");
			syscall(sections[i].number, NOBODY, -1, -1);
			part("runs %llu", (unsigned long long)counted(&p, sections[i].slot));
			say_destroy(link);
		} else {
			part("%s", errno_name(errno));
		}
		finish();
	}
	unload(&p);
#endif
}
