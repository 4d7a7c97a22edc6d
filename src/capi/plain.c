/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Defines the function under its own name, for programs that link libksyscall.a without the linker options in
 * libksyscall-static.pc. If they also link a static libbpf, which defines the function too, the linker
 * reports an error instead of silently choosing libbpf's definition.
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
