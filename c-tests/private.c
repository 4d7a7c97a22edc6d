/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A plugin with a libbpf of its own, under a name that nobody else finds, in a program
 * without libbpf: three files in one, for testing/test_artifact.py. The calls of the
 * plugin arrive at its libbpf, also with the library preloaded.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef int print_fn(int level, const char *format, void *arguments);

struct skeleton {
	size_t numbers[16];
};

enum { ITS_ANSWER = 42 };

print_fn *libbpf_set_print(print_fn *print);
int bpf_object__attach_skeleton(struct skeleton *skeleton);
const char *use(void);

#if defined(LIBBPF) /* what the library looks for in one, and what is called here */
static print_fn *current;

int bpf_program__fd(const void *prog);
int bpf_program__fd(const void *prog)
{
	(void)prog;
	return -1;
}

print_fn *libbpf_set_print(print_fn *print)
{
	print_fn *previous = current;
	current = print;
	return previous;
}

int bpf_object__attach_skeleton(struct skeleton *skeleton)
{
	(void)skeleton;
	return ITS_ANSWER;
}
#elif defined(PLUGIN)
static int quiet(int level, const char *format, void *arguments)
{
	(void)level, (void)format, (void)arguments;
	return 0;
}

const char *use(void)
{
	struct skeleton maps_alone = { { sizeof(maps_alone) } };
	libbpf_set_print(quiet);
	if (libbpf_set_print(quiet) != quiet)
		return "libbpf_set_print() did not arrive";
	if (bpf_object__attach_skeleton(&maps_alone) != ITS_ANSWER)
		return "bpf_object__attach_skeleton() did not arrive";
	return "both arrived";
}
#else
int main(int argc, char **argv)
{
	void *plugin = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	const char *(*used)(void);
	void *function = plugin ? dlsym(plugin, "use") : NULL;
	if (!function)
		return puts(dlerror()), 1;
	memcpy(&used, &function, sizeof(used));
	puts(used());
	return 0;
}
#endif
