/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Finds libbpf for libksyscall.a. The dynamic linker cannot look up the functions of a static libbpf, so
 * the linker binds the references below to the libbpf that the program is linked with. In libksyscall.a, the
 * functions in this file replace dlsym(), dlopen(), dlclose() and dladdr(), which libbpf.rs calls (see the
 * Makefile).
 *
 * The program also contains libbpf's own bpf_program__attach_ksyscall(), because libbpf defines all its
 * functions in one object file. The linker's --wrap (libksyscall-static.pc) redirects the program's
 * calls to __wrap_NAME, and names libbpf's function __real_NAME.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* The references are weak: an old libbpf lacks some functions, and only --wrap provides __real_ functions. */
/* clang-format off */
#define FUNCTIONS(one) \
	one("bpf_program__fd", bpf_program__fd) \
	one("bpf_program__name", bpf_program__name) \
	one("bpf_program__type", bpf_program__type) \
	one("bpf_program__section_name", bpf_program__section_name) \
	one("bpf_program__autoload", bpf_program__autoload) \
	one("bpf_program__autoattach", bpf_program__autoattach) \
	one("bpf_program__attach_perf_event_opts", bpf_program__attach_perf_event_opts) \
	one("bpf_link__destroy", bpf_link__destroy) \
	one("bpf_link__fd", bpf_link__fd) \
	one("bpf_link__pin_path", bpf_link__pin_path) \
	one("bpf_link__disconnect", bpf_link__disconnect) \
	one("bpf_program__attach", __real_bpf_program__attach) \
	one("bpf_object__attach_skeleton", __real_bpf_object__attach_skeleton) \
	one("libbpf_set_print", __real_libbpf_set_print)
/* clang-format on */

#define DECLARE(name, function) extern void function(void) __attribute__((weak));
FUNCTIONS(DECLARE)

static const struct {
	const char *name;
	void (*function)(void);
} functions[] = {
#define ROW(name, function) { name, function },
	FUNCTIONS(ROW)
};

extern __typeof__(dladdr) dladdr __attribute__((weak));
/* The bounds of the program's code and data. */
extern const char __executable_start[] __attribute__((weak)), _end[] __attribute__((weak));

void *ksyscall_dlsym(void *handle, const char *name)
{
	void *address = NULL;
	(void)handle;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (strcmp(functions[i].name, name) == 0)
			memcpy(&address, &functions[i].function, sizeof(address));
	return address;
}

FILE *ksyscall_stderr(void)
{
	return stderr;
}

/* This dlopen() always fails, because the program contains only the static libbpf. */
void *ksyscall_dlopen(const char *name, int flags)
{
	(void)name, (void)flags;
	return NULL;
}

int ksyscall_dlclose(void *handle)
{
	(void)handle;
	return 0;
}

int ksyscall_dladdr(const void *address, Dl_info *info)
{
	/* In a static C library, dladdr() does not recognise the program itself. */
	if ((const char *)address < __executable_start || (const char *)address >= _end)
		return dladdr ? dladdr(address, info) : 0;
	info->dli_fbase = (void *)__executable_start;
	info->dli_fname = "";
	return 1;
}
