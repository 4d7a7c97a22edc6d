"""Tests ksyscall.bpf.h for each architecture and kind of caller, without requiring a kernel.

The tests compile the header for this machine and let it read a hand-made context. The expected layouts follow the
kernel sources that are named above each group of cases (Linux 6.12).
"""

import struct

import pytest

from testing.build import run

PROGRAM = """
#include <string.h>
#include <stdio.h>
#define KSYSCALL_READ(to, size, from) memcpy(to, from, size)
#define KSYSCALL_READ_USER KSYSCALL_READ
#include <ksyscall.bpf.h>
#define ARG(n) KSYSCALL_ARG(context, CALL, n)
static unsigned char context[1024] = { CONTEXT };
static unsigned char stack[1024] = { STACK };
int main(void)
{
	KSYSCALL_STACK_POINTER = (unsigned long)stack;
	printf("%llx %llx %llx %llx %llx %llx", ARG(1), ARG(2), ARG(3), ARG(4), ARG(5), ARG(6));
	return 0;
}
"""

# Offsets in struct pt_regs of the first eight argument words, and the word size. An offset of -N means N - 1 bytes
# above the stack pointer.
MIPS = [32 + 8 * n for n in range(8)], 8
LOONGARCH = MIPS
POWERPC = [12 + 4 * n for n in range(8)], 4
POWERPC64 = [24 + 8 * n for n in range(8)], 8
RISCV = [80 + 8 * n for n in range(8)], 8
S390 = [*(40 + 8 * n for n in range(5)), -161, -169, -177], 8

CASES = [
    # arch/mips/kernel/linux32.c
    ("mips", "COMPAT", MIPS, "little", "pread64", [0, 1, 2, (4, 5)]),
    ("mips", "COMPAT", MIPS, "big", "pread64", [0, 1, 2, (5, 4)]),
    ("mips", "COMPAT", MIPS, "big", "truncate64", [0, (3, 2)]),
    ("mips", "COMPAT", MIPS, "big", "readahead", [0, (3, 2), 4]),
    ("mips", "COMPAT", MIPS, "little", "fallocate", [0, 1, (2, 3), (4, 5)]),
    ("mips", "COMPAT", MIPS, "big", "sync_file_range", [0, (3, 2), (5, 4), 6]),
    ("mips", "COMPAT", MIPS, "big", "fadvise64", [0, (3, 2), (5, 4), 6]),
    ("mips", "COMPAT", MIPS, "big", "preadv", [0, 1, 2, (3, 4)]),
    ("mips", "NATIVE", MIPS, "big", "pread64", [0, 1, 2, 3]),
    # kernel/fork.c, with CONFIG_CLONE_BACKWARDS (mips selects it in arch/mips/Kconfig) and without it (loongarch)
    ("mips", "NATIVE", MIPS, "big", "clone", [0, 1, 2, 4, 3]),
    ("loongarch", "NATIVE", LOONGARCH, "little", "clone", [0, 1, 2, 3, 4]),
    ("loongarch", "NATIVE", LOONGARCH, "little", "sync_file_range2", [0, 3, 1, 2]),
    # arch/powerpc/kernel/sys_ppc32.c; for fadvise64_64, arch/powerpc/kernel/syscalls.c
    ("powerpc -DKSYSCALL_BITS=32", "NATIVE", POWERPC, "big", "pwrite64", [0, 1, 2, (5, 4)]),
    ("powerpc -DKSYSCALL_BITS=32", "NATIVE", POWERPC, "big", "readahead", [0, (3, 2), 4]),
    ("powerpc -DKSYSCALL_BITS=32", "NATIVE", POWERPC, "big", "fadvise64", [0, (3, 2), 4, 5]),
    ("powerpc -DKSYSCALL_BITS=32", "NATIVE", POWERPC, "big", "fadvise64_64", [0, (3, 2), (5, 4), 1]),
    ("powerpc -DKSYSCALL_BITS=32", "NATIVE", POWERPC, "big", "sync_file_range", [0, (3, 2), (5, 4), 1]),
    ("powerpc -DKSYSCALL_BITS=32", "NATIVE", POWERPC, "big", "ppc_sync_file_range2", [0, 1, (3, 2), (5, 4)]),
    ("powerpc", "COMPAT", POWERPC64, "big", "ftruncate64", [0, (3, 2)]),
    ("powerpc", "COMPAT", POWERPC64, "big", "fanotify_mark", [0, 1, (3, 2), 4, 5]),
    # arch/s390/kernel/compat_linux.c
    ("s390", "COMPAT", S390, "big", "pread64", [0, 1, 2, (4, 3)]),
    ("s390", "COMPAT", S390, "big", "fadvise64", [0, (2, 1), 3, 4]),
    ("s390", "COMPAT", S390, "big", "sync_file_range", [0, (2, 1), (4, 3), 5]),
    ("s390", "COMPAT", S390, "big", "fallocate", [0, 1, (3, 2), (5, 4)]),
    ("s390", "NATIVE", S390, "big", "clone", [1, 0, 2, 3, 4]),
    # compat_arg_u64_dual() in include/asm-generic/compat.h
    ("riscv", "COMPAT", RISCV, "little", "pread64", [0, 1, 2, (3, 4)]),
    ("riscv", "COMPAT", RISCV, "little", "fallocate", [0, 1, (2, 3), (4, 5)]),
]


@pytest.mark.parametrize("target, callers, places, order, call, wanted", CASES)
def test_argument(target, callers, places, order, call, wanted, tmp_path):
    (offsets, size), memory = places, {"CONTEXT": bytearray(1024), "STACK": bytearray(1024)}
    words = [0x1111111111111111 * (n + 1) for n in range(8)]
    for offset, word in zip(offsets, words, strict=True):
        where, offset = (memory["CONTEXT"], offset) if offset >= 0 else (memory["STACK"], -offset - 1)
        struct.pack_into("<Q" if size == 8 else "<I", where, offset, word % 2 ** (8 * size))
    (tmp_path / "case.c").write_text(PROGRAM)
    pointer = {"s390": 144}.get(target, 1016)
    run("clang", "-O1", "-w", *f"-D__TARGET_ARCH_{target}".split(), f"-DKSYSCALL_CALLERS=KSYSCALL_{callers}",
        f"-DCALL={call}", "-D__BYTE_ORDER__=__ORDER_" + order.upper() + "_ENDIAN__",
        f"-DKSYSCALL_STACK_POINTER=*(unsigned long *)(context + {pointer})",
        *(f"-D{name}={','.join(map(str, content))}" for name, content in memory.items()),
        "-Iinclude", tmp_path / "case.c", "-o", tmp_path / "case")
    bits = 64 if callers == "NATIVE" and size == 8 else 32

    def value(slot):
        if isinstance(slot, tuple):
            low, high = slot
            return words[low] % 2 ** 32 | words[high] % 2 ** 32 << 32
        return words[slot] % 2 ** bits
    seen = [int(word, 16) for word in run(tmp_path / "case").split()]
    assert [f"{word:x}" for word in seen[:len(wanted)]] == [f"{value(slot):x}" for slot in wanted]


# fs/read_write.c: on x32, preadv64v2 passes the offset in one word, but preadv2 passes it in two.
@pytest.mark.parametrize("number, flags", [(327, 5), (0x40000000 + 546, 4)])
def test_x32_has_the_flags_of_preadv2_in_another_word(number, flags, tmp_path):
    context, stack = bytearray(1024), bytearray(1024)
    words = [0x1111111111111111 * (n + 1) for n in range(6)]
    registers = 256
    for offset, word in zip((112, 104, 96, 56, 72, 64), words, strict=True):
        struct.pack_into("<Q", stack, registers + offset, word)
    struct.pack_into("<Q", stack, registers + 120, number)
    program = PROGRAM.replace("int main(void)\n{", "int main(void)\n{\n\t"
                              f"*(unsigned long *)(context + 112) = (unsigned long)stack + {registers};")
    (tmp_path / "case.c").write_text(program)
    run("clang", "-O1", "-w", "-D__TARGET_ARCH_x86", "-DKSYSCALL_CALLERS=KSYSCALL_NATIVE", "-DCALL=preadv2",
        "-DKSYSCALL_STACK_POINTER=*(unsigned long *)(context + 152)",
        *(f"-D{name}={','.join(map(str, content))}" for name, content in (("CONTEXT", context), ("STACK", stack))),
        "-Iinclude", tmp_path / "case.c", "-o", tmp_path / "case")
    seen = [int(word, 16) for word in run(tmp_path / "case").split()]
    assert seen[:5] == [*words[:4], words[flags]]
