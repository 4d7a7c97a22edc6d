/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Implements the parts of syscall() that syscall.S leaves to C: sets errno, and passes perf_event_open() to
 * syscall.rs if the library was preloaded.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* Makes a system call, like syscall(2). */
long ksyscall_raw(long number, long a, long b, long c, long d, long e, long f)
	__attribute__((visibility("hidden")));
long ksyscall_fail(long result) __attribute__((visibility("hidden")));

/* Sets errno and returns -1 after a system call that failed. */
long ksyscall_fail(long result)
{
	errno = (int)-result;
	return -1;
}

/* For architectures that syscall.S does not support. */
#if !(defined(__x86_64__) && !defined(__ILP32__)) && !defined(__i386__) && !defined(__aarch64__) && \
	!defined(__arm__) && !(defined(__riscv) && __riscv_xlen == 64) && !defined(__s390x__) &&    \
	!(defined(__powerpc64__) && _CALL_ELF == 2)
long ksyscall_raw(long number, long a, long b, long c, long d, long e, long f)
{
	return syscall(number, a, b, c, d, e, f);
}

#elif !defined(KSYSCALL_STATIC)

/* Defined in syscall.rs. Returns a descriptor or a negative errno. */
long ksyscall_open_probe(long attr, long pid, long cpu, long group_fd, long flags);
long ksyscall_perf_event_open(long number, long attr, long pid, long cpu, long group_fd, long flags)
	__attribute__((visibility("hidden")));

/* This library's dynamic section. */
extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

/* Returns the value of a tag in a dynamic section, or 0 if the tag is missing. */
static ElfW(Addr) tagged(const ElfW(Dyn) * dynamic, ElfW(Sxword) tag)
{
	for (; dynamic->d_tag != DT_NULL; dynamic++)
		if (dynamic->d_tag == tag)
			return dynamic->d_un.d_ptr;
	return 0;
}

static const char *strings(const struct link_map *file)
{
	ElfW(Addr) table = tagged(file->l_ld, DT_STRTAB);
	/* glibc adds the load address to the entry, unless the dynamic section is read-only. */
	return (const char *)(table < file->l_addr ? table + file->l_addr : table);
}

/* Returns whether a DT_NEEDED entry refers to this file. */
static bool is_called(const struct link_map *file, const char *needed)
{
	const char *slash = strrchr(file->l_name, '/');
	const char *name = slash ? slash + 1 : file->l_name;
	ElfW(Addr) soname;
	if (strcmp(file->l_name, needed) == 0 || strcmp(name, needed) == 0)
		return true;
	/* musl's loader is also its C library, which programs need as libc.so. */
	if (strncmp(name, "ld-musl-", 8) == 0 && strncmp(needed, "libc.", 5) == 0)
		return true;
	soname = tagged(file->l_ld, DT_SONAME);
	return soname && strcmp(strings(file) + soname, needed) == 0;
}

static bool needs(const struct link_map *program, const struct link_map *file)
{
	for (const ElfW(Dyn) *dynamic = program->l_ld; dynamic->d_tag != DT_NULL; dynamic++)
		if (dynamic->d_tag == DT_NEEDED && is_called(file, strings(program) + dynamic->d_un.d_val))
			return true;
	return false;
}

/* Returns the first entry in the loader's list of files, which describes the program itself. */
static const struct link_map *program(void)
{
	const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
	size_t count = getauxval(AT_PHNUM);
	const ElfW(Phdr) *own = NULL;
	const ElfW(Dyn) *dynamic = NULL;
	const struct r_debug *loader;
	ElfW(Addr) base;
	if (!headers)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (headers[i].p_type == PT_PHDR)
			own = &headers[i];
	/*
	 * If musl's loader was run as a command, these are the headers of the loader, which has no PT_PHDR.
	 * The handle of a program is the address of its entry in the list.
	 */
	if (!own)
		return dlopen(NULL, RTLD_LAZY);
	base = (ElfW(Addr))headers - own->p_vaddr;
	for (size_t i = 0; i < count; i++)
		if (headers[i].p_type == PT_DYNAMIC)
			dynamic = (const void *)(base + headers[i].p_vaddr);
	loader = dynamic ? (const void *)tagged(dynamic, DT_DEBUG) : NULL;
	return loader ? loader->r_map : NULL;
}

/*
 * Returns whether this library was preloaded. LD_PRELOAD is not reliable: the program may have changed it,
 * and /etc/ld.so.preload has the same effect. The loader's list of files is reliable. It contains, in this
 * order: the program, the preloaded files, the files that the program needs, the files that those files need,
 * and the files loaded by dlopen(). A preloaded file can also be a file that the program needs (for example,
 * libasan.so must be preloaded first), so some needed files may come before this library. So the library was
 * preloaded if it comes before a file that the program needs and is not one of those files itself. A program
 * that is linked to the library therefore keeps its probes unchanged, even if the library is also preloaded.
 *
 * The function reads the list without a lock, but only up to the last file that the program needs. The loader
 * never unloads any file up to that point.
 */
static bool was_preloaded(void)
{
	const struct link_map *first = program();
	const struct link_map *file = first ? first->l_next : NULL;
	bool is_found = false;
	size_t left = 0;
	if (file)
		for (const ElfW(Dyn) *dynamic = first->l_ld; dynamic->d_tag != DT_NULL; dynamic++)
			left += dynamic->d_tag == DT_NEEDED;
	for (; file && left > 0; file = file->l_next) {
		bool is_needed = needs(first, file);
		if (is_needed && is_found)
			return true;
		if (file->l_ld == _DYNAMIC) {
			if (is_needed)
				return false;
			is_found = true;
		}
		left -= is_needed;
	}
	return false;
}

/* Whether to inspect probes. The answer is determined when the first event is opened, and never changes. */
static bool is_active(void)
{
	enum { UNKNOWN, ACTIVE, INACTIVE };
	static int state = UNKNOWN;
	int found = __atomic_load_n(&state, __ATOMIC_RELAXED);
	if (found == UNKNOWN) {
		found = !getauxval(AT_SECURE) && was_preloaded() ? ACTIVE : INACTIVE;
		__atomic_store_n(&state, found, __ATOMIC_RELAXED);
	}
	return found == ACTIVE;
}

long ksyscall_perf_event_open(long number, long attr, long pid, long cpu, long group_fd, long flags)
{
	int error = errno;
	long opened;
	if (!is_active())
		return ksyscall_raw(number, attr, pid, cpu, group_fd, flags, 0);
	opened = ksyscall_open_probe(attr, pid, cpu, group_fd, flags);
	if (opened < 0)
		return ksyscall_fail(opened);
	errno = error;
	return opened;
}
#endif
