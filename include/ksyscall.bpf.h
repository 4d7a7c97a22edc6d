/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Reads the arguments of a system call in a BPF program that is attached to the call. The arguments are in
 * the order of the man page, on every kernel and for 64-bit and 32-bit callers.
 *
 *	#include "vmlinux.h"			// or <linux/bpf.h>, or omit this line
 *	#include <bpf/bpf_helpers.h>
 *	#include <ksyscall.bpf.h>
 *
 *	SEC("ksyscall/pread64")
 *	int KSYSCALL_PROG(on_pread, pread64, int fd, void *buf, unsigned long count, long long offset)
 *	{
 *		bpf_printk("%d: %lu bytes at %lld", fd, count, offset);
 *		return 0;
 *	}
 *
 * Compile with `clang -target bpf -O2 -g -D__TARGET_ARCH_x86` (or arm, arm64, loongarch, mips, powerpc,
 * riscv, s390), as for libbpf's bpf_tracing.h, which this header does not require. For a 32-bit x86 or POWER
 * kernel, add -DKSYSCALL_BITS=32. The header works with libbpf 0.3 and later, and with any other loader of
 * BPF objects. libbpf before 1.0 does not support SEC("ksyscall/name"): use SEC("kprobe/name").
 *
 *	KSYSCALL_PROG(name, call, args...)	defines a program that receives the call's arguments
 *	KSYSCALL_ARG(ctx, call, n)		the call's nth argument
 *	KSYSCALL_SLOT(ctx, n)			the nth word that the caller passed
 *	KSYSCALL_NR(ctx)			the call's number
 *	KSYSCALL_IS_COMPAT(ctx)			whether the caller is a 32-bit caller on a 64-bit kernel
 *	KSYSCALL_SUBCALL_PROG(name, call, args...)
 *						like KSYSCALL_PROG, for a call that is also made through
 *						socketcall(2) or ipc(2): see "Calls through socketcall and ipc"
 *
 * Use these macros at the entry of the function that serves the call, in a program of type kprobe (kprobe or
 * kprobe.multi). When the function returns, the arguments are no longer available. A word that cannot be read
 * is treated as 0. The program must have a GPL-compatible licence, which bpf_probe_read_kernel() requires.
 *
 * The memory that a pointer refers to may not be resident at the call's entry: bpf_probe_read_user_str() then
 * returns -EFAULT even for a valid path. KSYSCALL_KEEP() stores the pointer, and KSYSCALL_TAKE_STR() reads
 * the string at the call's return, after the kernel has read it: see "Strings that are not in memory at
 * entry" below.
 *
 * The program must detect how the function receives the arguments. If the kernel is built with
 * CONFIG_ARCH_HAS_SYSCALL_WRAPPER, the function receives a pointer to the caller's registers. The option has
 * been enabled since Linux 4.17 on x86-64, 4.19 on arm64, 5.7 on i386, 6.1 on POWER and 6.6 on riscv. On
 * s390, the option is enabled in 6.1 but not in 5.10. Without the option, and always on arm, mips and
 * loongarch, the function receives the arguments themselves. The program can recognise the pointer by its
 * value: the kernel saves the registers on its own stack, a few frames above the function's frame. A first
 * argument that points less than a page above the stack pointer is therefore the pointer to the registers.
 * The caller cannot influence a pointer that the kernel passes. If the function receives the arguments
 * themselves, a caller could forge the pointer only if it knew the address of its kernel stack.
 *
 * The alternatives to this test do not work everywhere. libbpf since 1.0 and cilium/ebpf since 0.11 set
 * LINUX_HAS_SYSCALL_WRAPPER when they load a program, after checking whether __<arch>_sys_bpf can be probed.
 * aya 0.14 does not perform this check. On POWER, the functions have no __<arch>_ prefix, and libbpf built
 * for 32-bit arm looks for a prefix that a 64-bit kernel does not use. A constant that the loader sets would
 * work only if every loader set it. The kernel's configuration file, which records
 * CONFIG_ARCH_HAS_SYSCALL_WRAPPER, is not available on every system.
 *
 * The register offsets are taken from arch/<arch>/include/asm/ptrace.h, and are identical in Linux 5.10 to
 * 7.2. asm/syscall_wrapper.h and the callers of the functions show which registers contain the arguments.
 * Because the offsets do not change, reading the arguments requires neither kernel types nor CO-RE.
 */
#ifndef KSYSCALL_BPF_H
#define KSYSCALL_BPF_H

#ifndef __VMLINUX_H__
#include <linux/bpf.h>
#endif
#include <bpf/bpf_helpers.h>

struct pt_regs;

/*
 * KSYSCALL_CALLERS specifies whose calls the program sees. A 32-bit caller on a 64-bit kernel enters through
 * different functions. Its calls use different registers and 32-bit words, and pass 64-bit values as pairs of
 * words.
 *
 *	KSYSCALL_NATIVE	callers with the kernel's own word size
 *	KSYSCALL_COMPAT	32-bit callers on a 64-bit kernel
 *	KSYSCALL_ALL	both; the program evaluates KSYSCALL_IS_COMPAT() each time
 *
 * KSYSCALL_CALLERS may be defined before this header, and redefined before each program. The default is
 * KSYSCALL_ALL on x86-64, arm64 and riscv, where a program can tell the callers apart, and KSYSCALL_NATIVE
 * elsewhere. On x86-64, KSYSCALL_ALL requires a kernel with BTF, and a loader that can read it (libbpf 0.3
 * cannot read the BTF of Linux 6.12); otherwise define KSYSCALL_NATIVE.
 */
#define KSYSCALL_NATIVE 0
#define KSYSCALL_COMPAT 1
#define KSYSCALL_ALL 2

/*
 * Reads kernel memory: KSYSCALL_READ(to, size, from). For kernels before Linux 5.5, define KSYSCALL_READ and
 * KSYSCALL_READ_USER as bpf_probe_read, and KSYSCALL_READ_USER_STR as bpf_probe_read_str, before including
 * this header.
 */
#ifndef KSYSCALL_READ
#define KSYSCALL_READ bpf_probe_read_kernel
#endif
#ifndef KSYSCALL_READ_USER
#define KSYSCALL_READ_USER bpf_probe_read_user
#endif
#ifndef KSYSCALL_READ_USER_STR
#define KSYSCALL_READ_USER_STR bpf_probe_read_user_str
#endif

#define KSYSCALL_UNUSED_ __attribute__((unused))
#define KSYSCALL_INLINE_ static inline __attribute__((always_inline, unused))

/* --- Architectures --- */

/*
 * For each architecture:
 *
 *	KSYSCALL_BITS		the kernel's word size
 *	KSYSCALL_SP_		the offset of the stack pointer in the program's context
 *	KSYSCALL_FIRST_		the offset of the function's first argument in the context
 *	KSYSCALL_DIRECT_(n)	the offset of the nth argument (from 0) in the context, if the function
 *				receives the arguments themselves; -1 if the argument is on the stack, at
 *				KSYSCALL_ON_STACK_(n)
 *	KSYSCALL_SAVED_(n)	the offset of the call's nth word in the caller's saved registers
 *
 * and for some architectures, the offsets of the call's number and of the mode that identifies 32-bit
 * callers.
 */
#if defined(__TARGET_ARCH_x86)
#if defined(__i386__) && !defined(KSYSCALL_BITS)
#define KSYSCALL_BITS 32
#endif
#if defined(KSYSCALL_BITS) && KSYSCALL_BITS == 32
#define KSYSCALL_SP_ 60 /* sp */
#define KSYSCALL_FIRST_ 24 /* ax */
#define KSYSCALL_DIRECT_(n) (-1)
#define KSYSCALL_ON_STACK_(n) (4 + 4 * (n))
#define KSYSCALL_SAVED_(n) (4 * (n)) /* bx cx dx si di bp */
#define KSYSCALL_SAVED_NR_ 44 /* orig_ax */
#else
#define KSYSCALL_SP_ 152 /* sp */
#define KSYSCALL_FIRST_ 112 /* di */
#define KSYSCALL_DIRECT_(n) ((n) < 3 ? 112 - 8 * (n) : (n) == 3 ? 88 : 104 - 8 * (n)) /* di si dx cx r8 r9 */
#define KSYSCALL_SAVED_(n) ((n) < 3 ? 112 - 8 * (n) : (n) == 3 ? 56 : 104 - 8 * (n)) /* di si dx r10 r8 r9 */
#define KSYSCALL_SAVED_NR_ 120 /* orig_ax */
#define KSYSCALL_SAVED_COMPAT_(n) \
	((n) == 0 ? 40 : (n) == 1 ? 88 : (n) == 5 ? 32 : 80 + 8 * (n)) /* bx cx dx si di bp */
#endif

#elif defined(__TARGET_ARCH_arm64)
#define KSYSCALL_SP_ 248
#define KSYSCALL_FIRST_ 0
#define KSYSCALL_DIRECT_(n) (8 * (n)) /* regs[0] to regs[5], also for 32-bit callers */
#define KSYSCALL_SAVED_(n) (8 * (n))
#define KSYSCALL_SAVED_NR_ 280 /* syscallno */
/* The same test as in compat_user_mode(): pstate & PSR_MODE32_BIT. Only the processor sets this bit. */
#define KSYSCALL_SAVED_MODE_ 264
#define KSYSCALL_MODE_IS_COMPAT_(mode) (((mode) & 0x10) != 0)

#elif defined(__TARGET_ARCH_riscv)
#define KSYSCALL_SP_ 16
#define KSYSCALL_FIRST_ 80
#define KSYSCALL_DIRECT_(n) (80 + 8 * (n)) /* a0 to a5 */
#define KSYSCALL_SAVED_(n) ((n) == 0 ? 280 : 80 + 8 * (n)) /* orig_a0, a1 to a5: a0 holds the result */
#define KSYSCALL_SAVED_NR_ 136 /* a7 */
/* status & SR_UXL, the width of user mode. */
#define KSYSCALL_SAVED_MODE_ 256
#define KSYSCALL_MODE_IS_COMPAT_(mode) (((mode) >> 32 & 3) == 1)

#elif defined(__TARGET_ARCH_s390)
#define KSYSCALL_SP_ 144 /* gprs[15] */
#define KSYSCALL_FIRST_ 40
#define KSYSCALL_DIRECT_(n) ((n) < 5 ? 40 + 8 * (n) : -1) /* gprs[2] to gprs[6] */
#define KSYSCALL_ON_STACK_(n) (160 + 8 * ((n) - 5))
#define KSYSCALL_SAVED_(n) ((n) == 0 ? 152 : 40 + 8 * (n)) /* orig_gpr2 gprs[3] to gprs[7] */
#define KSYSCALL_SAVED_NR_ 160 /* int_code */
#define KSYSCALL_NR_MASK_ 0xffff /* the upper half of int_code contains the instruction's length */

#elif defined(__TARGET_ARCH_powerpc)
#if defined(KSYSCALL_BITS) && KSYSCALL_BITS == 32
#define KSYSCALL_WORD_SIZE_ 4
#else
#define KSYSCALL_WORD_SIZE_ 8
#endif
#define KSYSCALL_SP_ KSYSCALL_WORD_SIZE_ /* gpr[1] */
#define KSYSCALL_FIRST_ (3 * KSYSCALL_WORD_SIZE_)
#define KSYSCALL_DIRECT_(n) ((3 + (n)) * KSYSCALL_WORD_SIZE_) /* gpr[3] to gpr[8] */
#define KSYSCALL_SAVED_(n) ((3 + (n)) * KSYSCALL_WORD_SIZE_)
#define KSYSCALL_SAVED_NR_ 0 /* gpr[0] */

#elif defined(__TARGET_ARCH_arm)
#define KSYSCALL_BITS 32
#define KSYSCALL_SP_ 52
#define KSYSCALL_DIRECT_(n) ((n) < 4 ? 4 * (n) : -1) /* r0 to r3 */
#define KSYSCALL_ON_STACK_(n) (4 * ((n) - 4))
/* The caller's r7: vector_swi in entry-common.S pushes the caller's registers, and then two more words. */
#define KSYSCALL_STACK_NR_ (8 + 4 * 7)

#elif defined(__TARGET_ARCH_mips) || defined(__TARGET_ARCH_loongarch)
#define KSYSCALL_DIRECT_(n) (32 + 8 * (n)) /* regs[4] to regs[11] */

#else
#error ksyscall.bpf.h: define __TARGET_ARCH_x86, _arm, _arm64, _loongarch, _mips, _powerpc, _riscv or _s390
#endif

#ifndef KSYSCALL_BITS
#define KSYSCALL_BITS 64
#endif
#if KSYSCALL_BITS == 32
#define KSYSCALL_WORD_ __u32
#else
#define KSYSCALL_WORD_ __u64
#endif

#ifndef KSYSCALL_SAVED_COMPAT_
#define KSYSCALL_SAVED_COMPAT_ KSYSCALL_SAVED_
#endif
#ifndef KSYSCALL_NR_MASK_
#define KSYSCALL_NR_MASK_ 0xffffffff
#endif

#if KSYSCALL_BITS == 64 && (defined(__TARGET_ARCH_x86) || defined(KSYSCALL_MODE_IS_COMPAT_))
#define KSYSCALL_CAN_ASK_ 1
#else
#define KSYSCALL_CAN_ASK_ 0
#endif
#ifndef KSYSCALL_CALLERS
#define KSYSCALL_CALLERS (KSYSCALL_CAN_ASK_ ? KSYSCALL_ALL : KSYSCALL_NATIVE)
#endif

/* --- Layouts: 64-bit values in 32-bit words, and calls with a different argument order --- */

/*
 * A layout specifies the kind of each argument that the function receives, and maps each argument in the man
 * page to an argument of the function.
 *
 *	W	a word: an int, a pointer, an unsigned long
 *	S	a signed word, a long: sign-extended to 64 bits
 *	L	64 bits. A 32-bit caller passes two words, in memory order. On arm, mips and POWER, the
 *		number of the first word (counting from 0) is even
 *	P	always two words, the lower first; a 64-bit caller passes the whole value in the lower word
 */
#define KSYSCALL_W_ 0ULL
#define KSYSCALL_S_ 1ULL
#define KSYSCALL_L_ 2ULL
#define KSYSCALL_P_ 3ULL
#define KSYSCALL_KINDS_(a, b, c, d, e, f)                                                       \
	(KSYSCALL_##a##_ | KSYSCALL_##b##_ << 2 | KSYSCALL_##c##_ << 4 | KSYSCALL_##d##_ << 6 | \
	 KSYSCALL_##e##_ << 8 | KSYSCALL_##f##_ << 10)
#define KSYSCALL_PLAIN_ 0ULL
/* The numbers of the function's arguments that correspond to the man page's arguments 1 to 6. */
#define KSYSCALL_ORDER_(a, b, c, d, e, f)                                                               \
	((a ^ 1ULL) << 12 | (b ^ 2ULL) << 15 | (c ^ 3ULL) << 18 | (d ^ 4ULL) << 21 | (e ^ 5ULL) << 24 | \
	 (f ^ 6ULL) << 27)
/* The caller passes one word, which points to the argument words in the caller's memory. */
#define KSYSCALL_POINTED_ (1ULL << 32)
/*
 * IN_PAGES: the function receives the sixth argument in units of 4,096 bytes, but the man page defines it in
 * bytes. IN_BYTES: the function receives the sixth argument in bytes, but the man page defines it in pages.
 */
#define KSYSCALL_IN_PAGES_ (1ULL << 33)
#define KSYSCALL_IN_BYTES_ (1ULL << 34)

/* Whether the number of a pair's first word must be even. */
#if defined(__TARGET_ARCH_arm) || defined(__TARGET_ARCH_arm64) || defined(__TARGET_ARCH_mips) || \
	defined(__TARGET_ARCH_powerpc)
#define KSYSCALL_ALIGNS_ 1
#else
#define KSYSCALL_ALIGNS_ 0
#endif

/*
 * KSYSCALL_LAYOUT_<call> expands to `~`, the layout for 64-bit callers and the layout for 32-bit callers. If
 * a call has no layout, each argument is one word. <call> is a name in the system call table of the caller's
 * architecture, or another spelling of such a name (docs/names.md).
 *
 * Sources in Linux 6.12: include/linux/syscalls.h and compat.h, and in arch/: x86/kernel/sys_ia32.c,
 * arm64/kernel/sys32.c, powerpc/kernel/sys_ppc32.c, s390/kernel/compat_linux.c, mips/kernel/linux32.c.
 */
#define KSYSCALL_BOTH_(layout) ~, layout, layout

/* Calls with signed long arguments. */
#define KSYSCALL_LAYOUT_lseek KSYSCALL_BOTH_(KSYSCALL_KINDS_(W, S, W, W, W, W))
#define KSYSCALL_LAYOUT_truncate KSYSCALL_BOTH_(KSYSCALL_KINDS_(W, S, W, W, W, W))
#define KSYSCALL_LAYOUT_ftruncate KSYSCALL_BOTH_(KSYSCALL_KINDS_(W, S, W, W, W, W))
#define KSYSCALL_LAYOUT_msgrcv KSYSCALL_BOTH_(KSYSCALL_KINDS_(W, W, W, S, W, W))
#define KSYSCALL_LAYOUT_ipc KSYSCALL_BOTH_(KSYSCALL_KINDS_(W, W, W, W, W, S))
#define KSYSCALL_LAYOUT_ptrace KSYSCALL_BOTH_(KSYSCALL_KINDS_(S, S, W, W, W, W))
#define KSYSCALL_LAYOUT_io_submit KSYSCALL_BOTH_(KSYSCALL_KINDS_(W, S, W, W, W, W))
#define KSYSCALL_LAYOUT_io_getevents KSYSCALL_BOTH_(KSYSCALL_KINDS_(W, S, S, W, W, W))
#define KSYSCALL_LAYOUT_io_pgetevents KSYSCALL_LAYOUT_io_getevents
#define KSYSCALL_LAYOUT_io_pgetevents_time64 KSYSCALL_LAYOUT_io_getevents

/* Calls with 64-bit arguments. */
#define KSYSCALL_LAYOUT_pread64 KSYSCALL_BOTH_(KSYSCALL_KINDS_(W, W, W, L, W, W))
#define KSYSCALL_LAYOUT_pread KSYSCALL_LAYOUT_pread64
#define KSYSCALL_LAYOUT_pwrite64 KSYSCALL_LAYOUT_pread64
#define KSYSCALL_LAYOUT_pwrite KSYSCALL_LAYOUT_pread64
#define KSYSCALL_LAYOUT_truncate64 KSYSCALL_BOTH_(KSYSCALL_KINDS_(W, L, W, W, W, W))
#define KSYSCALL_LAYOUT_ftruncate64 KSYSCALL_LAYOUT_truncate64
#define KSYSCALL_LAYOUT_readahead KSYSCALL_LAYOUT_truncate64
#define KSYSCALL_LAYOUT_fallocate KSYSCALL_BOTH_(KSYSCALL_KINDS_(W, W, L, L, W, W))
#define KSYSCALL_LAYOUT_lookup_dcookie KSYSCALL_BOTH_(KSYSCALL_KINDS_(L, W, W, W, W, W))
#define KSYSCALL_LAYOUT_fanotify_mark KSYSCALL_BOTH_(KSYSCALL_KINDS_(W, W, L, W, W, W))

/* Calls whose offset is one argument in the man page, but two (pos_l and pos_h) in the kernel. */
#define KSYSCALL_LAYOUT_preadv KSYSCALL_BOTH_(KSYSCALL_KINDS_(W, W, W, P, W, W))
#define KSYSCALL_LAYOUT_pwritev KSYSCALL_LAYOUT_preadv
#define KSYSCALL_LAYOUT_preadv2 KSYSCALL_LAYOUT_preadv
#define KSYSCALL_LAYOUT_pwritev2 KSYSCALL_LAYOUT_preadv

/*
 * The man page's order is fd, offset, nbytes, flags. arm and POWER implement only sync_file_range2, whose
 * order is fd, flags, offset, nbytes. For both names, the macros read the arguments of the function that the
 * architecture implements.
 */
#define KSYSCALL_FLAGS_LAST_ KSYSCALL_KINDS_(W, L, L, W, W, W)
#define KSYSCALL_FLAGS_SECOND_ KSYSCALL_KINDS_(W, W, L, L, W, W)
#define KSYSCALL_MADE_LAST_ (KSYSCALL_FLAGS_SECOND_ | KSYSCALL_ORDER_(1, 3, 4, 2, 5, 6))
#define KSYSCALL_MADE_SECOND_ (KSYSCALL_FLAGS_LAST_ | KSYSCALL_ORDER_(1, 4, 2, 3, 5, 6))
#if defined(__TARGET_ARCH_powerpc) || defined(__TARGET_ARCH_arm)
#define KSYSCALL_LAYOUT_sync_file_range KSYSCALL_BOTH_(KSYSCALL_MADE_LAST_)
#define KSYSCALL_LAYOUT_sync_file_range2 KSYSCALL_BOTH_(KSYSCALL_FLAGS_SECOND_)
#elif defined(__TARGET_ARCH_arm64)
#define KSYSCALL_LAYOUT_sync_file_range ~, KSYSCALL_FLAGS_LAST_, KSYSCALL_MADE_LAST_
#define KSYSCALL_LAYOUT_sync_file_range2 ~, KSYSCALL_MADE_SECOND_, KSYSCALL_FLAGS_SECOND_
#else
#define KSYSCALL_LAYOUT_sync_file_range KSYSCALL_BOTH_(KSYSCALL_FLAGS_LAST_)
#define KSYSCALL_LAYOUT_sync_file_range2 KSYSCALL_BOTH_(KSYSCALL_MADE_SECOND_)
#endif
#define KSYSCALL_LAYOUT_arm_sync_file_range KSYSCALL_LAYOUT_sync_file_range2
#define KSYSCALL_LAYOUT_ppc_sync_file_range2 KSYSCALL_LAYOUT_sync_file_range2

/*
 * The man page's order is fd, offset, len, advice. For fadvise64, len is one word. On 32-bit arm, and for
 * fadvise64_64 on 32-bit POWER, the function's order is fd, advice, offset, len. On s390, 31-bit callers pass
 * a pointer to a struct with the arguments of fadvise64_64: the macros do not read this struct.
 */
#define KSYSCALL_SHORT_ KSYSCALL_KINDS_(W, L, W, W, W, W)
#if defined(__TARGET_ARCH_arm) || defined(__TARGET_ARCH_arm64)
#define KSYSCALL_LAYOUT_fadvise64 ~, KSYSCALL_FLAGS_LAST_, KSYSCALL_MADE_LAST_
#define KSYSCALL_LAYOUT_fadvise64_64 KSYSCALL_LAYOUT_fadvise64
#define KSYSCALL_LAYOUT_arm_fadvise64_64 ~, KSYSCALL_MADE_SECOND_, KSYSCALL_FLAGS_SECOND_
#elif defined(__TARGET_ARCH_powerpc)
#define KSYSCALL_LAYOUT_fadvise64 KSYSCALL_BOTH_(KSYSCALL_SHORT_)
#define KSYSCALL_LAYOUT_fadvise64_64 ~, KSYSCALL_FLAGS_LAST_, KSYSCALL_MADE_LAST_
#define KSYSCALL_LAYOUT_ppc_fadvise64_64 ~, KSYSCALL_MADE_SECOND_, KSYSCALL_FLAGS_SECOND_
#elif defined(__TARGET_ARCH_mips) || defined(__TARGET_ARCH_riscv)
#define KSYSCALL_LAYOUT_fadvise64 KSYSCALL_BOTH_(KSYSCALL_FLAGS_LAST_)
#define KSYSCALL_LAYOUT_fadvise64_64 KSYSCALL_BOTH_(KSYSCALL_FLAGS_LAST_)
#else
#define KSYSCALL_LAYOUT_fadvise64 KSYSCALL_BOTH_(KSYSCALL_SHORT_)
#define KSYSCALL_LAYOUT_fadvise64_64 KSYSCALL_BOTH_(KSYSCALL_FLAGS_LAST_)
#endif
#define KSYSCALL_LAYOUT_posix_fadvise KSYSCALL_LAYOUT_fadvise64

/*
 * The man page's order is flags, stack, parent_tid, child_tid, tls. CONFIG_CLONE_BACKWARDS swaps the last
 * two arguments, and CONFIG_CLONE_BACKWARDS2 swaps the first two: see arch/<arch>/Kconfig.
 */
#define KSYSCALL_TLS_FOURTH_ KSYSCALL_ORDER_(1, 2, 3, 5, 4, 6)
#if defined(__TARGET_ARCH_s390)
#define KSYSCALL_LAYOUT_clone KSYSCALL_BOTH_(KSYSCALL_ORDER_(2, 1, 3, 4, 5, 6))
#elif defined(__TARGET_ARCH_x86)
#define KSYSCALL_LAYOUT_clone ~, KSYSCALL_PLAIN_, KSYSCALL_TLS_FOURTH_
#elif !defined(__TARGET_ARCH_loongarch)
#define KSYSCALL_LAYOUT_clone KSYSCALL_BOTH_(KSYSCALL_TLS_FOURTH_)
#endif

/*
 * The last argument is in bytes for mmap and in pages of 4,096 bytes for mmap2. Both names work, whichever
 * of the two calls the architecture implements: mmap2 on arm, mmap on all 64-bit architectures. On s390, and
 * for mmap on i386, the function receives a pointer to a struct with the six arguments in the caller's
 * memory.
 */
#if defined(__TARGET_ARCH_x86)
#define KSYSCALL_LAYOUT_mmap ~, KSYSCALL_PLAIN_, KSYSCALL_POINTED_
#define KSYSCALL_LAYOUT_mmap2 ~, KSYSCALL_IN_BYTES_, KSYSCALL_PLAIN_
#define KSYSCALL_LAYOUT_old_mmap KSYSCALL_LAYOUT_mmap
#elif defined(__TARGET_ARCH_s390)
#define KSYSCALL_LAYOUT_mmap KSYSCALL_BOTH_(KSYSCALL_POINTED_)
#define KSYSCALL_LAYOUT_mmap2 ~, KSYSCALL_POINTED_ | KSYSCALL_IN_BYTES_, KSYSCALL_POINTED_
#define KSYSCALL_LAYOUT_old_mmap KSYSCALL_LAYOUT_mmap
#elif defined(__TARGET_ARCH_arm) || defined(__TARGET_ARCH_arm64)
#define KSYSCALL_LAYOUT_mmap ~, KSYSCALL_PLAIN_, KSYSCALL_IN_PAGES_
#define KSYSCALL_LAYOUT_mmap2 ~, KSYSCALL_IN_BYTES_, KSYSCALL_PLAIN_
#else
#define KSYSCALL_LAYOUT_mmap2 ~, KSYSCALL_IN_BYTES_, KSYSCALL_PLAIN_
#endif

/* On i386, and on POWER since Linux 6.1, select (but not _newselect) receives a pointer to the arguments. */
#if defined(__TARGET_ARCH_x86) || defined(__TARGET_ARCH_powerpc)
#define KSYSCALL_LAYOUT_select ~, KSYSCALL_PLAIN_, KSYSCALL_POINTED_
#endif

/* With CONFIG_OLD_SIGSUSPEND3, the mask is the third of three arguments. */
#if !defined(__TARGET_ARCH_powerpc) && !defined(__TARGET_ARCH_mips)
#define KSYSCALL_LAYOUT_sigsuspend ~, KSYSCALL_PLAIN_, KSYSCALL_ORDER_(3, 2, 1, 4, 5, 6)
#endif

/* --- Reading --- */

/*
 * The call that triggered a program. `from` is the address of the caller's registers if has_regs is set, and
 * otherwise the address of the program's context. The words are read at offsets from this address. The
 * context is also read with a helper: a direct load from the context requires a constant offset, but if two
 * branches use different offsets, the compiler merges their loads into one load with a variable offset.
 */
struct ksyscall_ {
	__u64 from, stack;
	int has_regs, is_compat;
};

#define KSYSCALL_CONTEXT_(ctx, place) (*(const KSYSCALL_WORD_ *)((const char *)(ctx) + (place)))

KSYSCALL_INLINE_ KSYSCALL_WORD_ ksyscall_read_(__u64 address)
{
	KSYSCALL_WORD_ word = 0;

	KSYSCALL_READ(&word, sizeof(word), (const void *)(unsigned long)address);
	return word;
}

/* Returns the address of the caller's registers if the function receives it, otherwise 0. */
KSYSCALL_INLINE_ __u64 ksyscall_regs_(const void *ctx)
{
#ifdef KSYSCALL_FIRST_
	KSYSCALL_WORD_ first = KSYSCALL_CONTEXT_(ctx, KSYSCALL_FIRST_);
	KSYSCALL_WORD_ above = first - KSYSCALL_CONTEXT_(ctx, KSYSCALL_SP_);

	if (above < 4096 && first % sizeof(first) == 0)
		return first;
#endif
	(void)ctx;
	return 0;
}

#if KSYSCALL_BITS == 64 && defined(__TARGET_ARCH_x86)
/* The offset of `status` differs between kernel versions, so libbpf relocates accesses to the field. */
struct thread_info___ksyscall {
	__u32 status;
} __attribute__((preserve_access_index));

struct task_struct___ksyscall {
	struct thread_info___ksyscall thread_info;
} __attribute__((preserve_access_index));
#endif

/*
 * Returns whether the call is a 32-bit call. On x86-64, the flag TS_COMPAT
 * (arch/x86/include/asm/thread_info.h) identifies 32-bit calls. The code segment does not identify 32-bit
 * calls, because 64-bit code can also make them, with `int $0x80`.
 */
KSYSCALL_INLINE_ int ksyscall_is_compat_(__u64 regs)
{
#if KSYSCALL_BITS == 64 && defined(__TARGET_ARCH_x86)
	struct task_struct___ksyscall *task = (void *)bpf_get_current_task();
	__u32 status = 0;

	(void)regs;
	KSYSCALL_READ(&status, sizeof(status), &task->thread_info.status);
	return (status & 2) != 0;
#elif KSYSCALL_CAN_ASK_
	return regs && KSYSCALL_MODE_IS_COMPAT_(ksyscall_read_(regs + KSYSCALL_SAVED_MODE_));
#else
	(void)regs;
	return 0;
#endif
}

KSYSCALL_INLINE_ struct ksyscall_ ksyscall_of_(const void *ctx, int callers)
{
	__u64 regs = ksyscall_regs_(ctx);
	struct ksyscall_ call = { .from = regs, .has_regs = regs != 0 };

	if (!regs)
		call.from = (unsigned long)ctx;
#ifdef KSYSCALL_ON_STACK_
	call.stack = KSYSCALL_CONTEXT_(ctx, KSYSCALL_SP_);
#endif
	call.is_compat = callers == KSYSCALL_ALL ? ksyscall_is_compat_(regs) : callers;
	return call;
}

/* Returns the nth word, counting from 0. If `narrow` is set, a word has 32 bits. */
KSYSCALL_INLINE_ __u64 ksyscall_word_(const struct ksyscall_ *call, int narrow, int n)
{
	__u64 from = call->from + KSYSCALL_DIRECT_(n), word;

#ifdef KSYSCALL_ON_STACK_
	if (KSYSCALL_DIRECT_(n) < 0)
		from = call->stack + KSYSCALL_ON_STACK_(n);
#endif
#ifdef KSYSCALL_FIRST_
	if (call->has_regs)
		from = call->from +
		       (narrow && KSYSCALL_BITS == 64 ? KSYSCALL_SAVED_COMPAT_(n) : KSYSCALL_SAVED_(n));
#endif
	word = ksyscall_read_(from);
	return narrow ? (__u32)word : word;
}

/* Reads a word from the caller's memory. */
KSYSCALL_INLINE_ __u64 ksyscall_user_word_(__u64 address, int narrow)
{
	__u64 word = 0;
	__u32 half = 0;

	if (narrow) {
		KSYSCALL_READ_USER(&half, sizeof(half), (const void *)(unsigned long)address);
		return half;
	}
	KSYSCALL_READ_USER(&word, sizeof(word), (const void *)(unsigned long)address);
	return word;
}

/* Returns whether an x32 process made the call, by testing __X32_SYSCALL_BIT in the call's number. */
KSYSCALL_INLINE_ int ksyscall_is_x32_(const struct ksyscall_ *call)
{
#if KSYSCALL_BITS == 64 && defined(__TARGET_ARCH_x86)
	return call->has_regs && (ksyscall_read_(call->from + KSYSCALL_SAVED_NR_) & 0x40000000) != 0;
#else
	(void)call;
	return 0;
#endif
}

/*
 * Returns the call's nth argument, counting from 0, in the man page's order. All parameters except `call` are
 * constants.
 */
KSYSCALL_INLINE_ __u64 ksyscall_by_layout_(const struct ksyscall_ *call, __u64 layout, int narrow, int n)
{
	int place = (int)(((layout >> (12 + 3 * n) & 7) ^ (n + 1)) - 1), word = 0, is_behind_pair = 0;
	__u64 kind = layout >> 2 * place & 3, value = 0;

	if (layout & KSYSCALL_POINTED_) {
		value = ksyscall_user_word_(ksyscall_word_(call, narrow, 0) + (narrow ? 4 : 8) * n, narrow);
	} else {
#pragma unroll
		for (int before = 0; before < 6; before++) {
			__u64 other = layout >> 2 * before & 3;

			if (before > place)
				continue;
			if (KSYSCALL_ALIGNS_ && narrow && other == KSYSCALL_L_)
				word += word & 1;
			if (before < place)
				word += other == KSYSCALL_P_ || (narrow && other == KSYSCALL_L_) ? 2 : 1;
			if (before < place)
				is_behind_pair |= other == KSYSCALL_P_;
		}
		value = ksyscall_word_(call, narrow, word);
		/* x32 passes the pair in one word: see preadv64v2 in fs/read_write.c. */
		if (is_behind_pair && !narrow && ksyscall_is_x32_(call))
			value = ksyscall_word_(call, narrow, word - 1);
		if (narrow && kind >= KSYSCALL_L_) {
			__u64 second = ksyscall_word_(call, narrow, word + 1);

			if (kind == KSYSCALL_L_ && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
				value = value << 32 | second;
			else
				value |= second << 32;
		}
		if (narrow && kind == KSYSCALL_S_)
			value = (__u64)(__s32)value;
	}
	if (n == 5 && layout & KSYSCALL_IN_PAGES_)
		value <<= 12;
	if (n == 5 && layout & KSYSCALL_IN_BYTES_)
		value >>= 12;
	return value;
}

KSYSCALL_INLINE_ __u64 ksyscall_arg_(struct ksyscall_ call, __u64 wide, __u64 narrow, int n)
{
	if (KSYSCALL_BITS == 32 || call.is_compat)
		return ksyscall_by_layout_(&call, narrow, 1, n - 1);
	return ksyscall_by_layout_(&call, wide, 0, n - 1);
}

#define KSYSCALL_LAYOUTS_(...) KSYSCALL_SECOND_AND_THIRD_(__VA_ARGS__)
#define KSYSCALL_SECOND_AND_THIRD_(_, a, b, ...) a, b
#define KSYSCALL_LAYOUTS_OF_(call) \
	KSYSCALL_LAYOUTS_(KSYSCALL_LAYOUT_##call, KSYSCALL_PLAIN_, KSYSCALL_PLAIN_, ~)

/* --- For programs --- */

/*
 * The nth argument of the call, counting from 1, as a __u64: cast it to the type in the man page. `call` is
 * the name that the program is attached to, without quotes. A pointer is an address in the caller's memory:
 * read it with bpf_probe_read_user(), which can fail at entry (see above). Where the man page describes the C
 * library's function rather than the call, as for pselect6's sixth argument, the macro returns the call's
 * argument. For preadv2(2) and pwritev2(2), however, the fifth argument is the flags, as in the man page. If
 * a 64-bit caller passes an int, the upper half of the word is undefined.
 */
#define KSYSCALL_ARG(ctx, call, n)                                                                 \
	({                                                                                         \
		_Static_assert((n) >= 1 && (n) <= 6, "arguments are 1 to 6");                      \
		ksyscall_arg_(ksyscall_of_(ctx, KSYSCALL_CALLERS), KSYSCALL_LAYOUTS_OF_(call), n); \
	})

/*
 * The nth word that the caller passed, counting from 1, for programs that are attached to many calls. Each
 * word is the content of one register. For a 32-bit caller, the upper half of the result is zero.
 */
#define KSYSCALL_SLOT(ctx, n)                                                                            \
	({                                                                                               \
		_Static_assert((n) >= 1 && (n) <= 6, "words are 1 to 6");                                \
		ksyscall_arg_(ksyscall_of_(ctx, KSYSCALL_CALLERS), KSYSCALL_PLAIN_, KSYSCALL_PLAIN_, n); \
	})

/*
 * 1 for a 32-bit caller on a 64-bit kernel, otherwise 0. A 32-bit caller's call number and arguments follow
 * the 32-bit table. x32 counts as 64-bit, but x32's preadv2 and pwritev2 pass the flags in a different word,
 * which KSYSCALL_ARG() reads. Before Linux 4.17, x32 callers cannot be recognised, because the function does
 * not receive a pointer to the caller's registers. The macro always returns 0 on loongarch, mips, POWER and
 * s390, and on arm64 and riscv if the function receives the arguments themselves. In these cases, use a
 * separate program for 32-bit callers, with KSYSCALL_CALLERS defined as KSYSCALL_COMPAT.
 */
#define KSYSCALL_IS_COMPAT(ctx) ksyscall_is_compat_(ksyscall_regs_(ctx))

/*
 * The number of the call in the caller's table (__NR_*; x32's numbers have bit 30 set). The macro returns
 * -1 if the function receives the arguments themselves, except on arm.
 */
#define KSYSCALL_NR(ctx) ksyscall_nr_(ctx)

KSYSCALL_INLINE_ int ksyscall_nr_(const void *ctx)
{
#if defined(KSYSCALL_STACK_NR_)
	return (int)ksyscall_read_(KSYSCALL_CONTEXT_(ctx, KSYSCALL_SP_) + KSYSCALL_STACK_NR_);
#elif defined(KSYSCALL_SAVED_NR_)
	__u64 regs = ksyscall_regs_(ctx);
	__s32 number = -1;

	if (regs)
#if defined(__TARGET_ARCH_powerpc)
		number = (int)ksyscall_read_(regs + KSYSCALL_SAVED_NR_);
#else
		KSYSCALL_READ(&number, sizeof(number),
			      (const void *)(unsigned long)(regs + KSYSCALL_SAVED_NR_));
#endif
	return regs ? (int)(number & KSYSCALL_NR_MASK_) : -1;
#else
	(void)ctx;
	return -1;
#endif
}

/*
 * Defines the program `name` for the call `call` (written without quotes). The program has up to six
 * parameters, with the types in the man page, and a hidden parameter, `ctx`:
 *
 *	SEC("ksyscall/openat")
 *	int KSYSCALL_PROG(on_openat, openat, int dirfd, const char *path, int flags)
 *
 * Each parameter is KSYSCALL_ARG() of the call, converted to the parameter's type.
 */
/* clang-format off */
#define KSYSCALL_PROG(name, call, args...)                                                      \
	name(struct pt_regs *ctx);                                                              \
	KSYSCALL_INLINE_ __typeof__(name(0))                                                    \
	ksyscall_##name##_(KSYSCALL_UNUSED_ struct pt_regs *ctx, ##args);                       \
	__typeof__(name(0)) name(struct pt_regs *ctx)                                           \
	{                                                                                       \
		struct ksyscall_ call_ = ksyscall_of_(ctx, KSYSCALL_CALLERS);                   \
                                                                                                \
		(void)call_;                                                                    \
		_Pragma("clang diagnostic push")                                                \
		_Pragma("clang diagnostic ignored \"-Wint-conversion\"")                        \
		return ksyscall_##name##_(                                                      \
			ctx KSYSCALL_PASS_(KSYSCALL_COUNT_(args))(ksyscall_arg_,                \
								  KSYSCALL_LAYOUTS_OF_(call))); \
		_Pragma("clang diagnostic pop")                                                 \
	}                                                                                       \
	KSYSCALL_INLINE_ __typeof__(name(0))                                                    \
	ksyscall_##name##_(KSYSCALL_UNUSED_ struct pt_regs *ctx, ##args)
/* clang-format on */

#define KSYSCALL_COUNT_(args...) KSYSCALL_SEVENTH_(0, ##args, 6, 5, 4, 3, 2, 1, 0, ~)
#define KSYSCALL_SEVENTH_(_0, _1, _2, _3, _4, _5, _6, n, ...) n
#define KSYSCALL_PASS_(count) KSYSCALL_PASTE_(KSYSCALL_PASS_, count)
#define KSYSCALL_PASTE_(a, b) a##b
#define KSYSCALL_PASS_0(read, from...)
#define KSYSCALL_PASS_1(read, from...) , read(call_, from, 1)
#define KSYSCALL_PASS_2(read, from...) KSYSCALL_PASS_1(read, from), read(call_, from, 2)
#define KSYSCALL_PASS_3(read, from...) KSYSCALL_PASS_2(read, from), read(call_, from, 3)
#define KSYSCALL_PASS_4(read, from...) KSYSCALL_PASS_3(read, from), read(call_, from, 4)
#define KSYSCALL_PASS_5(read, from...) KSYSCALL_PASS_4(read, from), read(call_, from, 5)
#define KSYSCALL_PASS_6(read, from...) KSYSCALL_PASS_5(read, from), read(call_, from, 6)

/* --- Calls through socketcall and ipc --- */

/*
 * On i386, s390, POWER and 32-bit MIPS, processes can make socket calls through socketcall(2), and System V
 * IPC calls through ipc(2). On i386, the C library makes most of these calls this way, and some of them
 * (accept, send, recv, semop) cannot be made in any other way. socketcall and ipc carry out the call
 * themselves: a connect made through socketcall never enters connect's own function. To trace every connect,
 * also attach the program to socketcall. There, the program runs for every call that is made through
 * socketcall:
 *
 *	SEC("kprobe")		// attached to connect and to socketcall, for 64-bit and 32-bit callers
 *	int KSYSCALL_SUBCALL_PROG(on_connect, connect, int fd, const void *address, int length)
 *
 * The body runs if the call is connect, made directly or through socketcall. For other calls through
 * socketcall, the program returns 0. KSYSCALL_NR() returns the number of connect or of socketcall, depending
 * on how the call was made. If KSYSCALL_NR() is -1, because the function receives the arguments themselves,
 * the program assumes that every caller that can use socketcall used it. In that case, attach the program
 * only to socketcall.
 *
 *	KSYSCALL_SUBCALL(ctx, socketcall)	in a program that is attached to socketcall (or ipc):
 *						the number of the call that is made through it
 *	KSYSCALL_SUBCALL_NR(connect)		connect's number, a constant
 *	KSYSCALL_SUBCALL_ARG(ctx, connect, n)	the nth argument of a call with connect's number
 *
 * The arguments match the man page, except where the C library changes them: the command of semctl, msgctl
 * and shmctl contains IPC_64 (0x100), and semctl's fourth argument is a union semun, as one word (on s390 the
 * value for SETVAL is the upper half). shmat stores its result at the address in ipc's fourth argument,
 * KSYSCALL_SLOT(ctx, 4), and the function returns 0. The arguments of a call made through socketcall,
 * semctl's fourth argument and some of msgrcv's arguments are in the caller's memory. These arguments are
 * normally resident, because the C library has just written them to the stack. An argument that is not
 * resident is read as 0.
 *
 * Sources in Linux 5.4 to 7.2: `socketcall` in net/socket.c, `ksys_ipc` and `compat_ksys_ipc` in
 * ipc/syscall.c, `s390_ipc` in arch/s390/kernel/syscall.c, and the numbers in include/uapi/linux/net.h and
 * ipc.h.
 */
#if defined(__TARGET_ARCH_x86)
#define KSYSCALL_HAS_MULTIPLEXERS_(is_compat) (KSYSCALL_BITS == 32 || (is_compat))
#elif defined(__TARGET_ARCH_s390) || defined(__TARGET_ARCH_powerpc)
#define KSYSCALL_HAS_MULTIPLEXERS_(is_compat) 1
#elif defined(__TARGET_ARCH_mips)
#define KSYSCALL_HAS_MULTIPLEXERS_(is_compat) (is_compat)
#else
#define KSYSCALL_HAS_MULTIPLEXERS_(is_compat) 0
#endif

/* On s390, ipc has five arguments: the fourth is semtimedop's timeout, and the first contains no version. */
#if defined(__TARGET_ARCH_s390)
#define KSYSCALL_IPC_LAST_ 4
#define KSYSCALL_IPC_VERSION_(first) 0
#else
#define KSYSCALL_IPC_LAST_ 6
#define KSYSCALL_IPC_VERSION_(first) ((__u32)(first) >> 16)
#endif

/*
 * KSYSCALL_SUBCALL_<call> encodes the source of each argument in four bits, starting at bit 0. The call's
 * number starts at bit 24. Bit 32 is set if the multiplexer is ipc. The source of an argument is one of:
 *
 *	1 to 6		the multiplexer's argument with this number
 *	LAST		ipc's sixth argument, or on s390 the fourth
 *	POINTED		the word that ipc's fifth argument points to
 *	MESSAGE, TYPE	the first and second word of a struct that ipc's fifth argument points to; if the
 *			version (the upper half of ipc's first argument) is not 0, ipc's fifth and sixth
 *			arguments themselves
 *	LISTED		the nth word of the array that socketcall's second argument points to
 */
#define KSYSCALL_LAST_ 7
#define KSYSCALL_POINTED_TO_ 8
#define KSYSCALL_MESSAGE_ 9
#define KSYSCALL_TYPE_ 10
#define KSYSCALL_LISTED_ 11
#define KSYSCALL_IS_IPC_ (1ULL << 32)
#define KSYSCALL_SOCKETCALL_(number) ((number) * 1ULL << 24 | KSYSCALL_LISTED_ * 0x111111ULL)
#define KSYSCALL_IPC_(number, a, b, c, d, e) \
	(KSYSCALL_IS_IPC_ | (number) * 1ULL << 24 | (a) | (b) << 4 | (c) << 8 | (d) << 12 | (e) << 16)

#define KSYSCALL_SUBCALL_socket KSYSCALL_SOCKETCALL_(1)
#define KSYSCALL_SUBCALL_bind KSYSCALL_SOCKETCALL_(2)
#define KSYSCALL_SUBCALL_connect KSYSCALL_SOCKETCALL_(3)
#define KSYSCALL_SUBCALL_listen KSYSCALL_SOCKETCALL_(4)
#define KSYSCALL_SUBCALL_accept KSYSCALL_SOCKETCALL_(5)
#define KSYSCALL_SUBCALL_getsockname KSYSCALL_SOCKETCALL_(6)
#define KSYSCALL_SUBCALL_getpeername KSYSCALL_SOCKETCALL_(7)
#define KSYSCALL_SUBCALL_socketpair KSYSCALL_SOCKETCALL_(8)
#define KSYSCALL_SUBCALL_send KSYSCALL_SOCKETCALL_(9)
#define KSYSCALL_SUBCALL_recv KSYSCALL_SOCKETCALL_(10)
#define KSYSCALL_SUBCALL_sendto KSYSCALL_SOCKETCALL_(11)
#define KSYSCALL_SUBCALL_recvfrom KSYSCALL_SOCKETCALL_(12)
#define KSYSCALL_SUBCALL_shutdown KSYSCALL_SOCKETCALL_(13)
#define KSYSCALL_SUBCALL_setsockopt KSYSCALL_SOCKETCALL_(14)
#define KSYSCALL_SUBCALL_getsockopt KSYSCALL_SOCKETCALL_(15)
#define KSYSCALL_SUBCALL_sendmsg KSYSCALL_SOCKETCALL_(16)
#define KSYSCALL_SUBCALL_recvmsg KSYSCALL_SOCKETCALL_(17)
#define KSYSCALL_SUBCALL_accept4 KSYSCALL_SOCKETCALL_(18)
#define KSYSCALL_SUBCALL_recvmmsg KSYSCALL_SOCKETCALL_(19)
#define KSYSCALL_SUBCALL_sendmmsg KSYSCALL_SOCKETCALL_(20)
#define KSYSCALL_SUBCALL_semop KSYSCALL_IPC_(1, 2, 5, 3, 0, 0)
#define KSYSCALL_SUBCALL_semget KSYSCALL_IPC_(2, 2, 3, 4, 0, 0)
#define KSYSCALL_SUBCALL_semctl KSYSCALL_IPC_(3, 2, 3, 4, KSYSCALL_POINTED_TO_, 0)
#define KSYSCALL_SUBCALL_semtimedop KSYSCALL_IPC_(4, 2, 5, 3, KSYSCALL_LAST_, 0)
#define KSYSCALL_SUBCALL_msgsnd KSYSCALL_IPC_(11, 2, 5, 3, 4, 0)
#define KSYSCALL_SUBCALL_msgrcv KSYSCALL_IPC_(12, 2, KSYSCALL_MESSAGE_, 3, KSYSCALL_TYPE_, 4)
#define KSYSCALL_SUBCALL_msgget KSYSCALL_IPC_(13, 2, 3, 0, 0, 0)
#define KSYSCALL_SUBCALL_msgctl KSYSCALL_IPC_(14, 2, 3, 5, 0, 0)
#define KSYSCALL_SUBCALL_shmat KSYSCALL_IPC_(21, 2, 5, 3, 0, 0)
#define KSYSCALL_SUBCALL_shmdt KSYSCALL_IPC_(22, 5, 0, 0, 0, 0)
#define KSYSCALL_SUBCALL_shmget KSYSCALL_IPC_(23, 2, 3, 4, 0, 0)
#define KSYSCALL_SUBCALL_shmctl KSYSCALL_IPC_(24, 2, 3, 5, 0, 0)

/* The numbers of the multiplexers. The numbers differ on MIPS, but KSYSCALL_NR() always returns -1 there. */
#define KSYSCALL_NR_SOCKETCALL_ 102
#define KSYSCALL_NR_IPC_ 117
#define KSYSCALL_MULTIPLEXER_socketcall 0xffffffff
#define KSYSCALL_MULTIPLEXER_ipc 0xffff

/*
 * Returns the sub-call's number, which is the multiplexer's first argument. For ipc, `mask` removes the
 * argument's upper half.
 */
KSYSCALL_INLINE_ __u32 ksyscall_subcall_(const struct ksyscall_ *call, __u32 mask)
{
	if (KSYSCALL_BITS == 32 || call->is_compat)
		return (__u32)ksyscall_word_(call, 1, 0) & mask;
	return (__u32)ksyscall_word_(call, 0, 0) & mask;
}

/* Returns the sub-call's nth argument, counting from 0. All parameters except `call` are constants. */
KSYSCALL_INLINE_ __u64 ksyscall_subcall_word_(const struct ksyscall_ *call, __u64 subcall, int narrow, int n)
{
	int source = (int)(subcall >> 4 * n & 15), size = narrow ? 4 : 8;
	__u64 value;

	switch (source) {
	case 0:
		return 0;
	case KSYSCALL_LAST_:
		return ksyscall_word_(call, narrow, KSYSCALL_IPC_LAST_ - 1);
	case KSYSCALL_POINTED_TO_:
		return ksyscall_user_word_(ksyscall_word_(call, narrow, 4), narrow);
	case KSYSCALL_LISTED_:
		return ksyscall_user_word_(ksyscall_word_(call, narrow, 1) + size * n, narrow);
	case KSYSCALL_MESSAGE_:
		value = ksyscall_word_(call, narrow, 4);
		if (KSYSCALL_IPC_VERSION_(ksyscall_word_(call, narrow, 0)))
			return value;
		return ksyscall_user_word_(value, narrow);
	case KSYSCALL_TYPE_:
		if (KSYSCALL_IPC_VERSION_(ksyscall_word_(call, narrow, 0)))
			value = ksyscall_word_(call, narrow, 5);
		else
			value = ksyscall_user_word_(ksyscall_word_(call, narrow, 4) + size, narrow);
		return narrow ? (__u64)(__s32)value : value;
	default:
		return ksyscall_word_(call, narrow, source - 1);
	}
}

KSYSCALL_INLINE_ __u64 ksyscall_subcall_arg_(struct ksyscall_ call, __u64 subcall, int n)
{
	if (KSYSCALL_BITS == 32 || call.is_compat)
		return ksyscall_subcall_word_(&call, subcall, 1, n - 1);
	return ksyscall_subcall_word_(&call, subcall, 0, n - 1);
}

/*
 * What triggered a program that is attached to a call and to its multiplexer: the call itself, the call
 * through the multiplexer, or another call through the multiplexer.
 */
enum { KSYSCALL_BY_ITSELF_, KSYSCALL_BY_MULTIPLEXER_, KSYSCALL_ANOTHER_ };

KSYSCALL_INLINE_ int ksyscall_way_(const void *ctx, const struct ksyscall_ *call, __u64 subcall)
{
	int is_ipc = (subcall & KSYSCALL_IS_IPC_) != 0, number = ksyscall_nr_(ctx);

	if (!KSYSCALL_HAS_MULTIPLEXERS_(call->is_compat) ||
	    (number != -1 && number != (is_ipc ? KSYSCALL_NR_IPC_ : KSYSCALL_NR_SOCKETCALL_)))
		return KSYSCALL_BY_ITSELF_;
	if (ksyscall_subcall_(call, is_ipc ? KSYSCALL_MULTIPLEXER_ipc : KSYSCALL_MULTIPLEXER_socketcall) !=
	    (subcall >> 24 & 0xff))
		return KSYSCALL_ANOTHER_;
	return KSYSCALL_BY_MULTIPLEXER_;
}

KSYSCALL_INLINE_ __u64 ksyscall_either_arg_(struct ksyscall_ call, int way, __u64 subcall, __u64 wide,
					    __u64 narrow, int n)
{
	if (way == KSYSCALL_BY_MULTIPLEXER_)
		return ksyscall_subcall_arg_(call, subcall, n);
	return ksyscall_arg_(call, wide, narrow, n);
}

#define KSYSCALL_SUBCALL_NR(call) ((__u32)(KSYSCALL_SUBCALL_##call >> 24 & 0xff))

#define KSYSCALL_SUBCALL(ctx, multiplexer)                                                  \
	({                                                                                  \
		struct ksyscall_ subcall_of_ = ksyscall_of_(ctx, KSYSCALL_CALLERS);         \
		ksyscall_subcall_(&subcall_of_, (__u32)KSYSCALL_MULTIPLEXER_##multiplexer); \
	})

#define KSYSCALL_SUBCALL_ARG(ctx, call, n)                                                              \
	({                                                                                              \
		_Static_assert((n) >= 1 && (n) <= 6, "arguments are 1 to 6");                           \
		ksyscall_subcall_arg_(ksyscall_of_(ctx, KSYSCALL_CALLERS), KSYSCALL_SUBCALL_##call, n); \
	})

/* clang-format off */
#define KSYSCALL_SUBCALL_PROG(name, call, args...)                                              \
	name(struct pt_regs *ctx);                                                              \
	KSYSCALL_INLINE_ __typeof__(name(0))                                                    \
	ksyscall_##name##_(KSYSCALL_UNUSED_ struct pt_regs *ctx, ##args);                       \
	__typeof__(name(0)) name(struct pt_regs *ctx)                                           \
	{                                                                                       \
		struct ksyscall_ call_ = ksyscall_of_(ctx, KSYSCALL_CALLERS);                   \
		int way_ = ksyscall_way_(ctx, &call_, KSYSCALL_SUBCALL_##call);                 \
                                                                                                \
		if (way_ == KSYSCALL_ANOTHER_)                                                  \
			return 0;                                                               \
		_Pragma("clang diagnostic push")                                                \
		_Pragma("clang diagnostic ignored \"-Wint-conversion\"")                        \
		return ksyscall_##name##_(                                                      \
			ctx KSYSCALL_PASS_(KSYSCALL_COUNT_(args))(ksyscall_either_arg_, way_,   \
								  KSYSCALL_SUBCALL_##call,      \
								  KSYSCALL_LAYOUTS_OF_(call))); \
		_Pragma("clang diagnostic pop")                                                 \
	}                                                                                       \
	KSYSCALL_INLINE_ __typeof__(name(0))                                                    \
	ksyscall_##name##_(KSYSCALL_UNUSED_ struct pt_regs *ctx, ##args)
/* clang-format on */

/* --- Strings that are not in memory at entry --- */

/*
 * An entry program stores the pointer, and a return program reads the string when the call returns. By then,
 * the kernel has read the string and thereby brought its page into memory.
 *
 *	KSYSCALL_KEPT_MAP(paths, 10240);
 *
 *	SEC("ksyscall/openat")
 *	int KSYSCALL_PROG(on_entry, openat, int dirfd, const char *path)
 *	{
 *		KSYSCALL_KEEP(paths, path);
 *		return 0;
 *	}
 *
 *	SEC("kretsyscall/openat")
 *	int on_return(void *ctx)
 *	{
 *		char path[256];
 *		long length = KSYSCALL_TAKE_STR(paths, path, sizeof(path));
 *
 *		if (length > 0)
 *			bpf_printk("%s", path);
 *		return 0;
 *	}
 *
 *	KSYSCALL_KEPT_MAP(map, entries)	defines a map with one pointer for each thread that is in a call
 *	KSYSCALL_KEEP(map, pointer)	stores the pointer for this thread; returns 0 or a negative errno
 *	KSYSCALL_TAKE(map)		removes and returns the pointer as a __u64; 0 if none was stored
 *	KSYSCALL_TAKE_STR(map, to, size)
 *					removes the pointer and reads the string; returns its length with
 *					the NUL, or a negative errno: -ENOENT (-2) if no pointer was stored
 *
 * A call with two strings (rename) requires two maps. Programs for several calls may share a map if each call
 * has an entry program and a return program. Attach the return program first. Otherwise a call that is made
 * between the two attachments leaves a stale pointer in the map.
 *
 * Each call incurs the cost of a return probe and three hash map operations. The map uses about 100 bytes for
 * each entry, whether the entry is used or not (see bpftool map).
 *
 * Limits:
 *	- If a return is lost (docs/returns.md), so is the string. The pointer stays in the map until the
 *	  thread next makes the call.
 *	- The map is an LRU map: when it is full, it drops the least recently used entries, which may belong
 *	  to calls in progress. KSYSCALL_TAKE_STR() then returns -ENOENT. The map needs more entries than the
 *	  number of threads that can be in these calls at the same time.
 *	- By the time a successful execve(2) returns, the old memory is gone: use the tracepoint
 *	  sched:sched_process_exec instead.
 *	- If a call fails before it reads its argument, the page may still not be resident.
 *	  KSYSCALL_TAKE_STR() then returns -EFAULT.
 *	- Another thread may have changed the memory after the kernel read it.
 */
#define KSYSCALL_KEPT_MAP(map, entries)              \
	struct {                                     \
		__uint(type, BPF_MAP_TYPE_LRU_HASH); \
		__uint(max_entries, entries);        \
		__type(key, __u64);                  \
		__type(value, __u64);                \
	} map SEC(".maps")

#define KSYSCALL_KEEP(map, pointer) ksyscall_keep_(&(map), (unsigned long)(pointer))
#define KSYSCALL_TAKE(map) ksyscall_take_(&(map))
#define KSYSCALL_TAKE_STR(map, to, size)                                                  \
	({                                                                                \
		const void *taken_ = (const void *)(unsigned long)ksyscall_take_(&(map)); \
		taken_ ? (long)KSYSCALL_READ_USER_STR(to, size, taken_) : -2L;            \
	})

KSYSCALL_INLINE_ long ksyscall_keep_(void *map, __u64 pointer)
{
	__u64 thread = bpf_get_current_pid_tgid();

	/* 0 is BPF_ANY. Some programs do not include the header that defines BPF_ANY. */
	return bpf_map_update_elem(map, &thread, &pointer, 0);
}

KSYSCALL_INLINE_ __u64 ksyscall_take_(void *map)
{
	__u64 thread = bpf_get_current_pid_tgid(), pointer;
	const __u64 *kept = bpf_map_lookup_elem(map, &thread);

	if (!kept)
		return 0;
	pointer = *kept;
	bpf_map_delete_elem(map, &thread);
	return pointer;
}

#endif
