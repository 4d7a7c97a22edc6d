/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What syscall.S leaves to C: errno, and perf_event_open(), which goes to syscall.rs if the library
 * was preloaded.
 */
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* Makes a system call like syscall(2). */
long ksyscall_raw(long number, long a, long b, long c, long d, long e, long f)
	__attribute__((visibility("hidden")));
long ksyscall_fail(long result) __attribute__((visibility("hidden")));

/* Ends a system call that returned an error. */
long ksyscall_fail(long result)
{
	errno = (int)-result;
	return -1;
}

/* The architectures of syscall.S. */
#if !(defined(__x86_64__) && !defined(__ILP32__)) && !defined(__i386__) && !defined(__aarch64__) && \
	!defined(__arm__) && !(defined(__riscv) && __riscv_xlen == 64) && !defined(__s390x__) &&    \
	!(defined(__powerpc64__) && _CALL_ELF == 2)
long ksyscall_raw(long number, long a, long b, long c, long d, long e, long f)
{
	return syscall(number, a, b, c, d, e, f);
}

#elif !defined(KSYSCALL_STATIC)

/* In Rust, in syscall.rs: returns a descriptor or a negative errno. */
long ksyscall_open_probe(long attr, long pid, long cpu, long group_fd, long flags);
long ksyscall_perf_event_open(long number, long attr, long pid, long cpu, long group_fd, long flags)
	__attribute__((visibility("hidden")));

/* This library's dynamic section. */
extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

/* What a dynamic section has under that tag; 0 if nothing. */
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
	/* glibc adds the address to the entry, except where that section is read-only. */
	return (const char *)(table < file->l_addr ? table + file->l_addr : table);
}

/* Whether a file is the one that DT_NEEDED names so. */
static bool is_called(const struct link_map *file, const char *needed)
{
	const char *name = strrchr(file->l_name, '/');
	ElfW(Addr) soname;
	if (strcmp(file->l_name, needed) == 0 || (name && strcmp(name + 1, needed) == 0))
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

/* The program's own entry, which is the first of the loader's list. */
static const struct link_map *program(void)
{
	const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
	size_t count = getauxval(AT_PHNUM);
	const ElfW(Dyn) *dynamic = NULL;
	ElfW(Addr) base = 0;
	const struct r_debug *loader;
	if (!headers)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (headers[i].p_type == PT_PHDR)
			base = (ElfW(Addr))headers - headers[i].p_vaddr;
	for (size_t i = 0; i < count; i++)
		if (headers[i].p_type == PT_DYNAMIC)
			dynamic = (const void *)(base + headers[i].p_vaddr);
	loader = dynamic ? (const void *)tagged(dynamic, DT_DEBUG) : NULL;
	return loader ? loader->r_map : NULL;
}

/*
 * Whether this library was preloaded. LD_PRELOAD does not tell: the program may have changed it
 * since, and there is /etc/ld.so.preload. The loader's list of files does. After the program it has
 * the preloaded files, then those that the program needs, then what these need, then what dlopen()
 * has loaded. So the library was preloaded if it comes before all that the program needs and is none of
 * these itself. A program that is linked to the library is thus left alone, preloaded or not.
 *
 * No lock is taken: the list is read up to the first file that the program needs, and no file up to there
 * is ever unloaded.
 */
static bool was_preloaded(void)
{
	const struct link_map *first = program();
	const struct link_map *file = first ? first->l_next : NULL;
	for (; file && !needs(first, file); file = file->l_next)
		if (file->l_ld == _DYNAMIC)
			return true;
	return false;
}

/* Whether probes are looked at. It is found out when the first event is opened, and stays so. */
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
