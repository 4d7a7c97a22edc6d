/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Simulates a tool that is built like the libbpf-bootstrap examples, with libbpf.a and a shared C library.
 * The tool attaches the programs one by one and continues if libbpf cannot attach one of them.
 */
#include <sys/utsname.h>

#include "client.h"
#include "inside.skel.h"

int main(void)
{
	static const char *const names[] = { "stat", "umount2", "uname", "__x64_sys_stat" };
	struct inside_bpf *skeleton = inside_bpf__open();
	struct utsname name;
	struct stat seen;
	CHECK(skeleton);
	skeleton->rodata->traced = getpid();
	CHECK(inside_bpf__load(skeleton) == 0);
	libbpf_set_print(NULL);
	struct bpf_program *programs[] = { skeleton->progs.on_stat, skeleton->progs.on_umount2,
					   skeleton->progs.on_uname, skeleton->progs.on_old_stat };
	struct bpf_link *links[4];
	for (int i = 0; i < 4; i++) {
		links[i] = bpf_program__attach(programs[i]);
		/* Before 1.0, libbpf returns an error pointer. */
		if (libbpf_get_error(links[i]))
			links[i] = NULL;
	}
	for (int i = 0; i < 3; i++) {
		syscall(SYS_stat, "/", &seen);
		syscall(SYS_umount2, "", 0);
		syscall(SYS_uname, &name);
	}
	for (int i = 0; i < 4; i++)
		printf("%s was seen %lu times of 3\n", names[i], skeleton->bss->counts[i]);
	for (int i = 0; i < 4; i++)
		bpf_link__destroy(links[i]);
	inside_bpf__destroy(skeleton);
	return 0;
}
