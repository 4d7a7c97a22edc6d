/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Defines syscall(2). Tools with a static libbpf, aya and bcc open probes through the C library's
 * syscall(). The library exports its own syscall() to intercept these calls when it is preloaded. Every
 * call except perf_event_open() goes directly to the kernel.
 *
 * The function makes the system call itself instead of calling the next definition of syscall().
 * dlsym(RTLD_NEXT) takes the loader's lock and may allocate, so signal handlers, children of vfork() and code
 * that runs before the library's relocations could not use that function. (As a consequence, another library
 * that also defines syscall() and is preloaded after this one is never called.) The function must be
 * indistinguishable from the C library's function, which is equally short. The function moves the six
 * arguments by one place, turns a kernel result of -4095 to -1 into -1 and errno, and is not a cancellation
 * point. It has no stack frame and ends with a jump, so that a child of syscall(SYS_vfork) returns to the
 * caller with the caller's stack. It saves registers on the stack only on i386, arm and s390x, as the C
 * library does. On these architectures, a system call requires more registers than a function may change.
 * Differences between architectures:
 *
 * - x86-64: x32 has different numbers, and uses the C library's syscall(): see perf_event_open.c.
 * - i386: the thread's control block contains the address of the vDSO's kernel entry, in glibc and musl.
 * - arm: uses the ARM instruction set; the linker adds veneers for jumps to Thumb code.
 * - ppc64el: uses `sc` instead of `scv`, which some machines and kernels lack. `sc` reports an error with
 *   the bit CR0.SO and a positive errno. The global entry sets r2 to this library's TOC, which the
 *   jumps to C require; the caller's linkage stub restores r2.
 * - s390x: the fifth and sixth arguments are on the caller's stack.
 *
 * The exported symbol has no version: if the library is preloaded, references to any version (on x86-64
 * syscall@GLIBC_2.2.5) bind to an unversioned definition. musl does not use symbol versions.
 * libksyscall.a does not contain syscall(), only ksyscall_raw(), which the library itself uses.
 */
#include <sys/syscall.h>
#ifdef __CET__
#include <cet.h>
#endif
#ifndef _CET_ENDBR
#define _CET_ENDBR
#endif

/*
 * ksyscall_raw() makes a system call for the library itself. syscall() either jumps to
 * ksyscall_perf_event_open() with unchanged arguments, or falls through to ksyscall_raw().
 */
#define EXPORTED(name) \
	.globl name; \
	.type name, %function; \
	name:
#define FUNCTION(name) \
	.hidden name; \
	EXPORTED(name)

	.text
	.hidden ksyscall_fail
#ifndef KSYSCALL_STATIC
	.hidden ksyscall_perf_event_open
#endif

#if defined(__x86_64__) && !defined(__ILP32__)

#ifndef KSYSCALL_STATIC
EXPORTED(syscall)
	.cfi_startproc
	_CET_ENDBR
	cmpq	$__NR_perf_event_open, %rdi
	je	ksyscall_perf_event_open
	.cfi_endproc
#endif
FUNCTION(ksyscall_raw)
	.cfi_startproc
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %r10
	movq	%r9, %r8
	movq	8(%rsp), %r9
	syscall
	cmpq	$-4095, %rax
	jae	1f
	ret
1:	movq	%rax, %rdi
	jmp	ksyscall_fail
	.cfi_endproc

#elif defined(__i386__)

#ifndef KSYSCALL_STATIC
EXPORTED(syscall)
	.cfi_startproc
	_CET_ENDBR
	cmpl	$__NR_perf_event_open, 4(%esp)
	je	ksyscall_perf_event_open
	.cfi_endproc
#endif
FUNCTION(ksyscall_raw)
	.cfi_startproc
	pushl	%ebp
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %ebp, 0
	pushl	%edi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %edi, 0
	pushl	%esi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %esi, 0
	pushl	%ebx
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %ebx, 0
	movl	20(%esp), %eax
	movl	24(%esp), %ebx
	movl	28(%esp), %ecx
	movl	32(%esp), %edx
	movl	36(%esp), %esi
	movl	40(%esp), %edi
	movl	44(%esp), %ebp
	call	*%gs:0x10
	popl	%ebx
	.cfi_adjust_cfa_offset -4
	.cfi_restore %ebx
	popl	%esi
	.cfi_adjust_cfa_offset -4
	.cfi_restore %esi
	popl	%edi
	.cfi_adjust_cfa_offset -4
	.cfi_restore %edi
	popl	%ebp
	.cfi_adjust_cfa_offset -4
	.cfi_restore %ebp
	cmpl	$-4095, %eax
	jae	1f
	ret
1:	subl	$8, %esp
	.cfi_adjust_cfa_offset 8
	pushl	%eax
	.cfi_adjust_cfa_offset 4
	call	ksyscall_fail
	addl	$12, %esp
	.cfi_adjust_cfa_offset -12
	ret
	.cfi_endproc

#elif defined(__aarch64__)

#ifndef KSYSCALL_STATIC
EXPORTED(syscall)
	.cfi_startproc
	hint	#34	/* bti c */
	cmp	x0, #__NR_perf_event_open
	b.eq	1f
	.cfi_endproc
#endif
FUNCTION(ksyscall_raw)
	.cfi_startproc
	uxtw	x8, w0
	mov	x0, x1
	mov	x1, x2
	mov	x2, x3
	mov	x3, x4
	mov	x4, x5
	mov	x5, x6
	svc	#0
	cmn	x0, #4095
	b.cs	2f
	ret
2:	b	ksyscall_fail
#ifndef KSYSCALL_STATIC
1:	b	ksyscall_perf_event_open
#endif
	.cfi_endproc

#elif defined(__arm__)

	.syntax unified
	.arm
#ifndef KSYSCALL_STATIC
EXPORTED(syscall)
	.fnstart
	cmp	r0, #__NR_perf_event_open
	beq	1f
	.fnend
#endif
FUNCTION(ksyscall_raw)
	.fnstart
	mov	ip, sp
	push	{r4, r5, r6, r7}
	.save	{r4, r5, r6, r7}
	mov	r7, r0
	mov	r0, r1
	mov	r1, r2
	mov	r2, r3
	ldm	ip, {r3, r4, r5, r6}
	svc	#0
	pop	{r4, r5, r6, r7}
	cmn	r0, #4096
	bxcc	lr
	b	ksyscall_fail
#ifndef KSYSCALL_STATIC
1:	b	ksyscall_perf_event_open
#endif
	.fnend

#elif defined(__riscv) && __riscv_xlen == 64

#ifndef KSYSCALL_STATIC
EXPORTED(syscall)
	.cfi_startproc
	li	t1, __NR_perf_event_open
	beq	a0, t1, 1f
	.cfi_endproc
#endif
FUNCTION(ksyscall_raw)
	.cfi_startproc
	mv	a7, a0
	mv	a0, a1
	mv	a1, a2
	mv	a2, a3
	mv	a3, a4
	mv	a4, a5
	mv	a5, a6
	ecall
	li	t1, -4095
	bgeu	a0, t1, 2f
	ret
2:	tail	ksyscall_fail
#ifndef KSYSCALL_STATIC
1:	tail	ksyscall_perf_event_open
#endif
	.cfi_endproc

#elif defined(__s390x__)

#ifndef KSYSCALL_STATIC
EXPORTED(syscall)
	.cfi_startproc
	cghi	%r2, __NR_perf_event_open
	jge	ksyscall_perf_event_open
	.cfi_endproc
#endif
FUNCTION(ksyscall_raw)
	.cfi_startproc
	stmg	%r6, %r7, 48(%r15)
	.cfi_offset %r6, -112
	.cfi_offset %r7, -104
	lgr	%r1, %r2
	lgr	%r2, %r3
	lgr	%r3, %r4
	lgr	%r4, %r5
	lgr	%r5, %r6
	lg	%r6, 160(%r15)
	lg	%r7, 168(%r15)
	svc	0
	lmg	%r6, %r7, 48(%r15)
	lghi	%r0, -4095
	clgr	%r2, %r0
	jgnl	ksyscall_fail
	br	%r14
	.cfi_endproc

#elif defined(__powerpc64__) && _CALL_ELF == 2

	.abiversion 2
#ifndef KSYSCALL_STATIC
EXPORTED(syscall)
	.cfi_startproc
0:	addis	2, 12, (.TOC. - 0b)@ha
	addi	2, 2, (.TOC. - 0b)@l
	.localentry syscall, . - syscall
	cmpdi	3, __NR_perf_event_open
	beq	1f
	.cfi_endproc
#endif
FUNCTION(ksyscall_raw)
	.cfi_startproc
	mr	0, 3
	mr	3, 4
	mr	4, 5
	mr	5, 6
	mr	6, 7
	mr	7, 8
	mr	8, 9
	sc
	bnslr
	neg	3, 3
	b	ksyscall_fail
#ifndef KSYSCALL_STATIC
1:	b	ksyscall_perf_event_open
#endif
	.cfi_endproc

#else
#define USES_THE_C_LIBRARYS
#endif

#ifndef USES_THE_C_LIBRARYS
	.size	ksyscall_raw, . - ksyscall_raw
#ifndef KSYSCALL_STATIC
	.size	syscall, . - syscall
#endif
#endif
	.section .note.GNU-stack, "", %progbits
