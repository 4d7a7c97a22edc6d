"""Runs tests/kernel.rs in a virtual machine, for `cargo test --test kernel [-- NAME...]`. KSYSCALL_SUITE
selects the kernel by its Debian suite (default: the newest stable one)."""

import os
import shlex
import sys

from testing import build, vm
from testing.targets import NEWEST_STABLE

COMMAND = ("cd /rust && KSYSCALL_TEST_OBJECT=kernel.bpf.o RUST_BACKTRACE=0 exec ./kernel --include-ignored"
           " --test-threads=1")


def put(machine, program):
    """Copies the test program, its BPF object and its 32-bit program into the virtual machine."""
    machine.put(program, "/rust/kernel")
    machine.put(build.bpf("tests/kernel.bpf.c", build.BUILD / "tests/kernel.bpf.o"), "/rust/kernel.bpf.o")
    machine.put(build.i386("tests/kernel/compat.c", build.BUILD / "tests/compat"), "/rust/compat")


def main():
    program, *arguments = sys.argv[1:]
    arguments = [argument for argument in arguments if argument not in ("--ignored", "--include-ignored")]
    machine = vm.Machine(os.environ.get("KSYSCALL_SUITE", NEWEST_STABLE))
    return vm.run_one(machine, lambda machine: put(machine, program), f"{COMMAND} {shlex.join(arguments)}", 900)


if __name__ == "__main__":
    sys.exit(main())
