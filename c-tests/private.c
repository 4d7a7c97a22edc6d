/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests a plugin with a private libbpf under an unusual file name, in a program without libbpf.
 * testing/test_artifact.py builds this source several times: as libbpf, as a plugin and as the program. The
 * plugin's calls must reach the plugin's libbpf, even if this library is preloaded or linked first.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(RTLD_DEEPBIND)
enum { UNLOADS = true };
#else /* musl has no RTLD_DEEPBIND and never unloads a library */
enum { RTLD_DEEPBIND = 0, UNLOADS = false };
#endif

typedef int print_fn(int level, const char *format, void *arguments);

struct skeleton {
	size_t numbers[16];
};

enum { ITS_ANSWER = 42 };

/* The start of struct bpf_program as libbpf 1.0 to 1.7 define it. */
struct bpf_program {
	char *name, *section_name;
	size_t section_index;
	const void *section_definition;
};

print_fn *libbpf_set_print(print_fn *print);
int bpf_object__attach_skeleton(struct skeleton *skeleton);
struct bpf_program *new_program(void);
void *bpf_program__attach(const struct bpf_program *prog);
const char *use(void);

#if defined(LIBBPF) /* the symbols that the library looks up or the plugin calls */
static print_fn *current;

static int definition = 1;

/* `first` shifts the functions that follow it, so that they have different addresses in the second libbpf. */
#if defined(OTHER)
int first(int number);
int first(int number)
{
	while (number & 1)
		number = number * 5 + 3;
	return number;
}
#endif

int bpf_program__fd(const struct bpf_program *prog);
int bpf_program__fd(const struct bpf_program *prog)
{
	(void)prog;
	return -1;
}

int bpf_program__type(const struct bpf_program *prog);
int bpf_program__type(const struct bpf_program *prog)
{
	enum { BPF_PROG_TYPE_KPROBE = 2 };
	if (prog->section_definition != &definition)
		abort();
	return BPF_PROG_TYPE_KPROBE;
}

const char *bpf_program__section_name(const struct bpf_program *prog);
const char *bpf_program__section_name(const struct bpf_program *prog)
{
	return prog->section_name;
}

void *bpf_program__attach(const struct bpf_program *prog)
{
	return prog->section_definition == &definition ? &definition : NULL;
}

struct bpf_program *new_program(void)
{
	struct bpf_program *prog = malloc(sizeof(*prog));
	*prog = (struct bpf_program){ strdup("name"), strdup("kprobe/name"), 0, &definition };
	return prog;
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
	/* The second call uses the addresses that the first call cached. */
	for (int i = 0; i < 2; i++) {
		struct bpf_program *prog = new_program();
		if (!bpf_program__attach(prog))
			return "bpf_program__attach() did not arrive";
		free(prog->name), free(prog->section_name), free(prog);
	}
	return "all arrived";
}
#else
/* Loads, uses and unloads each plugin in turn. Arguments: local|deepbind PLUGIN... */
int main(int argc, char **argv)
{
	int flags = argc > 1 && strcmp(argv[1], "deepbind") == 0 ? RTLD_DEEPBIND : RTLD_LOCAL;
	for (int i = 2; i < argc; i++) {
		void *plugin = dlopen(argv[i], RTLD_NOW | flags);
		const char *(*used)(void);
		void *function = plugin ? dlsym(plugin, "use") : NULL;
		if (!function)
			return puts(dlerror()), 1;
		memcpy(&used, &function, sizeof(used));
		puts(used());
		if (dlclose(plugin) || (UNLOADS && dlopen(argv[i], RTLD_NOW | RTLD_NOLOAD)))
			return puts("the plugin is still loaded"), 1;
	}
	return 0;
}
#endif
