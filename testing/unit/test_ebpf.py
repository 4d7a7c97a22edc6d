"""Tests that the crate for BPF programs in Rust agrees with ksyscall.bpf.h: the crate contains the
header's numbers, and both decode the same random words (generated from fixed seeds) to the same values."""

import functools
import re

import pytest

from testing import ebpf, matrix
from testing.build import run, target_dir

PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define BASE 0x10000000ULL
static unsigned char context[1024], memory[0x10000];
static void fetch(void *to, unsigned long size, const void *from)
{
	unsigned long offset = (unsigned long)from - (unsigned long)context;
	memcpy(to, offset < sizeof(context) ? from : memory + ((unsigned long)from - BASE), size);
}
/* Treats every address as the caller's memory. */
static void fetch_user(void *to, unsigned long size, const void *from)
{
	memcpy(to, memory + ((unsigned long)from & 0xfff8), size);
}
#define KSYSCALL_READ fetch
#define KSYSCALL_READ_USER fetch_user
#include <ksyscall.bpf.h>
#if defined(__TARGET_ARCH_powerpc)
#define NUMBER(number) &(KSYSCALL_WORD_){ number }, sizeof(KSYSCALL_WORD_)
#else
#define NUMBER(number) &(int){ number }, sizeof(int)
#endif
static void fill(unsigned long long *seed, unsigned char *to, int size)
{
	for (int i = 0; i < size; i++) {
		*seed ^= *seed << 13;
		*seed ^= *seed >> 7;
		*seed ^= *seed << 17;
		to[i] = *seed >> 32;
	}
}
static void put(unsigned char *to, KSYSCALL_WORD_ word)
{
	memcpy(to, &word, sizeof(word));
}
#define ARG(call, n) (unsigned long long)KSYSCALL_ARG(context, call, n)
#define CALL(call) \\
	printf(#call " %llx %llx %llx %llx %llx %llx\\n", ARG(call, 1), ARG(call, 2), ARG(call, 3), ARG(call, 4), \\
		ARG(call, 5), ARG(call, 6))
#define SUB_ARG(call, n) (unsigned long long)KSYSCALL_SUBCALL_ARG(context, call, n)
#define SUB_CALL(call) \\
	printf(#call " %d %u %llx %llx %llx %llx %llx %llx\\n", way(KSYSCALL_SUBCALL_##call), \\
		KSYSCALL_SUBCALL_NR(call), SUB_ARG(call, 1), SUB_ARG(call, 2), SUB_ARG(call, 3), SUB_ARG(call, 4), \\
		SUB_ARG(call, 5), SUB_ARG(call, 6))
static int way(unsigned long long subcall)
{
	struct ksyscall_ call = ksyscall_of_(context, KSYSCALL_CALLERS);
	return ksyscall_way_(context, &call, subcall);
}
static void put_first(unsigned char *to, KSYSCALL_WORD_ word)
{
	put(to + KSYSCALL_SAVED_(0), word);
	if (KSYSCALL_BITS == 64)
		put(to + KSYSCALL_SAVED_COMPAT_(0), word);
}
int main(int argc, char **argv)
{
	unsigned long long seed = strtoull(argv[2], NULL, 10);
	fill(&seed, context, sizeof(context));
	fill(&seed, memory, sizeof(memory));
#ifdef KSYSCALL_SP_
	put(context + KSYSCALL_SP_, BASE + 0x1000);
#endif
	if (strcmp(argv[1], "direct") == 0)
		put(KSYSCALL_FIRST_WORD, BASE + 0x8000);
#ifdef KSYSCALL_FIRST_
	if (strcmp(argv[1], "direct") != 0) {
		put(context + KSYSCALL_FIRST_, BASE + 0x1100);
		put_first(memory + 0x1100, BASE + 0x8000);
	}
#ifdef KSYSCALL_SAVED_NR_
	/* connect through socketcall, and msgrcv through ipc */
	if (strcmp(argv[1], "socketcall") == 0 || strcmp(argv[1], "ipc") == 0) {
		int is_ipc = strcmp(argv[1], "ipc") == 0;
		memcpy(memory + 0x1100 + KSYSCALL_SAVED_NR_, NUMBER(is_ipc ? 117 : 102));
		put_first(memory + 0x1100, is_ipc ? argv[2][0] % 2 << 16 | 12 : 3);
	}
#endif
#endif
	printf("%d %d\\n", ksyscall_of_(context, KSYSCALL_CALLERS).is_compat, KSYSCALL_NR(context));
	printf("%u %u\\n", KSYSCALL_SUBCALL(context, socketcall), KSYSCALL_SUBCALL(context, ipc));
	CALLS
	return 0;
}
"""
CALLERS = {"native": "KSYSCALL_NATIVE", "compat": "KSYSCALL_COMPAT", "asked": "KSYSCALL_ALL"}
SEEDS = range(1, 13)


@functools.cache
def calls():
    """Returns the calls that have a layout on any architecture, and one call without a layout."""
    return [*ebpf.calls(), "openat"]


@functools.cache
def evaluate():
    run("cargo", "build", "--locked", "--quiet", "--example", "evaluate", "--manifest-path", "ebpf/Cargo.toml",
        "--target-dir", target_dir())
    return target_dir() / "debug/examples/evaluate"


def number(lines, name):
    return re.search(rf"^{name}: (?:Some\()?(-?\d+|None)", lines, re.M)[1].replace("None", "-1")


def number_size(lines):
    """Returns the size in bytes of the call's number in the registers."""
    is_64_bit_word = "number_is_a_word: true" in lines and "bits: 64" in lines
    return "8" if is_64_bit_word else "4"


def first(lines, name):
    return re.search(rf"^{name}: \[(-?\d+)", lines, re.M)[1]


def cases():
    for kernel in ebpf.KERNELS:
        is_32_bit = kernel in ("X86", "Arm", "Powerpc")
        for callers in CALLERS:
            # On x86-64, a program needs the kernel's types (BTF) to detect the caller. A 32-bit kernel
            # has only native callers.
            if (callers == "asked" and kernel == "X86_64") or (callers == "compat" and is_32_bit):
                continue
            yield kernel, callers


def test_its_examples_compile_and_run():
    assert re.search(r"^test result: ok\. 3 passed", run(
        "cargo", "test", "--locked", "--quiet", "--manifest-path", "ebpf/Cargo.toml", "--target-dir",
        target_dir()), re.M)


def test_the_numbers_match_the_header():
    assert ebpf.KERNELS_RS.read_text() == ebpf.module(), "python3 -m testing.ebpf makes them anew"


def test_the_sub_calls_are_those_of_the_library():
    rows = re.findall(r'"(\w+)", (0x\w+)', ebpf.sub_call_rows())
    header = {name: ("ipc" if int(value, 16) >> 32 else "socketcall", int(value, 16) >> 24 & 0xff)
              for name, value in rows}
    assert header == matrix.sub_calls_of(["socketcall", "ipc"]) and len(header) == 32


@pytest.mark.parametrize("kernel, callers", cases())
def test_the_crate_reads_words_as_the_header_does(kernel, callers, tmp_path):
    lines = ebpf.places(kernel)
    lines_of = [f"CALL({call})" for call in calls()] + [f"SUB_CALL({call})" for call in ebpf.sub_calls()]
    source = PROGRAM.replace("CALLS\n", "".join(f"\t{line};\n" for line in lines_of))
    # The word is in the context or, for i386, on the stack. An offset of -N means N - 1 bytes above the stack's start.
    direct = int(first(lines, "direct"))
    place = direct if direct >= 0 else -int(first(lines, "on_stack")) - 1
    word = f"context+{place}" if direct >= 0 else f"memory+0x1000+{-place - 1}"
    program = ebpf.build_c(kernel, source, tmp_path / "header",
                           f"-DKSYSCALL_CALLERS={CALLERS[callers]}", f"-DKSYSCALL_FIRST_WORD={word}")
    places = [first(lines, "saved"), first(lines, "saved_compat")]
    has_registers = number(lines, "first") != "-1"
    ways = set()
    for words in ["direct", *["registers", "socketcall", "ipc"] * has_registers]:
        given = ["4" if "bits: 32" in lines else "8", number(lines, "stack_pointer"), number(lines, "first"),
                 number(lines, "number"), number_size(lines),
                 *(places[:1 if "bits: 32" in lines else 2] if words != "direct" else [str(place)])]
        for seed in SEEDS:
            ours = run(evaluate(), kernel, callers, words, str(seed), ",".join(given), *calls(), "--",
                       *ebpf.sub_calls())
            theirs = run(program, words, str(seed))
            assert ours.splitlines() == theirs.splitlines(), f"{words}, seed {seed}"
            assert len(set(ours.split())) > 20
            ways |= {(words, line.split()[0]) for line in ours.splitlines() if re.match(r"\w+ 1 \d+ ", line)}
    is_multiplexed = {"socketcall": "connect", "ipc": "msgrcv"}.items() <= dict(ways).items()
    has = re.search(r"has_multiplexers: \[(\w+), (\w+)\]", lines).groups()
    # For "asked", the random words determine whether the caller is native or 32-bit, so either result is correct.
    assert is_multiplexed == (has_registers and has[callers == "compat"] == "true") or callers == "asked"
