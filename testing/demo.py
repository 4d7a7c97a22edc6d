"""Compares libbpf and libksyscall: attaches one BPF program to several system calls by name, makes
the calls, and counts the program's runs.

    python3 -m testing.demo

The demo runs in a virtual machine with the kernel of the Debian suite in SUITE (default: trixie). With
NATIVE=1 it runs on this machine and requires root.
"""

import os
import subprocess
import sys
from pathlib import Path

from testing import build
from testing.build import BUILD
from testing.packages import Unavailable, say
from testing.vm import Failure, Machine, end_by_signals

OUT = BUILD / "demo"
# Calls that exist in every kernel. demo-loop attaches to these calls one by one, with libbpf.
LOOP = ("openat read write close fcntl dup dup2 pipe2 mmap munmap mprotect brk execve clone wait4 kill getpid getuid"
        " chdir fsync")
# Calls for which libbpf probes the wrong kernel function.
MISSED = "stat", "uname", "sendfile"
# This script runs in the programs' folder. It runs the programs for the table's four columns, then the other demos.
RUN = f"""#!/bin/sh
uname -r
cd "$(dirname "$0")" || exit 1
echo "= libbpf" && ./demo demo.bpf.o &&
    echo "= preloaded" && LD_PRELOAD=$PWD/libksyscall.so.1 ./demo demo.bpf.o &&
    echo "= linked" && LD_LIBRARY_PATH=. ./demo-linked demo.bpf.o &&
    echo "= rust" && ./demo-rust demo.bpf.o &&
    echo "= inside" && ./demo-inside demo.bpf.o &&
    echo "= inside preloaded" && KSYSCALL_QUIET=1 LD_PRELOAD=$PWD/libksyscall.so.1 ./demo-inside demo.bpf.o &&
    echo "= compat" && ./demo-callers &&
    echo "= callers" && KSYSCALL_CALLERS=all LD_PRELOAD=$PWD/libksyscall.so.1 ./demo-callers &&
    echo "= returns" && ./demo-returns &&
    echo "= max_active" && KSYSCALL_MAX_ACTIVE=200 LD_PRELOAD=$PWD/libksyscall.so.1 ./demo-returns &&
    echo "= loop" && ./demo-loop {LOOP} &&
    echo "= all" && LD_LIBRARY_PATH=. ./all true
"""


def programs():
    say("building the BPF programs, the C programs and the Rust program")
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "run").write_text(RUN)
    return {"run": OUT / "run",
            **{name: build.c(f"examples/{name}.c", OUT / name, "-pthread", "-lbpf")
               for name in ("demo", "demo-callers", "demo-loop", "demo-returns")},
            "demo-inside": build.c("examples/demo.c", OUT / "demo-inside", "-l:libbpf.a", "-lelf", "-lz"),
            **{f"{name}.bpf.o": build.bpf(f"examples/{name}.bpf.c", OUT / f"{name}.bpf.o", "-target", "bpf")
               for name in ("demo", "count")},
            "demo-linked": build.linked("examples/demo.c", OUT / "demo-linked"),
            "all": build.linked("examples/all.c", OUT / "all"),
            "demo-rust": build.rust_example("demo", "--release"),
            "libksyscall.so.1": build.library() / "libksyscall.so.1"}


def native(files):
    if not Path("/sys/bus/event_source/devices/kprobe").exists():
        raise Unavailable(f"this machine's kernel {os.uname().release} has no kprobes;"
                          " run `make demo` for one in a virtual machine")
    for name, file in files.items():
        if file != OUT / name:
            (OUT / name).write_bytes(file.read_bytes())
            (OUT / name).chmod(0o755)
    return subprocess.run(["sh", OUT / "run"], stdout=subprocess.PIPE, text=True, check=True).stdout


def guest(files):
    suite = os.environ.get("SUITE") or "trixie"
    say(f"booting Debian {suite}'s kernel in a virtual machine (downloads it the first time)")
    with Machine(suite) as machine:
        for name, file in files.items():
            machine.put(file, f"/demo/{name}")
        machine.folders.append(build.installed()[0] / "opt/lib")
        [outcome] = machine.run(["exec sh /demo/run"])
    if outcome.status:
        raise Failure(f"exit status {outcome.status}:\n{outcome.output}{outcome.trouble}")
    return outcome.output


def table(said):
    kernel, *lines = said.splitlines()
    runs = {}
    for line in lines:
        if line.startswith("= "):
            runs[line[2:]] = rows = {}
        elif len(cells := line.split("\t")) == 3:
            rows[cells[0]] = cells[1:]
        else:
            rows["said"] = line
    form = "{:<11}| {:<25} {:<7}| {:<27} {:<7}| {:<7}| {}"
    yield f"\nLinux {kernel}, {os.uname().machine}: each call was made three times\n"
    yield form.format("", "libbpf alone", "", "libksyscall preloaded", "", "linked", "Rust")
    yield form.format("syscall", "attached to", "fired", "attached to", "fired", "fired", "fired")
    for call in runs["libbpf"]:
        yield form.format(call, *runs["libbpf"][call], *runs["preloaded"][call], runs["linked"][call][1],
                          runs["rust"][call][1])
    yield f"\nCalls of {', '.join(MISSED)} that a tool with a static libbpf sees\n"
    for run, title in (("inside", "alone"), ("inside preloaded", "libksyscall preloaded")):
        yield f"{title:<35}{'   '.join(runs[run][call][1] for call in MISSED)}"
    yield "\nCalls by int $0x80, as of 32-bit processes, that a program sees\n"
    yield f"libbpf alone                       {runs['compat']['said']}"
    yield f"libksyscall, KSYSCALL_CALLERS      {runs['callers']['said']}"
    yield "\nReturns of 200 calls in progress that a return probe sees\n"
    yield f"libbpf alone                       {runs['returns']['said']}"
    yield f"libksyscall, KSYSCALL_MAX_ACTIVE   {runs['max_active']['said']}"
    yield "\nMany calls\n"
    for run, title in (("loop", "libbpf, one after the other"), ("all", "libksyscall, all together")):
        calls, times = runs[run]["said"].split("\t")
        yield f"{title:<29}{calls:>4} calls {times}"


def main():
    end_by_signals()
    try:
        said = (native if os.environ.get("NATIVE") == "1" else guest)(programs())
    except (build.BuildError, Failure, Unavailable, subprocess.CalledProcessError) as error:
        sys.exit(f"demo: {error}")
    print("\n".join(table(said)))


if __name__ == "__main__":
    main()
