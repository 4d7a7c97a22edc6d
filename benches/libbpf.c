/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Attaches with bpf_program__attach_ksyscall(). If libksyscall is linked before libbpf, this calls
   libksyscall's function; otherwise, it calls libbpf's function. */
#include "bench.h"

#include <bpf/libbpf.h>

static struct bpf_program *program;

static void load(bool is_return)
{
	struct bpf_object *object = bpf_object__open_file("probe.bpf.o", NULL);

	if (!object || bpf_object__load(object))
		die("probe.bpf.o");
	program = bpf_object__find_program_by_name(object, is_return ? "on_return" : "on_entry");
	if (!program)
		die("no program");
}

static struct link *attach(const struct target *target, bool is_return)
{
	struct bpf_ksyscall_opts opts = { .sz = sizeof(opts), .retprobe = is_return };
	struct bpf_link *link = bpf_program__attach_ksyscall(program, target->call, &opts);

	if (!link)
		die(target->call);
	return (struct link *)link;
}

static void destroy(struct link *link)
{
	if (bpf_link__destroy((struct bpf_link *)link))
		die("bpf_link__destroy");
}
