/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How libksyscall.a finds libbpf: not by the dynamic linker, which does not know the
 * functions of a static one, but by the linker, as whatever libbpf the program is
 * linked with. In libksyscall.a these stand for dlsym(), dlopen(), dlclose() and
 * dladdr() (Makefile), for which libbpf.rs has the whole story.
 *
 * libbpf's own bpf_program__attach_ksyscall() is in the program as well, for it lies
 * in one object with all others. What leads to this library instead is the linker's
 * --wrap (libksyscall-static.pc), by which the program's calls go to __wrap_NAME, and
 * libbpf's own function is __real_NAME.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Weak: an old libbpf lacks some, and whoever does not wrap has no __real_ ones. */
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
/* Where the program's own code and data are. */
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

/* There is no other libbpf. */
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
	/* That of a static C library knows nothing of the program itself. */
	if ((const char *)address < __executable_start || (const char *)address >= _end)
		return dladdr ? dladdr(address, info) : 0;
	info->dli_fbase = (void *)__executable_start;
	info->dli_fname = "";
	return 1;
}
