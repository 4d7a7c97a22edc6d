/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Attaches programs by their sections. Cases are named section/PROGRAM. */
#include "answers.h"

EMBED(auto, BPF_FOLDER "/auto.bpf.o");

void ask_sections(void)
{
#ifdef LIBBPF_MAJOR_VERSION
	static const struct {
		const char *program;
		__u32 slot;
		long number;
	} sections[] = {
		{ "on_getpgid", 0, SYS_getpgid }, { "on_getpgid_return", 1, SYS_getpgid },
		{ "on_stat", 2, SYS_stat },	  { "on_uname", 3, SYS_uname },
		{ "on_unknown", 4, SYS_getpgid },
	};
	struct bpf_object *object = open_object(start_auto, end_auto);
	struct programs p = { object, -1 };
	CHECK(bpf_program__set_autoload(program(&p, "on_unknown"), true) == 0);
	CHECK(bpf_object__load(object) == 0);
	p.calls = watch(object);
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
