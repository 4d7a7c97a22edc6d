"""Generates ebpf/src/kernels.rs from include/ksyscall.bpf.h, and builds BPF programs in Rust.

    python3 -m testing.ebpf

writes that file, which contains each architecture's kernel layout and each call's argument layout. The BPF
programs are built with Debian 13's packages rustc and rust-src, without bpf-linker or cargo.
"""

import functools
import re
import tempfile
from pathlib import Path

from testing import packages
from testing.build import BUILD, ROOT, run
from testing.packages import say

KERNELS_RS = ROOT / "ebpf/src/kernels.rs"
# Maps each kernel type in the crate to three values: a title, the macros that select the same kernel in the header, and
# whether the kernel is big-endian.
KERNELS = {
    "X86_64": ("x86-64, with i386 callers", ["-D__TARGET_ARCH_x86"], False),
    "X86": ("i386", ["-D__TARGET_ARCH_x86", "-DKSYSCALL_BITS=32"], False),
    "Aarch64": ("arm64, with callers of 32-bit Arm", ["-D__TARGET_ARCH_arm64"], False),
    "Arm": ("32-bit Arm", ["-D__TARGET_ARCH_arm"], False),
    "Riscv64": ("riscv64, with riscv32 callers", ["-D__TARGET_ARCH_riscv"], False),
    "S390x": ("s390x", ["-D__TARGET_ARCH_s390"], True),
    "Powerpc64": ("64-bit POWER, little-endian", ["-D__TARGET_ARCH_powerpc"], False),
    "Powerpc": ("32-bit POWER", ["-D__TARGET_ARCH_powerpc", "-DKSYSCALL_BITS=32"], True),
    "Mips64": ("mips64, little-endian", ["-D__TARGET_ARCH_mips"], False),
    "Loongarch64": ("loongarch64", ["-D__TARGET_ARCH_loongarch"], False),
}
PROGRAM = """
#include <stdio.h>
#include <string.h>
#define KSYSCALL_READ(to, size, from) memcpy(to, from, size)
#define KSYSCALL_READ_USER KSYSCALL_READ
#include <ksyscall.bpf.h>
#define NAME(field, value) printf(#field ": %s,\\n", value)
#define NONE(field) NAME(field, "None")
#define SOME(field, value) printf(#field ": Some(%d),\\n", (int)(value))
#define LIST(field, macro) \\
	do { \\
		printf(#field ": ["); \\
		for (int n = 0; n < 16; n++) \\
			printf("%d%s", (int)macro(n), n < 15 ? ", " : "],\\n"); \\
	} while (0)
#define LAYOUT(call) layout(#call, KSYSCALL_LAYOUTS_OF_(call))
static void layout(const char *call, unsigned long long wide, unsigned long long narrow)
{
	if (wide || narrow)
		printf("(\\"%s\\", %#llx, %#llx),\\n", call, wide, narrow);
}
#define NOTHING(n) 0
int main(void)
{
	printf("bits: %d,\\n", KSYSCALL_BITS);
	NAME(aligns, KSYSCALL_ALIGNS_ ? "true" : "false");
#ifdef KSYSCALL_SP_
	SOME(stack_pointer, KSYSCALL_SP_);
#else
	NONE(stack_pointer);
#endif
	LIST(direct, KSYSCALL_DIRECT_);
#ifdef KSYSCALL_ON_STACK_
	LIST(on_stack, KSYSCALL_ON_STACK_);
#else
	LIST(on_stack, NOTHING);
#endif
#ifdef KSYSCALL_FIRST_
	SOME(first, KSYSCALL_FIRST_);
	LIST(saved, KSYSCALL_SAVED_);
	LIST(saved_compat, KSYSCALL_SAVED_COMPAT_);
#else
	NONE(first);
	LIST(saved, NOTHING);
	LIST(saved_compat, NOTHING);
#endif
#ifdef KSYSCALL_SAVED_NR_
	SOME(number, KSYSCALL_SAVED_NR_);
#else
	NONE(number);
#endif
#ifdef __TARGET_ARCH_powerpc
	NAME(number_is_a_word, "true");
#else
	NAME(number_is_a_word, "false");
#endif
	printf("number_mask: %#x,\\n", (unsigned int)KSYSCALL_NR_MASK_);
#ifdef KSYSCALL_STACK_NR_
	SOME(number_on_stack, KSYSCALL_STACK_NR_);
#else
	NONE(number_on_stack);
#endif
	NAME(asks_thread, KSYSCALL_CAN_ASK_ && KSYSCALL_X86 ? "true" : "false");
#ifdef KSYSCALL_MODE_IS_COMPAT_
	{
		/* The bits that it checks, and their values. */
		unsigned long long mode = KSYSCALL_MODE, mask = 0;
		for (int bit = 0; bit < 64; bit++)
			if (KSYSCALL_MODE_IS_COMPAT_(mode) && !KSYSCALL_MODE_IS_COMPAT_(mode ^ 1ULL << bit))
				mask |= 1ULL << bit;
		int shift = __builtin_ctzll(mask);
		printf("mode: Some((%d, %d, %#llx, %#llx)),\\n", KSYSCALL_SAVED_MODE_, shift, mask >> shift,
			(mode & mask) >> shift);
	}
#else
	NONE(mode);
#endif
	printf("ipc_last: %d,\\n", KSYSCALL_IPC_LAST_);
	NAME(ipc_has_versions, KSYSCALL_IPC_VERSION_(1 << 16) ? "true" : "false");
	printf("has_multiplexers: [%s, %s],\\n", KSYSCALL_HAS_MULTIPLEXERS_(0) ? "true" : "false",
		KSYSCALL_HAS_MULTIPLEXERS_(1) ? "true" : "false");
	printf("layouts: &[\\n");
	LAYOUTS
	printf("],\\n");
	return 0;
}
"""
SUB_CALLS = """
#include <stdio.h>
#define KSYSCALL_READ(to, size, from)
#define KSYSCALL_READ_USER KSYSCALL_READ
#include <ksyscall.bpf.h>
#define SUB_CALL(call) printf("(\\"%s\\", %#llx),\\n", #call, KSYSCALL_SUBCALL_##call)
int main(void)
{
	CALLS
	return 0;
}
"""
# The processor mode bits of a 32-bit caller.
MODES = {"Aarch64": "0x10ULL", "Riscv64": "(1ULL << 32)"}
HEAD = """//! The register and argument layouts of each architecture's kernels.
//! Generated from include/ksyscall.bpf.h by `python3 -m testing.ebpf`.

use crate::{Kernel, Places, sealed};
"""


def calls():
    """Returns the calls for which the header defines a layout on any architecture."""
    header = (ROOT / "include/ksyscall.bpf.h").read_text()
    return sorted(set(re.findall(r"^#define KSYSCALL_LAYOUT_(\w+)", header, re.M)))


def sub_calls():
    """Returns the calls that can be made through socketcall and ipc."""
    header = (ROOT / "include/ksyscall.bpf.h").read_text()
    return re.findall(r"^#define KSYSCALL_SUBCALL_([a-z]\w+)", header, re.M)


def sub_call_rows():
    source = SUB_CALLS.replace("CALLS\n", "".join(f"\tSUB_CALL({call});\n" for call in sub_calls()))
    return output("X86", source)


def build_c(kernel, source, out, *options):
    """Builds a program that runs on this machine but uses the header's definitions for another kernel."""
    _, defines, is_big_endian = KERNELS[kernel]
    order = "BIG" if is_big_endian else "LITTLE"
    run("clang", "-O1", "-w", *defines, f"-D__BYTE_ORDER__=__ORDER_{order}_ENDIAN__", *options, "-Iinclude",
        "-xc", "-", "-o", out, stdin=None, input=source)
    return out


def output(kernel, source, *options):
    """Builds and runs such a program; returns its output."""
    with tempfile.TemporaryDirectory() as work:
        return run(build_c(kernel, source, Path(work, "program"), *options))


def places(kernel):
    source = PROGRAM.replace("LAYOUTS\n", "".join(f"\tLAYOUT({call});\n" for call in calls()))
    return output(kernel, source, f"-DKSYSCALL_MODE={MODES.get(kernel, '0ULL')}",
                  f"-DKSYSCALL_X86={int(kernel.startswith('X86'))}")


def module():
    rows = "\n".join(f"    {line}" for line in sub_call_rows().splitlines())
    parts = [HEAD, f"""
/// Maps each call that socketcall(2) or ipc(2) carries out to its encoded number and argument sources.
pub(crate) const SUB_CALLS: &[(&str, u64)] = &[
{rows}
];
"""]
    for kernel, (title, _, is_big_endian) in KERNELS.items():
        lines = "\n".join(f"        {line}" for line in places(kernel).splitlines())
        parts.append(f"""
/// {title}.
#[derive(Clone, Copy, Debug)]
pub struct {kernel};

impl sealed::Sealed for {kernel} {{}}

impl Kernel for {kernel} {{
    const PLACES: Places = Places {{
        is_big_endian: {str(is_big_endian).lower()},
{lines}
    }};
}}
""")
    return "".join(parts)


# --- BPF programs -----------------------------------------------------------------

# The compiler with its libraries, and the source of Rust's core, which Debian does not build for BPF.
RUST = ("rustc", "libstd-rust-1.85", "rust-src", "libllvm19", "libbsd0", "libc6", "libedit2", "libffi8", "libgcc-s1",
        "libicu76", "liblzma5", "libmd0", "libstdc++6", "libtinfo6", "libxml2", "libz3-4", "libzstd1", "zlib1g")
# rustc makes every crate depend on compiler_builtins, but nothing here calls its functions.
BUILTINS = "#![feature(compiler_builtins)]\n#![compiler_builtins]\n#![no_std]\n"


def rustc(target, *arguments, **options):
    """Runs Debian 13's rustc with Debian 13's C library, so that rustc works on any system. Only the final crate is
    compiled to machine code. rustc inlines functions from other crates, whose metadata contains the functions' MIR."""
    tree = packages.unpack("trixie", "amd64", *RUST)
    libraries = tree / "usr/lib/x86_64-linux-gnu"
    # core uses unstable features, which a stable compiler rejects without this variable.
    options["env"] = {"RUSTC_BOOTSTRAP": "1", **options.get("env", {})}
    run(libraries / "ld-linux-x86-64.so.2", "--library-path", libraries, tree / "usr/bin/rustc",
        "--sysroot", tree / "usr", "--target", f"{target}-unknown-none", "--crate-type", "rlib", "-Cpanic=abort",
        "-Copt-level=3", "-Ccodegen-units=1", "-Zalways-encode-mir", *arguments, **options)


@functools.cache
def core(target):
    """Compiles Rust's crate `core` for BPF and returns the folder that contains the result."""
    say(f"compiling Rust's core for {target}")
    out = BUILD / "ebpf" / target
    out.mkdir(parents=True, exist_ok=True)
    (out / "builtins.rs").write_text(BUILTINS)
    source = next(packages.unpack("trixie", "amd64", *RUST).glob("usr/src/rustc-*/library/core/src/lib.rs"))
    for name, file in (("core", source), ("compiler_builtins", out / "builtins.rs")):
        rustc(target, "--edition=2021", "--cap-lints=allow", "--crate-name", name, "--emit=metadata", "-L", out,
              file, "-o", out / f"lib{name}.rmeta")
    return out


def bpf(source, out, target, arch, env=None):
    """Builds a BPF object for an architecture's kernels from a source file that uses the crate."""
    libraries, work = core(target), out.parent
    common = ["--edition=2024", "-Dwarnings", f'--cfg=bpf_target_arch="{arch}"',
              "--check-cfg=cfg(bpf_target_arch,values(any()))", "--check-cfg=cfg(test)", "-L", libraries]
    crate, text = work / "libksyscall_ebpf.rmeta", out.with_suffix(".s")
    rustc(target, *common, "--crate-name=ksyscall_ebpf", "--emit=metadata", "ebpf/src/lib.rs", "-o", crate)
    # For this target, rustc's object files would contain LLVM bitcode, so emit assembly. The program's map requires
    # BTF, which LLVM generates from the debug information.
    rustc(target, *common, "--crate-name=program", "--emit=asm", "-Cdebuginfo=2", f"--extern=ksyscall_ebpf={crate}",
          source, "-o", text, env=env or {})
    run("clang", "-target", target, "-c", text, "-o", out)
    return out


if __name__ == "__main__":
    KERNELS_RS.write_text(module())
