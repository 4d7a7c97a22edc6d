"""Programs as other people write them, each with libbpf alone and with the library preloaded:
what one says that it did, its BPF programs must have seen, and both must print the same."""

import functools
import re
from dataclasses import dataclass

import pytest

from testing import build
from testing.build import BUILD, C_TESTS
from testing.guests import Job
from testing.results import Results
from testing.targets import CLIENT_KERNELS

CLIENTS = "trace", "objects", "rust"
LIBRARY = "/clients/libksyscall.so.1"
LOADER = "/clients/lib/ld-linux-x86-64.so.2"
# The functions of libbpf that a client may call and the library has, too.
BOUND = re.compile(rf"to {LIBRARY} .* .bpf_(?:program__attach|program__attach_ksyscall|object__attach_skeleton)'")


@functools.cache
def clients(suite, loader=LOADER):
    """The programs; without a loader they run with the C library of this system."""
    out = BUILD / ("clients" if loader else "clients-here") / suite
    out.mkdir(parents=True, exist_ok=True)
    build.run("make", "-s", "-C", C_TESTS / "clients", f"OUT={out}", f"LIBBPF={build.libbpf(suite)[0]}",
              f"BPF_HEADERS={build.libbpf('trixie')[0]}", f"LOADER={loader}")
    return out


@dataclass(frozen=True, eq=False)
class Client(Job):
    client: str = ""

    def prepare(self, machine, jobs):
        # With the libbpf of the kernel's suite and a C library that runs it, as the C tests have.
        out = clients(self.kernel)
        for name in (self.client, "trace.bpf.o"):
            machine.put(out / name, f"/clients/{name}")
        machine.put(build.library() / "libksyscall.so.1", LIBRARY)
        machine.put(build.c_tests(self.kernel, ()) / self.kernel / "lib", "/clients/lib")


# The results of both ways, each behind a mark; what the loader bound goes to files.
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
    """(output, exit status and errors, bindings) with libbpf alone, and with the library."""
    parts = re.findall(r"(.*?)^=exit status (.*?)=bindings\n(.*?)=end\n", output, re.M | re.S)
    assert len(parts) == 2, output
    return parts


@jobs("proof")
def test_which_library_answers(job, guest):
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
