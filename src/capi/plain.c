/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The function under its own name, for programs that are linked with libksyscall.a
 * but without the linker's options of libksyscall-static.pc. A static libbpf brings a
 * definition too: that is an error of the linker then, and not silently libbpf's.
 */
struct bpf_link;
struct bpf_program;
struct bpf_ksyscall_opts;

struct bpf_link *__wrap_bpf_program__attach_ksyscall(const struct bpf_program *prog, const char *syscall_name,
						     const struct bpf_ksyscall_opts *opts);

struct bpf_link *bpf_program__attach_ksyscall(const struct bpf_program *prog, const char *syscall_name,
					      const struct bpf_ksyscall_opts *opts)
{
	return __wrap_bpf_program__attach_ksyscall(prog, syscall_name, opts);
}
