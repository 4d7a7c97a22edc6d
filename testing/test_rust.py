"""Tests the crate: runs its unit tests and those of the command `ksyscall`, and runs tests/kernel.rs and the examples
on real kernels."""

import difflib
import re
import shutil
import subprocess
from dataclasses import dataclass

import pytest

from testing import build, kernel_tests, public_api
from testing.guests import Job
from testing.targets import RUST_KERNELS


def test_crate_and_command_without_a_kernel():
    build.run("cargo", "test", *build.WORKSPACE)


# --- The published crate ------------------------------------------------------------

def test_the_public_api_matches_the_listing():
    have, now = public_api.LISTING.read_text(), public_api.text()
    difference = "".join(difflib.unified_diff(have.splitlines(True), now.splitlines(True), "listed", "now"))
    if have != now:
        pytest.fail(f"the crate's public items have changed:\n{difference}What was removed or changed is for a new"
                    " major version. If it is meant: python3 -m testing.public_api, and a line in CHANGELOG.md",
                    pytrace=False)


@pytest.mark.long
def test_the_package_builds_by_itself_and_without_a_warning(tmp_path):
    folder = build.BUILD / "package"
    shutil.rmtree(folder / "package", ignore_errors=True)
    done = subprocess.run(["cargo", "package", "--locked", "--allow-dirty", "--target-dir", folder],
                          cwd=build.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr, done.stderr
    # The package includes its tests and examples.
    [unpacked] = (file for file in folder.glob("package/ksyscall-*") if file.is_dir())
    # Move the package out of this workspace.
    unpacked = shutil.move(unpacked, tmp_path)
    build.run("cargo", "check", "--locked", "--quiet", "--all-targets", "--features=capi", cwd=unpacked,
              env={"CARGO_TARGET_DIR": str(folder)})
    # The package also builds and installs the same C library as the tree.
    def install(name, **options):
        build.run("make", "-s", "install", f"DESTDIR={tmp_path / name}", "PREFIX=/opt", "LIBDIR=/opt/lib", **options)
        return {str(file.relative_to(tmp_path / name)) for file in (tmp_path / name).rglob("*")}
    packaged = install("packaged", cwd=unpacked, env={"CARGO_TARGET_DIR": str(folder)})
    assert packaged == install("here", env={"CLI": "no"})
    library = tmp_path / "packaged/opt/lib/libksyscall.so"
    assert " bpf_program__attach_ksyscall@@LIBBPF_1.0.0" in build.run("nm", "-D", library)



def test_the_package_has_the_crate_and_the_c_library_and_no_more():
    files = build.run("cargo", "package", "--locked", "--allow-dirty", "--list").split()
    tops = {file.partition("/")[0] for file in files}
    assert tops == {".cargo_vcs_info.json", "CHANGELOG.md", "Cargo.lock", "Cargo.toml", "Cargo.toml.orig",
                    "LICENSE-APACHE", "LICENSE-MIT", "Makefile", "README.md", "SECURITY.md", "build.rs",
                    "cbindgen.toml", "docs", "examples", "include", "libksyscall-static.pc.in", "libksyscall.pc.in",
                    "man", "src", "tests"}


# --- On real kernels ----------------------------------------------------------------

class KernelTests(Job):
    def prepare(self, machine, jobs):
        kernel_tests.put(machine, build.rust_test("kernel"))


API = kernel_tests.COMMAND


@pytest.mark.parametrize("job", [
    *(KernelTests("api", kernel, API, seconds=80) for kernel in RUST_KERNELS),
    KernelTests("no-32-bit-calls", "trixie", f"{API} --exact callers::kernel_without_32_bit_calls_is_reported",
                append="ia32_emulation=0")], ids=str)
def test_api(job, guest):
    outcome = guest(job)
    # libtest's output reports which tests failed and why.
    if outcome.status or not re.search(r"^test result: ok\. [1-9]", outcome.output, re.M):
        pytest.fail(outcome.output, pytrace=False)


@dataclass(frozen=True, eq=False)
class Example(Job):
    program: str = ""

    def prepare(self, machine, jobs):
        out = build.BUILD / "tests"
        machine.put(build.bpf("examples/count.bpf.c", out / "count.bpf.o"), "/count/count.bpf.o")
        if self.program == "path":
            machine.put(build.bpf("examples/path.bpf.c", out / "path.bpf.o", "-target", "bpf", "-D__TARGET_ARCH_x86",
                                  "-Iinclude"), "/count/path.bpf.o")
        machine.put(build.linked(f"examples/{self.program}.c", out / self.program) if self.program in ("count", "path")
                    else build.rust_example(self.program.removesuffix("-rust")), f"/count/{self.program}")
        machine.folders.append(build.installed()[0] / "opt/lib")


# Calls umount2 three times. The calls fail, but failed calls count, too.
THREE = "for i in 1 2 3; do umount /nothing 2> /dev/null; done; true"


@pytest.mark.parametrize("job", [
    Example(f"example-{program}", kernel, f"cd /count && exec ./{program} umount2 '{THREE}'", program=program)
    for kernel in RUST_KERNELS for program in ("count", "count-rust")], ids=str)
def test_examples(job, guest):
    assert guest(job).output.startswith("umount2: 3 calls")


ALL = Example("all-calls", "trixie", "cd /count && exec ./all true", program="all", seconds=20)


@pytest.mark.parametrize("job", [ALL], ids=str)
def test_all_calls_are_attached_to_and_counted(job, guest):
    output = guest(job).output
    attached, counted = re.search(r"attached to (\d+) calls", output), re.search(r"(\d+) calls\r?\ndetaching", output)
    assert attached and int(attached[1]) > 300, output
    assert counted and int(counted[1]) > 0, output


@pytest.mark.parametrize("job", [
    Example("path", kernel, "cd /count && exec ./path", program="path")
    for kernel in ("bullseye", *RUST_KERNELS)], ids=str)
def test_a_path_that_is_not_in_memory_is_read_at_the_return(job, guest):
    assert guest(job).output.splitlines() == ["at entry: Bad address", "at return: /proc/self/status"]
