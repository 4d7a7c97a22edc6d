/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* All arguments of calls with known ones, and a sleepable program, by section. */
#include "client.h"
#include "arguments.skel.h"

static int silent(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level, (void)format, (void)arguments;
	return 0;
}

static void saw_all(const char *way, const unsigned long *seen, int count)
{
	printf("saw %s", way);
	for (int i = 0; i < count; i++)
		printf(" %#lx", seen[i]);
	printf("\n");
}

/* Loads, for kprobe programs may be sleepable; only uprobes run them (Linux 6.0). */
static void sleepable(void)
{
	struct arguments_bpf *skeleton = arguments_bpf__open();
	CHECK(skeleton);
	struct bpf_program *program;
	bpf_object__for_each_program(program, skeleton->obj)
		CHECK(bpf_program__set_autoload(program, false) == 0);
	program = skeleton->progs.on_sleepable;
	CHECK(bpf_program__set_autoload(program, true) == 0);
	CHECK(bpf_program__set_flags(program, BPF_F_SLEEPABLE) == 0);
	CHECK(arguments_bpf__load(skeleton) == 0);
	libbpf_print_fn_t print = libbpf_set_print(silent);

	did("sleepable: skeleton %d", -EINVAL);
	saw("sleepable: skeleton %d", arguments_bpf__attach(skeleton));
	did("sleepable: section %d", EINVAL);
	errno = 0;
	CHECK(!bpf_program__attach(program));
	saw("sleepable: section %d", errno);
	did("sleepable: name %d", EINVAL);
	errno = 0;
	CHECK(!bpf_program__attach_ksyscall(program, "getpgid", NULL));
	saw("sleepable: name %d", errno);
	libbpf_set_print(print);
	arguments_bpf__destroy(skeleton);
}

int main(void)
{
	struct arguments_bpf *skeleton = arguments_bpf__open();
	CHECK(skeleton);
	skeleton->rodata->traced = getpid();
	CHECK(arguments_bpf__load(skeleton) == 0);
	/* The section has no name: the skeleton passes over it. */
	CHECK(arguments_bpf__attach(skeleton) == 0);
	CHECK(!skeleton->links.on_probe_read);
	LIBBPF_OPTS(bpf_ksyscall_opts, opts, .bpf_cookie = 0xc00c1e);
	skeleton->links.on_probe_read = bpf_program__attach_ksyscall(skeleton->progs.on_probe_read,
								     "copy_file_range", &opts);
	CHECK(skeleton->links.on_probe_read);

	/* The kernel looks at the flags first, and has none. */
	long result = RESULT(syscall(SYS_copy_file_range, 101, 0x1111111122222222, 103, 0x4444444433333333,
				     0x5555555566666666, 0x77777777));
	static const char *const six = "0x65 0x1111111122222222 0x67 0x4444444433333333 "
				       "0x5555555566666666 0x77777777";
	did("ksyscall %s", six);
	saw_all("ksyscall", skeleton->bss->by_ksyscall, 6);
	did("core %s", six);
	saw_all("core", skeleton->bss->by_core, 6);
	did("probe_read %s", six);
	saw_all("probe_read", skeleton->bss->by_probe_read, 6);
	did("cookie 0xc00c1e, calls 1, result %ld", result);
	saw("cookie %#lx, calls %lu, result %ld", skeleton->bss->cookie, skeleton->bss->calls,
	    skeleton->bss->result);

	syscall(SYS_prctl, 0x7ead, 2UL << 40, 3UL << 40, 4UL << 40, 5UL << 40);
	did("prctl 0x7ead 0x20000000000 0x30000000000 0x40000000000 0x50000000000");
	saw_all("prctl", skeleton->bss->five, 5);

	arguments_bpf__destroy(skeleton);
	sleepable();
	return 0;
}
