/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Attaches a BPF object's programs, which are named on_CALL, to the system calls in <asm/unistd.h>. Then
 * makes each call in a child: by number with six unique words as arguments, or through the C library if an
 * argument's encoding depends on the architecture. Prints one line for each call:
 *
 *	name  number  attached  hits  number  is_compat  count  SEEN*6  MADE*6
 *
 * attached is `ok` or the errno. hits, the second number and is_compat report what the program saw.
 * count is the number of arguments according to the man page, or 0 if this program has no record of it.
 * SEEN lists the arguments that the program saw. MADE lists the arguments that were passed to the call.
 *
 * If the architecture has socketcall and ipc, the program also prints a line for each call made through them,
 * with the multiplexer's name as a prefix (`ipc:semop`). In these lines, hits includes the runs for all other
 * multiplexed calls.
 *
 * Finally, the program calls openat with a path that is not in memory yet:
 *
 *	# path  attached  AT_ENTRY  AT_RETURN  PATH
 *
 * This is a plain libbpf program that does not use libksyscall directly.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <asm/unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "arguments.h"
#include "child.h"

/* Most entries omit the last two members. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
static const struct {
	const char *name;
	long number;
	/* The multiplexer through which the call is made, if any, and the operation number. */
	const char *multiplexer;
	unsigned int sub_call;
} calls[] = {
#include "calls.h"
#include "sub_calls.h"
};

#define CALLS ((int)(sizeof(calls) / sizeof(calls[0])))
_Static_assert(sizeof(calls) / sizeof(calls[0]) <= MAX_CALLS, "MAX_CALLS is too small");

/*
 * The 32-bit halves of these words all differ and are negative as ints, so none is a valid fd, PID or
 * address. As flags, they contain CLONE_FS and CLONE_NEWNS: every call that creates a task rejects this
 * combination.
 */
static const __u64 words[6] = { 0x8123f5a19a5b6e01, 0x91c4e6b2a51b7a03, 0xa2d5d7c3b2d32e05,
				0xb3e6c8d4c8e7d607, 0xc4f7b9e5dc9f8e09, 0xd508aaf6e7a3fe0b };
#define WORD(n) ((unsigned long)words[n])

/* Arguments for the C library: values that fit in an int, and 64-bit values. */
enum { FD = 0x5a01, SECOND = 0x5a02, THIRD = 0x5a03, FOURTH = 0x5a04, FIFTH = 0x5a05 };
static const __u64 OFFSET = 0x71a2b3c4d5e6f708, LENGTH = 0x6192a3b4c5d6e7f9;
/* A multiple of every page size, so that mmap2 can pass it as a page number. */
static const __u64 IN_FILE = 0xabcde120000;

/* Shared with the children. */
static volatile struct arguments *seen;
static volatile struct {
	int count;
	__u64 arguments[6];
	/* The maximum difference between the second argument as passed and as seen by the program: clone()
	 * pushes data onto the stack. */
	__u64 slack;
} *made;

/* Records the arguments in the man page's order. */
#define MADE(...)                                                      \
	do {                                                           \
		const __u64 made_[] = { __VA_ARGS__ };                 \
		made->count = sizeof(made_) / sizeof(made_[0]);        \
		memcpy((void *)made->arguments, made_, sizeof(made_)); \
	} while (0)

#define BUFFER ((void *)WORD(1))
#define SIZE (WORD(2) >> 1) /* no object is larger */

static void pread_(void)
{
	MADE(FD, WORD(1), SIZE, OFFSET);
	(void)!pread64(FD, BUFFER, SIZE, OFFSET);
}

static void pwrite_(void)
{
	MADE(FD, WORD(1), SIZE, OFFSET);
	(void)!pwrite64(FD, BUFFER, SIZE, OFFSET);
}

static void truncate_(void)
{
	MADE(WORD(0), OFFSET);
	(void)!truncate64((char *)WORD(0), OFFSET);
}

static void ftruncate_(void)
{
	MADE(FD, OFFSET);
	(void)!ftruncate64(FD, OFFSET);
}

static void readahead_(void)
{
	MADE(FD, OFFSET, SIZE);
	readahead(FD, OFFSET, SIZE);
}

static void fallocate_(void)
{
	MADE(FD, SECOND, OFFSET, LENGTH);
	fallocate64(FD, SECOND, OFFSET, LENGTH);
}

static void fadvise(void)
{
	MADE(FD, OFFSET, LENGTH, FOURTH);
	posix_fadvise64(FD, OFFSET, LENGTH, FOURTH);
}

static void sync_range(void)
{
	MADE(FD, OFFSET, LENGTH, FOURTH);
	sync_file_range(FD, OFFSET, LENGTH, FOURTH);
}

static void fanotify(void)
{
	MADE(FD, SECOND, OFFSET, FOURTH, WORD(4));
	fanotify_mark(FD, SECOND, OFFSET, FOURTH, (char *)WORD(4));
}

static void preadv_(void)
{
	MADE(FD, WORD(1), THIRD, OFFSET);
	(void)!preadv64(FD, BUFFER, THIRD, OFFSET);
}

static void pwritev_(void)
{
	MADE(FD, WORD(1), THIRD, OFFSET);
	(void)!pwritev64(FD, BUFFER, THIRD, OFFSET);
}

static void preadv2_(void)
{
	MADE(FD, WORD(1), THIRD, OFFSET, FIFTH);
	(void)!preadv64v2(FD, BUFFER, THIRD, OFFSET, FIFTH);
}

static void pwritev2_(void)
{
	MADE(FD, WORD(1), THIRD, OFFSET, FIFTH);
	(void)!pwritev64v2(FD, BUFFER, THIRD, OFFSET, FIFTH);
}

static int nothing(void *argument)
{
	(void)argument;
	return 0;
}

static void clone_(void)
{
	static char stack[4096] __attribute__((aligned(64)));
	const int flags = CLONE_FS | CLONE_NEWNS | 0x5a000000;

	MADE(flags, (unsigned long)stack, WORD(2), WORD(3), WORD(4));
	made->slack = sizeof(stack);
	clone(nothing, stack + sizeof(stack), flags, NULL, (void *)WORD(2), (void *)WORD(4), (void *)WORD(3));
}

static void mmap_(void)
{
	MADE(WORD(0), WORD(1), THIRD, FOURTH, FD, IN_FILE);
#ifdef __i386__
	/* mmap64() calls mmap2 here. */
	unsigned long six[] = { WORD(0), WORD(1), THIRD, FOURTH, FD, (unsigned long)IN_FILE };

	made->arguments[5] = six[5];
	syscall(__NR_mmap, six);
#else
	mmap64((void *)WORD(0), WORD(1), THIRD, FOURTH, FD, IN_FILE);
#endif
}

static void mmap2_(void)
{
	MADE(WORD(0), WORD(1), THIRD, FOURTH, FD, IN_FILE / 4096);
	mmap64((void *)WORD(0), WORD(1), THIRD, FOURTH, FD, IN_FILE);
}

#if defined(__arm__) || defined(__i386__)
/* CONFIG_OLD_SIGSUSPEND3 in kernel/signal.c. */
static void sigsuspend_(void)
{
	MADE(WORD(2));
	syscall(__NR_sigsuspend, WORD(0), WORD(1), WORD(2));
}
#endif

#if __SIZEOF_LONG__ == 4 && defined(__NR_lookup_dcookie)
static void lookup_dcookie(void)
{
	MADE(OFFSET, WORD(2), SIZE);
	syscall(__NR_lookup_dcookie, __LONG_LONG_PAIR((__u32)(OFFSET >> 32), (__u32)OFFSET), WORD(2), SIZE);
}
#endif

#ifdef __i386__
/* The C library never makes these calls; the kernel's functions are sys_ia32_fadvise64() in
 * arch/x86/kernel/sys_ia32.c and sys_old_select() in fs/select.c. */
static void fadvise64(void)
{
	MADE(FD, OFFSET, SIZE, FIFTH);
	syscall(__NR_fadvise64, FD, (__u32)OFFSET, (__u32)(OFFSET >> 32), SIZE, FIFTH);
}

static void old_select(void)
{
	unsigned long five[] = { WORD(0), WORD(1), WORD(2), WORD(3), WORD(4) };

	MADE(WORD(0), WORD(1), WORD(2), WORD(3), WORD(4));
	syscall(__NR_select, five);
}
#endif

/* Argument order: fd, flags, offset, nbytes. */
static void sync_range2(void)
{
	sync_range();
	MADE(FD, FOURTH, OFFSET, LENGTH);
}

static void arm_fadvise(void)
{
	fadvise();
	MADE(FD, FOURTH, OFFSET, LENGTH);
}

/*
 * A placeholder for calls that the test does not make: these calls have no arguments to check, and they
 * would return twice or to an invalid address.
 */
static void not_made(void)
{
}

static const struct {
	const char *name;
	void (*make)(void);
} special[] = {
	{ "pread64", pread_ },
	{ "pwrite64", pwrite_ },
#if __SIZEOF_LONG__ == 4
	{ "truncate64", truncate_ },
	{ "ftruncate64", ftruncate_ },
#else
	{ "truncate", truncate_ },
	{ "ftruncate", ftruncate_ },
#endif
	{ "readahead", readahead_ },
	{ "fallocate", fallocate_ },
#ifdef __i386__
	{ "fadvise64", fadvise64 },
	{ "select", old_select },
#else
	{ "fadvise64", fadvise },
#endif
	{ "fadvise64_64", fadvise },
	{ "arm_fadvise64_64", arm_fadvise },
	{ "sync_file_range", sync_range },
	{ "sync_file_range2", sync_range2 },
	{ "arm_sync_file_range", sync_range2 },
	{ "fanotify_mark", fanotify },
	{ "preadv", preadv_ },
	{ "pwritev", pwritev_ },
	{ "preadv2", preadv2_ },
	{ "pwritev2", pwritev2_ },
	{ "clone", clone_ },
	{ "mmap", mmap_ },
	{ "mmap2", mmap2_ },
#if defined(__arm__) || defined(__i386__)
	{ "sigsuspend", sigsuspend_ },
#endif
#if __SIZEOF_LONG__ == 4 && defined(__NR_lookup_dcookie)
	{ "lookup_dcookie", lookup_dcookie },
#endif
	{ "fork", not_made },
	{ "vfork", not_made },
	{ "sigreturn", not_made },
	{ "rt_sigreturn", not_made },
};

#ifdef __NR_socketcall
static void make_by_socketcall(int i)
{
	enum { SEND = 9, RECV = 10 };
	const unsigned long block[6] = { WORD(0), WORD(1), WORD(2), WORD(3), WORD(4), WORD(5) };

	/* Most kernels define no functions for these calls, and so provide no prototypes. */
	if (calls[i].sub_call == SEND || calls[i].sub_call == RECV)
		made->count = 4;
	syscall(__NR_socketcall, calls[i].sub_call, block);
}

/* ipc() declares its parameters `first`, `second` and `third` as int, but the operations use them as words. */
static void make_by_ipc(int i)
{
	enum { SEMOP = 1, SEMCTL = 3, SEMTIMEDOP = 4, MSGSND = 11, MSGRCV = 12, MSGCTL = 14, SHMAT = 21 };
	enum { SHMDT = 22, SHMCTL = 24 };
	const unsigned long pointed[2] = { WORD(3), WORD(4) };
	unsigned long first = WORD(0), second = WORD(1), third = WORD(2), pointer = WORD(3), fifth = WORD(5);

	switch (calls[i].sub_call) {
	case SEMOP:
	case SHMAT:
		MADE(first, pointer, second);
		break;
	case SEMTIMEDOP:
		/* ipc() has only five arguments on s390. */
#ifdef __s390x__
		fifth = third;
#endif
		MADE(first, pointer, second, fifth);
		break;
	case SEMCTL:
		MADE(first, second, third, pointed[0]);
		pointer = (unsigned long)pointed;
		break;
	case MSGSND:
		MADE(first, pointer, second, third);
		break;
	case MSGRCV:
		MADE(first, pointed[0], second, pointed[1], third);
		pointer = (unsigned long)pointed;
		break;
	case SHMDT:
		MADE(pointer);
		break;
	case MSGCTL:
	case SHMCTL:
		MADE(first, second, pointer);
		break;
	default:
		MADE(first, second, third);
	}
	/* The number and types of the arguments come from the kernel, not from this program. */
	made->count = 0;
	syscall(__NR_ipc, calls[i].sub_call, first, second, third, pointer, fifth);
}
#endif

static void make_call(int i)
{
	void (*make)(void) = NULL;
	pid_t self = getpid();

	for (size_t s = 0; s < sizeof(special) / sizeof(special[0]); s++)
		if (!calls[i].multiplexer && !strcmp(calls[i].name, special[s].name))
			make = special[s].make;
	for (int n = 0; n < 6; n++)
		made->arguments[n] = WORD(n);
	/* Detach from the terminal, so that vhangup() cannot hang it up. */
	setsid();
	seen->armed = self;
	if (make)
		make();
#ifdef __NR_socketcall
	else if (calls[i].multiplexer)
		(strcmp(calls[i].multiplexer, "ipc") ? make_by_socketcall : make_by_ipc)(i);
#endif
	else
		syscall(calls[i].number, WORD(0), WORD(1), WORD(2), WORD(3), WORD(4), WORD(5));
	seen->armed = 0;
	_exit(0);
}

/*
 * Returns how many times the call's program ran. For a multiplexed call, the number includes the runs for all
 * other multiplexed calls.
 */
static unsigned int hits(int i)
{
	unsigned int hits = seen->calls[i].hits;

	for (int other = 0; calls[i].multiplexer && other < CALLS; other++)
		if (other != i && calls[other].multiplexer)
			hits += seen->calls[other].hits;
	return hits;
}

static void print(int i, const char *attached)
{
	volatile struct seen *call = &seen->calls[i];

	/* Any address within the stack is correct. */
	if (made->slack && call->arguments[1] - made->arguments[1] <= made->slack)
		made->arguments[1] = call->arguments[1];
	if (calls[i].multiplexer)
		printf("%s:", calls[i].multiplexer);
	printf("%s\t%ld\t%s\t%u\t%d\t%u\t%d", calls[i].name, calls[i].number, attached, hits(i), call->number,
	       call->is_compat, made->count);
	for (int n = 0; n < 6; n++)
		printf("\t%llx", (unsigned long long)call->arguments[n]);
	for (int n = 0; n < 6; n++)
		printf("\t%llx", (unsigned long long)made->arguments[n]);
	putchar('\n');
}

static struct bpf_link *attach(struct bpf_object *object, const char *name, const char *call, bool retprobe)
{
	LIBBPF_OPTS(bpf_ksyscall_opts, opts, .retprobe = retprobe);
	struct bpf_program *program = bpf_object__find_program_by_name(object, name);

	/* The programs that use libbpf's macros exist only for direct calls. */
	errno = ENOENT;
	return program ? bpf_program__attach_ksyscall(program, call, &opts) : NULL;
}

/* Returns the path in a mapped page that has never been accessed. */
static char *untouched(const char *path)
{
	int file = memfd_create("path", 0);

	if (file < 0 || write(file, path, strlen(path) + 1) < 0)
		die("memfd_create");
	path = mmap(NULL, strlen(path) + 1, PROT_READ, MAP_PRIVATE, file, 0);
	close(file);
	return (char *)path;
}

static void read_path(struct bpf_object *object)
{
	struct bpf_link *on_return = attach(object, "take_path", "openat", true);
	int failed = errno;
	struct bpf_link *on_entry = on_return ? attach(object, "keep_path", "openat", false) : NULL;
	char *path = untouched("/proc/self/status");

	if (on_return && !on_entry)
		failed = errno;
	if (on_entry) {
		seen->armed = getpid();
		syscall(__NR_openat, AT_FDCWD, path, O_RDONLY);
		seen->armed = 0;
	}
	printf("# path\t%s\t%lld\t%lld\t%s\n", on_entry ? "ok" : strerrorname_np(failed) ?: "E?",
	       (long long)seen->at_entry, (long long)seen->at_return, (const char *)seen->path);
}

/* arch/x86/include/asm/thread_info.h: since Linux 5.11 syscall_work precedes `status`. */
static __u32 thread_status(void)
{
	unsigned int major, minor;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		die("uname");
	return major > 5 || (major == 5 && minor >= 11) ? 16 : 8;
}

int main(int argc, char **argv)
{
	static struct bpf_link *links[MAX_CALLS];
	static int failed[MAX_CALLS];
	/* Each attached call requires several fds. */
	struct rlimit files = { 16 * MAX_CALLS, 16 * MAX_CALLS };
	struct bpf_object *object;
	char name[64];
	bool is_blocked;

	if (argc != 2) {
		fprintf(stderr, "usage: arguments OBJECT\n");
		return 2;
	}
	libbpf_set_print(NULL);
	if (setrlimit(RLIMIT_NOFILE, &files))
		die("setrlimit");
	object = bpf_object__open_file(argv[1], NULL);
	if (!object)
		die(argv[1]);
	if (bpf_object__load(object)) {
		printf("# does not load: %s\n",
		       access("/sys/kernel/btf/vmlinux", R_OK) ? "the kernel has no BTF" : strerror(errno));
		return 0;
	}
	seen = shared(sizeof(*seen), 0, bpf_object__find_map_fd_by_name(object, "state"));
	made = shared(sizeof(*made), MAP_ANONYMOUS, -1);
	seen->thread_status = thread_status();
	for (int i = 0; i < CALLS; i++) {
		snprintf(name, sizeof(name), "%s_%s", calls[i].multiplexer ? "sub" : "on", calls[i].name);
		links[i] = attach(object, name, calls[i].multiplexer ?: calls[i].name, false);
		failed[i] = links[i] ? 0 : errno;
	}
	for (int i = 0; i < CALLS; i++) {
		memset((void *)made, 0, sizeof(*made));
		/* The program may already have run for a call with a different name but the same function. */
		memset((void *)seen->calls, 0, sizeof(seen->calls));
		if (links[i])
			run_child(make_call, i, &seen->armed, &is_blocked);
		print(i, links[i] ? "ok" : strerrorname_np(failed[i]) ?: "E?");
	}
	read_path(object);
	printf("# end\n");
	fflush(stdout);
	/* Exit without destroying the links: the kernel removes the probes. */
	_exit(0);
}
