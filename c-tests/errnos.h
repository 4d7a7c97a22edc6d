/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * With which errnos the system calls of an attach and a destroy fail: those that the
 * man pages list (Linux man-pages 6.03), and that of a sandbox's filter. And what
 * comes of a failure, where that is not its errno.
 */
#ifndef ERRNOS_H
#define ERRNOS_H

#include <errno.h>
#include <stddef.h>

static const int open_errors[] = { EACCES,    EBADF,  EBUSY,  EDQUOT,  EEXIST,	    EFAULT,	  EFBIG,
				   EINTR,     EINVAL, EISDIR, ELOOP,   EMFILE,	    ENAMETOOLONG, ENFILE,
				   ENODEV,    ENOENT, ENOMEM, ENOSPC,  ENOTDIR,	    ENXIO,	  EOPNOTSUPP,
				   EOVERFLOW, EPERM,  EROFS,  ETXTBSY, EWOULDBLOCK, ENOSYS,	  0 };
static const int faccessat_errors[] = { EACCES, EBADF,	      EFAULT,  EINVAL, EIO,
					ELOOP,	ENAMETOOLONG, ENOENT,  ENOMEM, ENOTDIR,
					EPERM,	EROFS,	      ETXTBSY, ENOSYS, 0 };
static const int readlinkat_errors[] = { EACCES, EBADF,	 EFAULT,  EINVAL, EIO,	  ELOOP, ENAMETOOLONG,
					 ENOENT, ENOMEM, ENOTDIR, EPERM,  ENOSYS, 0 };
static const int read_errors[] = { EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EIO, EISDIR, EPERM, ENOSYS, 0 };
static const int write_errors[] = { EAGAIN, EBADF, EDESTADDRREQ, EDQUOT, EFAULT, EFBIG,	 EINTR,
				    EINVAL, EIO,   ENOSPC,	 EPERM,	 EPIPE,	 ENOSYS, 0 };
static const int close_errors[] = { EBADF, EINTR, EIO, ENOSPC, EDQUOT, 0 };
static const int perf_event_open_errors[] = { E2BIG,	  EACCES,    EBADF,  EBUSY,  EFAULT, EINTR,
					      EINVAL,	  EMFILE,    ENODEV, ENOENT, ENOSPC, ENOSYS,
					      EOPNOTSUPP, EOVERFLOW, EPERM,  ESRCH,  0 };
static const int bpf_errors[] = { E2BIG,  EACCES, EBADF, EFAULT, EINTR, EINVAL,
				  ENOENT, ENOMEM, EPERM, ENOSYS, 0 };
static const int ioctl_errors[] = { EBADF, EFAULT, EINTR, EINVAL, ENOTTY, EPERM, ENOSYS, 0 };
static const int no_errors[] = { 0 };

static const struct {
	const char *call;
	const int *errors;
} man_pages[] = {
	{ "openat", open_errors },
	{ "faccessat", faccessat_errors },
	{ "readlinkat", readlinkat_errors },
	{ "read", read_errors },
	{ "write", write_errors },
	{ "close", close_errors },
	{ "perf_event_open", perf_event_open_errors },
	{ "bpf", bpf_errors },
	{ "ioctl", ioctl_errors },
	{ "getpid", no_errors },
	{ "getcpu", no_errors },
};

/* A call that the kernel does not have. */
#define MISSING "no_such_call"

enum { ATTACH = 1, DESTROY = 2 };

/* What a fault comes to: an errno, or one of these. */
enum { PASSED_ON = -1, NONE = 0 };

/* Where the answer is not the errno of the call; the first that fits holds. */
static const struct rule {
	const char *call, *object;
	int error, during, answer;
} rules[] = {
	/* Linux closes whatever it answers (close(2)); only the link's own is passed on. */
	{ "close", NULL, 0, ATTACH, NONE },
	{ "close", "kprobe_events, to remove", 0, DESTROY, NONE },
	{ "close", NULL, 0, DESTROY, PASSED_ON },
	/* What a signal has interrupted is made again. */
	{ NULL, NULL, EINTR, ATTACH | DESTROY, NONE },
	/* What cannot be read of the kernel's state is not said. */
	{ "openat", "*enabled", 0, ATTACH, NONE },
	{ "read", "*enabled", 0, ATTACH, NONE },
	/* Without the PMU's description it goes by tracefs. */
	{ "openat", "type", 0, ATTACH, NONE },
	{ "read", "type", 0, ATTACH, NONE },
	{ "openat", "retprobe", 0, ATTACH, NONE },
	{ "read", "retprobe", 0, ATTACH, NONE },
	/* It is looked for elsewhere: debugfs has tracefs too. */
	{ "faccessat", NULL, 0, ATTACH | DESTROY, NONE },
	/* Entries of dead processes can be removed another time. */
	{ "readlinkat", "pid", 0, ATTACH, NONE },
	{ "openat", "list of entries", 0, ATTACH, NONE },
	{ "read", "list of entries", 0, ATTACH, NONE },
	{ "write", "-dead", 0, ATTACH, NONE },
	/* Without these an entry's name says less of its maker. */
	{ "openat", "stat", 0, ATTACH, NONE },
	{ "read", "stat", 0, ATTACH, NONE },
	/* Then the symbol is asked for. */
	{ "openat", "osrelease", 0, ATTACH, NONE },
	{ "read", "osrelease", 0, ATTACH, NONE },
	/* The failure of the attach is told, not that of its undoing. */
	{ "openat", "kprobe_events, to remove", 0, ATTACH, NONE },
	{ "write", "-own", 0, ATTACH, NONE },
	/* So tracefs says since Linux 6.11, and perf_event_open up to 5.10, of a missing symbol. */
	{ "write", "p:*", EINVAL, ATTACH, ENOENT },
	{ "write", "r:*" MISSING, EINVAL, ATTACH, ENOENT },
	{ "perf_event_open", "r:*" MISSING, EINVAL, ATTACH, ENOENT },
	/*
	 * Asked only where BPF_LINK_CREATE says EINVAL: so does a kernel without links, or
	 * E2BIG. Anything else could be one that has them, where the event is not to be tried.
	 */
	{ "bpf", "no event", EINVAL, ATTACH, NONE },
	{ "bpf", "no event", E2BIG, ATTACH, NONE },
	{ "bpf", "no event", 0, ATTACH, EINVAL },
};

#endif
