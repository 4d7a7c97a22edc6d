"""Runs typical tools with libbpf alone and with the library preloaded. A tool's BPF programs must see
every call that the tool reports, and both runs must print the same output."""

import functools
import re
from dataclasses import dataclass

import pytest

from testing import build, packages
from testing.build import BUILD, C_TESTS
from testing.guests import Job
from testing.results import Results
from testing.targets import CLIENT_KERNELS, INSIDE, SUITES

CLIENTS = "trace", "objects", "rust"
LIBRARY = "/clients/libksyscall.so.1"
LOADER = "/clients/lib/ld-linux-x86-64.so.2"
# The libbpf functions that a client may call and that this library also defines.
BOUND = re.compile(rf"to {LIBRARY} .* .bpf_(?:program__attach|program__attach_ksyscall|object__attach_skeleton)'")


@functools.cache
def clients(suite, loader=LOADER):
    """Builds the clients; returns their folder. If `loader` is empty, the clients use this system's C library."""
    out = BUILD / ("clients" if loader else "clients-here") / suite
    out.mkdir(parents=True, exist_ok=True)
    build.run("make", "-s", "-C", C_TESTS / "clients", f"OUT={out}", f"LIBBPF={build.libbpf(suite)[0]}",
              f"BPF_HEADERS={build.libbpf('trixie')[0]}", f"LOADER={loader}")
    return out


@dataclass(frozen=True, eq=False)
class Client(Job):
    client: str = ""

    def prepare(self, machine, jobs):
        # Use the kernel suite's libbpf and a recent enough C library, as in the C tests.
        out = clients(self.kernel)
        for name in (self.client, "trace.bpf.o"):
            machine.put(out / name, f"/clients/{name}")
        machine.put(build.library() / "libksyscall.so.1", LIBRARY)
        machine.put(build.c_tests(self.kernel, ()) / self.kernel / "lib", "/clients/lib")


# Runs the client without and with the library, and prints the results, separated by marker lines. The loader logs
# its bindings to files.
RUN = """cd /clients
for library in '' {library}; do
    rm -f /tmp/bindings.*
    LD_LIBRARY_PATH=/clients/lib LD_DEBUG=bindings LD_DEBUG_OUTPUT=/tmp/bindings LD_PRELOAD=$library \
./{client} 2>/tmp/errors
    echo "=exit status $?"
    cat /tmp/errors
    echo "=bindings"
    cat /tmp/bindings.* | grep 'to {library} '
    echo "=end"
done
"""


def jobs(*clients):
    return pytest.mark.parametrize("job", [
        Client(f"client-{client}", kernel, RUN.format(client=client, library=LIBRARY), client=client)
        for kernel in CLIENT_KERNELS for client in clients], ids=str)


def ways(output):
    """Returns (output, exit status and errors, bindings) for libbpf alone and for the library."""
    parts = re.findall(r"(.*?)^=exit status (.*?)=bindings\n(.*?)=end\n", output, re.M | re.S)
    assert len(parts) == 2, output
    return parts


@jobs("proof")
def test_the_answering_library(job, guest):
    assert [said for said, *_ in ways(guest(job).output)] == [
        f"stat was seen {seen} times of 3\n" for seen in (0, 3)]


def lines(said, word):
    return re.findall(rf"^{word} (.*)", said, re.M)


@jobs(*CLIENTS)
def test_client(job, guest, judge):
    alone, preloaded = ways(guest(job).output)
    results = Results()

    def expect(name, good, why):
        results.add("passed" if good else "failed", name, "" if good else why)
    for way, (said, end, bindings) in {"libbpf": alone, "preloaded": preloaded}.items():
        expect(f"{way} ends well", end == "0\n", f"exit status {end}{said}")
        did = lines(said, "did")
        expect(f"{way} saw what it did", did and did == lines(said, "saw"), said)
        is_ours = bool(BOUND.search(bindings))
        expect(f"{way} is answered by the right library", is_ours == (way == "preloaded"), bindings)
    expect("both ways are alike", alone[0] == preloaded[0], f"{alone[0]}\nand with the library:\n{preloaded[0]}")
    judge(results)


# --- Tools with a static libbpf or none ---------------------------------------------

# The crates of the Rust tools.
CRATES = ["libbpf-rs", "aya"]
LIBRARIES = "libc.so.6", "libelf.so.1", "libz.so.1", "libzstd.so.1", "libgcc_s.so.1", "ld-linux-x86-64.so.2"


def knows_sections(inside):
    """Returns whether the tool attaches through SEC("ksyscall/..."). Other tools specify kernel functions
    by name."""
    return inside != "aya" and SUITES.get(inside, SUITES["trixie"]).has_ksyscall


@functools.cache
def inside(name):
    """Builds a tool; returns the tool, its BPF object and a folder with the C library that the tool requires."""
    out = BUILD / "clients" / f"inside-{name}"
    out.mkdir(parents=True, exist_ok=True)
    libc = SUITES[SUITES.get(name, SUITES["bookworm"]).libc]
    libraries = packages.unpack(libc.name, "amd64", *libc.libraries, "libgcc-s1")
    variables = [f"OUT={out}", f"BPF_HEADERS={build.libbpf('trixie')[0]}", f"LIBC={libraries}",
                 f"BEFORE_1_0={'' if knows_sections(name) else 1}", f"LOADER=/inside/{name}/lib/{LIBRARIES[-1]}"]
    make = "make", "-s", "-C", C_TESTS / "clients", *variables
    if name in CRATES:
        build.run(*make, f"BIN={name}", "inside-rust", out / "inside.bpf.o")
        return out.parent / "cargo-inside/debug" / name, out / "inside.bpf.o", libraries
    build.run(*make, f"LIBBPF={build.libbpf(name)[0]}", out / "inside", out / "inside-linked",
              f"LIBRARY={build.library()}")
    return out / "inside", out / "inside.bpf.o", libraries


@dataclass(frozen=True, eq=False)
class Inside(Job):
    inside: str = ""

    def prepare(self, machine, jobs):
        folder = f"/inside/{self.inside}"
        program, bpf, libraries = inside(self.inside)
        machine.put(program, f"{folder}/inside")
        machine.put(bpf, f"{folder}/inside.bpf.o")
        if self.inside not in CRATES:
            machine.folders.append(build.library())
            machine.put(program.with_name("inside-linked"), f"{folder}/inside-linked")
        # Add two copies of the library: one to preload and one to link to.
        for path in LIBRARY, f"{folder}/lib/libksyscall.so.1":
            machine.put(build.library() / "libksyscall.so.1", path)
        for name in LIBRARIES:
            file = next(file for lib in ("usr/lib", "lib") for file in sorted(libraries.glob(f"{lib}/**/{name}")))
            machine.put(file, f"{folder}/lib/{name}")


# Each entry describes one way to run a tool: the tool's name, the environment, whether the library changes the probes,
# and whether the library prints a warning.
WAYS = {
    "alone": ("inside", "", False, False),
    "preloaded": ("inside", "LD_PRELOAD={library}", True, True),
    "preloaded twice": ("inside", "LD_PRELOAD='{library} {folder}/lib/libksyscall.so.1'", True, True),
    "quiet": ("inside", "KSYSCALL_QUIET=1 LD_PRELOAD={library}", True, False),
    "names kept": ("inside", "KSYSCALL_KEEP_NAMES=1 LD_PRELOAD={library}", False, False),
    "linked": ("inside-linked", "", False, False),
}


def ways_inside(name):
    return [way for way in WAYS if way != "linked" or name not in CRATES]


def run_inside(name):
    """Yields commands for the guest. Each command runs the tool once, and prints the tool's output, exit status and
    stderr, separated by marker lines."""
    folder = f"/inside/{name}"
    for way in ways_inside(name):
        program, environment, *_ = WAYS[way]
        yield (f"{environment.format(library=LIBRARY, folder=folder)} LD_LIBRARY_PATH={folder}/lib {folder}/{program}"
               " 2>/tmp/errors; echo \"=exit status $?\"; cat /tmp/errors; echo =end\n")


@pytest.mark.parametrize("job", [
    Inside(f"inside-{name}", kernel, "".join(run_inside(name)), inside=name)
    for kernel, names in INSIDE.items() for name in names], ids=str)
def test_a_tool_that_opens_its_probes_itself(job, guest, judge):
    output = guest(job).output
    ways = re.findall(r"(.*?)^=exit status (\d+)\n(.*?)=end\n", output, re.M | re.S)
    assert len(ways) == len(ways_inside(job.inside)), output
    results = Results()

    def expect(name, found, wanted):
        results.add("passed" if found == wanted else "failed", name, "" if found == wanted else f"{found}\n{wanted}")
    stat = 0 if knows_sections(job.inside) else 3
    alone = "".join(f"{name} was seen {seen} times of 3\n" for name, seen in
                    (("stat", stat), ("umount2", 0), ("uname", 0), ("__x64_sys_stat", 0)))
    warnings = sorted(
        f"libksyscall: kprobe '__x64_sys_{name}': no system call reaches this function: probing "
        f"__x64_sys_{function}, which serves {call}\n"
        for name, function, call in (("stat", "newstat", "stat"), ("umount2", "umount", "umount2"),
                                     ("uname", "newuname", "uname")))
    for name, (said, status, errors) in zip(ways_inside(job.inside), ways, strict=True):
        *_, is_reached, is_told = WAYS[name]
        expect(f"{name}: sees the calls", said, alone.replace(" 0 times", " 3 times") if is_reached else alone)
        expect(f"{name}: ends well", status, "0")
        expect(f"{name}: warns", sorted(errors.splitlines(True)), warnings if is_told else [])
    judge(results)
