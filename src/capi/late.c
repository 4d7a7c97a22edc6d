/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Looks up rarely used functions of the C library when they are called, instead of importing them. The
 * dynamic linker executes some 800 instructions for each function that a library imports, in every
 * process that this library is preloaded into.
 *
 * The linker's --wrap redirects the calls to this file. The Makefile finds the functions' names in the lines
 * that begin with LATE. libksyscall.a calls the functions directly and does not contain this file.
 */
#define _GNU_SOURCE
/* Rust calls mmap() and clock_gettime() with their default types, which macros in CFLAGS may change. */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/*
 * Without this pragma, each function would need an entry in the global offset table, which the dynamic linker
 * would relocate at load time.
 */
#pragma GCC visibility push(hidden)

/* ISO C does not allow `return f();` in a void function. */
#pragma GCC diagnostic ignored "-Wpedantic"

/* dlsym() cannot fail: every C library that this library links to defines these functions. */
#define LATE(result, name, parameters, arguments)                 \
	result __wrap_##name parameters                           \
	{                                                         \
		result(*function) parameters;                     \
		*(void **)&function = dlsym(RTLD_DEFAULT, #name); \
		return function arguments;                        \
	}

LATE(void, abort, (void), ())
LATE(int, clock_gettime, (clockid_t clock, struct timespec *time), (clock, time))
LATE(int, dladdr, (const void *address, Dl_info *info), (address, info))
LATE(int, dlclose, (void *handle), (handle))
LATE(void *, dlopen, (const char *name, int flags), (name, flags))
LATE(int, ftrylockfile, (FILE * file), (file))
LATE(void, funlockfile, (FILE * file), (file))
LATE(unsigned long, getauxval, (unsigned long type), (type))
/* memmove() is called only while a list of symbols is read through a 64 KiB buffer. */
LATE(void *, memmove, (void *to, const void *from, size_t size), (to, from, size))
LATE(void *, mmap, (void *start, size_t length, int access, int flags, int fd, off_t offset),
     (start, length, access, flags, fd, offset))
LATE(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument),
     (thread, attributes, run, argument))
LATE(int, pthread_join, (pthread_t thread, void **result), (thread, result))
LATE(int, pthread_once, (pthread_once_t * once, void (*run)(void)), (once, run))
LATE(int, pthread_setcancelstate, (int state, int *old), (state, old))
LATE(int, pthread_sigmask, (int how, const sigset_t *set, sigset_t *old), (how, set, old))
LATE(char *, secure_getenv, (const char *name), (name))
LATE(int, sigfillset, (sigset_t * set), (set))
LATE(int, strcmp, (const char *one, const char *other), (one, other))
LATE(int, strncmp, (const char *one, const char *other, size_t size), (one, other, size))
LATE(char *, strrchr, (const char *text, int character), (text, character))
LATE(int, __xpg_strerror_r, (int error, char *text, size_t size), (error, text, size))
LATE(ssize_t, write, (int fd, const void *bytes, size_t size), (fd, bytes, size))

/* libksyscall.a uses the definition in static.c instead. */
FILE *ksyscall_stderr(void)
{
	FILE **place = dlsym(RTLD_DEFAULT, "stderr");
	return place ? *place : NULL;
}
