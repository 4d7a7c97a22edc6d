/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Exports this library's replacements for libbpf functions. They are written in C because they call the
 * program's print callback: a C++ exception or a thread cancellation in the callback can unwind through these
 * frames, just as through libbpf's frames. When the callback runs, the Rust code has already returned and
 * holds no resources.
 *
 * In libksyscall.a, the functions have the names that the linker's --wrap redirects calls to; see static.c.
 */
#include "say.h"

#ifdef KSYSCALL_STATIC
#define EXPORT(name) __wrap_##name
#else
#define EXPORT(name) name
#endif

/* The address that the exported function was called from. */
#define CALLER __builtin_return_address(0)

struct bpf_ksyscall_opts {
	size_t sz;
	unsigned long long bpf_cookie;
	bool retprobe;
	size_t : 0;
};

/* Defined in mod.rs, auto.rs and print.rs. */
bool ksyscall_attach(const struct bpf_program *prog, const char *syscall_name,
		     const struct bpf_ksyscall_opts *opts, bool may_warn, struct answer *answer);
const char *ksyscall_of_section(const struct bpf_program *prog, bool *retprobe);
bool ksyscall_is_automatic(const struct bpf_program *prog);
void *ksyscall_libbpfs_own(const struct bpf_program *prog, const char *name, const void *caller);
print_fn *ksyscall_set_print(print_fn *print, const void *caller);
print_fn *ksyscall_found_print(void);

/* The callback that libbpf calls while print.rs has replaced the program's callback. */
__attribute__((visibility("hidden"))) int ksyscall_hold_print(int level, const char *format,
							      va_list arguments)
{
	print_fn *print = ksyscall_found_print();
	return print ? print(level, format, arguments) : 0;
}

struct bpf_link *EXPORT(bpf_program__attach_ksyscall)(const struct bpf_program *prog,
						      const char *syscall_name,
						      const struct bpf_ksyscall_opts *opts)
{
	struct answer answer;
	begin(&answer);
	/* Print warnings before the attach: a callback that does not return must leave nothing attached. */
	if (!ksyscall_attach(prog, syscall_name, opts, true, &answer)) {
		say(&answer);
		ksyscall_attach(prog, syscall_name, opts, false, &answer);
	}
	if (!answer.link) {
		say(&answer);
		errno = answer.error;
	}
	return answer.link;
}

static struct bpf_link *attach_by_section(const struct bpf_program *prog, const char *syscall_name,
					  bool retprobe)
{
	/* sz excludes the padding, because the padding's bytes are not necessarily zero. */
	struct bpf_ksyscall_opts opts = {
		.sz = offsetof(struct bpf_ksyscall_opts, retprobe) + sizeof(opts.retprobe),
		.retprobe = retprobe,
	};
	return EXPORT(bpf_program__attach_ksyscall)(prog, syscall_name, &opts);
}

/* Fails and prints the reason: either no libbpf is loaded, or no system call is named `function`. */
static struct bpf_link *no_libbpf(const struct bpf_program *prog, const char *function)
{
	return attach_by_section(prog, function, false);
}

struct bpf_link *EXPORT(bpf_program__attach)(const struct bpf_program *prog)
{
	struct bpf_link *(*own)(const struct bpf_program *);
	bool retprobe;
	const char *syscall_name = ksyscall_of_section(prog, &retprobe);
	if (syscall_name)
		return attach_by_section(prog, syscall_name, retprobe);
	*(void **)&own = ksyscall_libbpfs_own(prog, "bpf_program__attach", CALLER);
	if (own)
		return own(prog);
	return no_libbpf(prog, "bpf_program__attach");
}

/* These declarations match libbpf.h. Code that `bpftool gen skeleton` generates fills in the structures. */
struct bpf_prog_skeleton {
	const char *name;
	struct bpf_program **prog;
	struct bpf_link **link;
};

struct bpf_object_skeleton {
	size_t sz;
	const char *name;
	const void *data;
	size_t data_sz;
	struct bpf_object **obj;
	int map_cnt;
	int map_skel_sz;
	void *maps;
	int prog_cnt;
	int prog_skel_sz;
	char *progs;
};

/* A part of a skeleton: consecutive programs that libbpf attaches. */
union part {
	struct bpf_object_skeleton skeleton;
	/* The fields above occupy at most 72 bytes; a newer libbpf may append fields. */
	char bytes[512];
};

static int attach_by_libbpf(struct bpf_object_skeleton *skeleton, const struct bpf_program *prog,
			    const void *caller)
{
	int (*own)(struct bpf_object_skeleton *);
	*(void **)&own = ksyscall_libbpfs_own(prog, "bpf_object__attach_skeleton", caller);
	if (own)
		return own(skeleton);
	no_libbpf(prog, "bpf_object__attach_skeleton");
	return -errno;
}

/*
 * Attaches the programs in libbpf's order: if a program cannot be attached, the programs before it stay
 * attached, and the programs after it are not attached. This function attaches the ksyscall programs itself.
 * It passes the other programs, and finally the maps, to libbpf. libbpf skips programs that already have a
 * link, and programs for which automatic attachment is disabled.
 *
 * Usually, libbpf receives a copy of all `sz` bytes of the caller's skeleton. It receives the original if
 * this library attaches none of the programs, or if the skeleton is too short or too long for the copy.
 */
int EXPORT(bpf_object__attach_skeleton)(struct bpf_object_skeleton *skeleton)
{
	const struct bpf_program *prog = NULL;
	bool is_whole = true;
	union part part;
	if (skeleton->sz < offsetof(struct bpf_object_skeleton, progs) + sizeof(skeleton->progs) ||
	    skeleton->sz > sizeof(part))
		return attach_by_libbpf(skeleton, NULL, CALLER);
	memcpy(&part, skeleton, skeleton->sz);
	part.skeleton.prog_cnt = 0;
	part.skeleton.map_cnt = 0;
	for (int left = skeleton->prog_cnt; left > 0; left--) {
		size_t start = (size_t)part.skeleton.prog_cnt * (size_t)part.skeleton.prog_skel_sz;
		struct bpf_prog_skeleton *in = (void *)(part.skeleton.progs + start);
		const char *syscall_name;
		bool retprobe;
		int error;
		prog = *in->prog;
		syscall_name = ksyscall_of_section(prog, &retprobe);
		if (!syscall_name || *in->link || !ksyscall_is_automatic(prog)) {
			part.skeleton.prog_cnt++;
			continue;
		}
		error = attach_by_libbpf(&part.skeleton, prog, CALLER);
		if (error)
			return error;
		*in->link = attach_by_section(prog, syscall_name, retprobe);
		if (!*in->link)
			return -errno;
		part.skeleton.progs = (char *)in + part.skeleton.prog_skel_sz;
		part.skeleton.prog_cnt = 0;
		is_whole = false;
	}
	part.skeleton.map_cnt = skeleton->map_cnt;
	return attach_by_libbpf(is_whole ? skeleton : &part.skeleton, prog, CALLER);
}

print_fn *EXPORT(libbpf_set_print)(print_fn *print)
{
	return ksyscall_set_print(print, CALLER);
}

#ifdef __ARM_EABI__
/* Object files reference these names only to link in the unwinder, which defines the real functions. */
__attribute__((visibility("hidden"))) void __aeabi_unwind_cpp_pr0(void)
{
}
__attribute__((visibility("hidden"))) void __aeabi_unwind_cpp_pr1(void)
{
}
#endif
