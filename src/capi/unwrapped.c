/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Makes the linker fail for programs that attach by section without the linker options of
 * libksyscall-static.pc. Only such programs link this file, and then nothing defines the __real_ names,
 * which --wrap provides. Without this file libbpf alone would attach, without any message.
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
