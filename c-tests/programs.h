/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Loads the BPF programs, makes the calls that they count and reads the counts. */
#ifndef PROGRAMS_H
#define PROGRAMS_H

#include "test.h"

#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#ifdef LINKED
/* A program that uses the preloaded library includes only libbpf.h. */
#include <ksyscall.h>
#endif

#include "calls.h"

/* Embeds a file in this program, between start_NAME and end_NAME. */
#define EMBED(name, path)                                                       \
	__asm__(".section .rodata\n.balign 8\n"                                 \
		"start_" #name ": .incbin \"" path "\"\n"                       \
		"end_" #name ":\n.previous\n");                                 \
	extern const char start_##name[] __attribute__((visibility("hidden"))); \
	extern const char end_##name[] __attribute__((visibility("hidden")))

EMBED(count, BPF_FOLDER "/count.bpf.o");
EMBED(cookie, BPF_FOLDER "/cookie.bpf.o");

struct programs {
	struct bpf_object *object;
	int calls;
};

/* Opens an embedded object; works with libbpf 0.3 and later. */
static inline struct bpf_object *open_object(const char *start, const char *finish)
{
	struct bpf_object_open_opts opts = { .sz = sizeof(opts), .object_name = "test" };
	struct bpf_object *object = bpf_object__open_mem(start, (size_t)(finish - start), &opts);
	if (!object || libbpf_get_error(object))
		FAIL("bpf_object__open_mem: %s", strerror(errno));
	return object;
}

/* Makes the programs count the calling thread's calls; returns the fd of the map of counts. */
static inline int watch(const struct bpf_object *object)
{
	__u32 zero = 0, thread = (__u32)syscall(SYS_gettid);
	int watched = bpf_object__find_map_fd_by_name(object, "watched");
	CHECK(bpf_map_update_elem(watched, &zero, &thread, BPF_ANY) == 0);
	return bpf_object__find_map_fd_by_name(object, "calls");
}

static inline struct programs load_object(const char *start, const char *finish)
{
	struct bpf_object *object = open_object(start, finish);
	CHECK(bpf_object__load(object) == 0);
	return (struct programs){ object, watch(object) };
}

#define LOAD(name) load_object(start_##name, end_##name)

static inline void unload(struct programs *programs)
{
	bpf_object__close(programs->object);
}

static inline struct bpf_program *program(const struct programs *programs, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(programs->object, name);
	if (!program)
		FAIL("no program %s", name);
	return program;
}

static inline struct calls seen(const struct programs *programs, __u32 slot)
{
	struct calls calls;
	CHECK(bpf_map_lookup_elem(programs->calls, &slot, &calls) == 0);
	return calls;
}

static inline __u64 counted(const struct programs *programs, __u32 slot)
{
	return seen(programs, slot).count;
}

/* Attaches the program, and fails the test if that fails. */
#define ATTACH(prog, name, opts)                                                             \
	({                                                                                   \
		errno = 0;                                                                   \
		struct bpf_link *attached_ = bpf_program__attach_ksyscall(prog, name, opts); \
		if (!attached_ || libbpf_get_error(attached_))                               \
			FAIL("attach of %s: errno %d: %s", name, errno, strerror(errno));    \
		attached_;                                                                   \
	})

#define DESTROY(link) CHECK_EQ(bpf_link__destroy(link), 0)

#define OPTS(...) (&(struct bpf_ksyscall_opts){ .sz = sizeof(struct bpf_ksyscall_opts), __VA_ARGS__ })
#define COOKIE(value) OPTS(.bpf_cookie = (value))
#define RETPROBE OPTS(.retprobe = true)

/*
 * The call under test. The C library never makes this call by itself. The call has an argument and a
 * predictable result: -ESRCH for NOBODY, a PID that no process can have.
 */
#define CALL "getpgid"
#define CALL_SYMBOL "__x64_sys_getpgid"
enum { NOBODY = 0x7ffffff1 };

static inline void make_calls(int count)
{
	while (count-- > 0)
		syscall(SYS_getpgid, 0);
}

/* Makes the call as a 32-bit process does; the number is from syscall_32.tbl. */
static inline void make_compat_call(void)
{
	long result = 132;
	__asm__ volatile("int $0x80" : "+a"(result) : "b"(0L) : "r8", "r9", "r10", "r11", "memory");
	CHECK(result > 0);
}

/* Makes a call whose kernel function has a different name. */
static inline void call_stat(void)
{
	struct stat stat;
	syscall(SYS_stat, "/", &stat);
}

/* Makes a call; returns whether this slot counted it. */
static inline bool fires(const struct programs *programs, __u32 slot)
{
	__u64 before = counted(programs, slot);
	make_calls(1);
	return counted(programs, slot) == before + 1;
}

/* Waits until calls are no longer counted; the test's time limit bounds the wait. */
static inline void wait_until_silent(const struct programs *programs, __u32 slot)
{
	while (fires(programs, slot))
		sched_yield();
}

/* Gives this thread, and the threads that it creates, a private mount namespace. */
static inline void own_mounts(void)
{
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

/* Hides the kprobe PMU in a private mount namespace. */
static inline void hide_the_pmu(void)
{
	own_mounts();
	CHECK(mount("none", "/sys/bus/event_source", "tmpfs", 0, NULL) == 0);
}

/* Unmounts tracefs in a private mount namespace. */
static inline void hide_tracefs(void)
{
	own_mounts();
	CHECK(umount2("/sys/kernel/tracing", MNT_DETACH) == 0);
	CHECK(umount2("/sys/kernel/debug", MNT_DETACH) == 0);
}

/* Installs a seccomp filter in this thread. */
static inline void filter_calls(struct sock_filter *filter, size_t length)
{
	struct sock_fprog program = { (unsigned short)length, filter };
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

#define MAIN                                                                        \
	int main(int argc, char **argv)                                             \
	{                                                                           \
		return run_tests(argc, argv, (void *)bpf_program__attach_ksyscall); \
	}

#endif
