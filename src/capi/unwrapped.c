/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Makes linking fail for programs that attach by section, if they are linked without the options in
 * libksyscall-static.pc. The linker links this file only into those programs. Without --wrap, nothing defines
 * the __real_ names, so linking fails. If this file did not exist, linking would succeed, and libbpf itself
 * would attach the programs, without any message.
 */
struct bpf_link;
struct bpf_object_skeleton;
struct bpf_program;

struct bpf_link *__real_bpf_program__attach(const struct bpf_program *prog);
int __real_bpf_object__attach_skeleton(struct bpf_object_skeleton *skeleton);

struct bpf_link *bpf_program__attach(const struct bpf_program *prog)
{
	return __real_bpf_program__attach(prog);
}

int bpf_object__attach_skeleton(struct bpf_object_skeleton *skeleton)
{
	return __real_bpf_object__attach_skeleton(skeleton);
}
