"""The crate for BPF programs in Rust follows ksyscall.bpf.h: its numbers are of it, and what
it makes of words that a seed gives is what the header's macros make of the same."""

import functools
import re

import pytest

from testing import ebpf
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
#define KSYSCALL_READ fetch
#define KSYSCALL_READ_USER fetch
#include <ksyscall.bpf.h>
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
	if (strcmp(argv[1], "registers") == 0) {
		put(context + KSYSCALL_FIRST_, BASE + 0x1100);
		put(memory + 0x1100 + KSYSCALL_SAVED_(0), BASE + 0x8000);
		if (KSYSCALL_BITS == 64)
			put(memory + 0x1100 + KSYSCALL_SAVED_COMPAT_(0), BASE + 0x8000);
	}
#endif
	printf("%d %d\\n", ksyscall_of_(context, KSYSCALL_CALLERS).is_compat, KSYSCALL_NR(context));
	CALLS
	return 0;
}
"""
CALLERS = {"native": "KSYSCALL_NATIVE", "compat": "KSYSCALL_COMPAT", "asked": "KSYSCALL_ALL"}
SEEDS = range(1, 13)


@functools.cache
def calls():
    """Those that have a layout somewhere, and one that is plain."""
    return [*ebpf.calls(), "openat"]


@functools.cache
def evaluate():
    run("cargo", "build", "--locked", "--quiet", "--example", "evaluate", "--manifest-path", "ebpf/Cargo.toml",
        "--target-dir", target_dir())
    return target_dir() / "debug/examples/evaluate"


def number(lines, name):
    return re.search(rf"^{name}: (?:Some\()?(-?\d+|None)", lines, re.M)[1].replace("None", "-1")


def first(lines, name):
    return re.search(rf"^{name}: \[(-?\d+)", lines, re.M)[1]


def cases():
    for kernel in ebpf.KERNELS:
        is_32_bit = kernel in ("X86", "Arm", "Powerpc")
        for callers in CALLERS:
            # On x86-64 it is asked by the kernel's types, and a 32-bit kernel has but one kind.
            if (callers == "asked" and kernel == "X86_64") or (callers == "compat" and is_32_bit):
                continue
            yield kernel, callers


def test_its_example_compiles_and_runs():
    assert re.search(r"^test result: ok\. 1 passed", run(
        "cargo", "test", "--locked", "--quiet", "--doc", "--manifest-path", "ebpf/Cargo.toml", "--target-dir",
        target_dir()), re.M)


def test_the_numbers_are_those_of_the_header():
    assert ebpf.KERNELS_RS.read_text() == ebpf.module(), "python3 -m testing.ebpf makes them anew"


@pytest.mark.parametrize("kernel, callers", cases())
def test_it_makes_of_words_what_the_header_makes(kernel, callers, tmp_path):
    defines, is_big_endian = ebpf.KERNELS[kernel]
    lines = ebpf.places(kernel)
    source = PROGRAM.replace("CALLS\n", "".join(f"\tCALL({call});\n" for call in calls()))
    # In the context; i386 has its words on the stack, which -N stands for: N - 1 bytes from its end.
    direct = int(first(lines, "direct"))
    place = direct if direct >= 0 else -int(first(lines, "on_stack")) - 1
    word = f"context+{place}" if direct >= 0 else f"memory+0x1000+{-place - 1}"
    program = ebpf.build_c(source, defines, is_big_endian, tmp_path / "header",
                           f"-DKSYSCALL_CALLERS={CALLERS[callers]}", f"-DKSYSCALL_FIRST_WORD={word}")
    places = [first(lines, "saved"), first(lines, "saved_compat")]
    has_registers = number(lines, "first") != "-1"
    for words in ["direct", *["registers"] * has_registers]:
        given = ["4" if "bits: 32" in lines else "8", number(lines, "stack_pointer"), number(lines, "first"),
                 *(places[:1 if "bits: 32" in lines else 2] if words == "registers" else [str(place)])]
        for seed in SEEDS:
            ours = run(evaluate(), kernel, callers, words, str(seed), ",".join(given), *calls())
            theirs = run(program, words, str(seed))
            assert ours.splitlines() == theirs.splitlines(), f"{words}, seed {seed}"
            assert len(set(ours.split())) > 20
