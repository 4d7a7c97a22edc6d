/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * These are linked only into programs that attach by section without the linker's
 * options of libksyscall-static.pc. It is an error of the linker then, for nothing has
 * the names that --wrap makes: else libbpf alone would attach, without a word.
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
