"""Runs the multi-threaded C tests with the library's code under ThreadSanitizer."""

import pytest

from testing import build, results
from testing.build import BUILD, BuildError, run
from testing.guests import Job
from testing.targets import SANITIZED_ON

OUT = BUILD / "sanitize"
# rustc inserts the checks if an unstable option is set. The runtime for the checks comes with the C compiler; older
# versions of the runtime do not define __tsan_memcpy(), __tsan_memmove() and __tsan_memset(). The program does not
# include syscall.S and late.c, so two of the functions in these files are defined here.
NAMES = """#include <stdio.h>
#include <string.h>
#include <unistd.h>
FILE *ksyscall_stderr(void) { return stderr; }
long ksyscall_raw(long number, long a, long b, long c, long d, long e, long f)
{
	return syscall(number, a, b, c, d, e, f);
}
void *__tsan_memcpy(void *to, const void *from, size_t size) { return memcpy(to, from, size); }
void *__tsan_memmove(void *to, const void *from, size_t size) { return memmove(to, from, size); }
void *__tsan_memset(void *to, int byte, size_t size) { return memset(to, byte, size); }
"""


def flags():
    # The prebuilt core crate is not instrumented. Newer compilers refuse to link that crate with instrumented code
    # unless this option is set.
    mismatch = " -Cunsafe-allow-abi-mismatch=sanitizer"
    return "-Zsanitizer=thread" + mismatch * ("unsafe-allow-abi-mismatch" in run("rustc", "-C", "help"))


def target():
    return run("rustc", "--print", "host-tuple").strip()


def missing():
    """Returns the reason why this toolchain lacks ThreadSanitizer, or an empty string."""
    try:
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / "empty.c").write_text("int main(void) { return 0; }\n")
        run("cc", "-fsanitize=thread", OUT / "empty.c", "-o", OUT / "empty")
        if "sanitize" not in run("rustc", *flags().split(), "--target", target(), "--print", "cfg",
                                 env={"RUSTC_BOOTSTRAP": "1"}):
            return "rustc does not know it"
    except BuildError as error:
        return str(error).strip().splitlines()[-1]
    return ""


class Sanitized(Job):
    def prepare(self, machine, jobs):
        library = OUT / "target" / target() / "capi/libksyscall.a"
        run("cargo", "rustc", "--locked", "--quiet", "--profile", "capi", "--lib", "--crate-type", "staticlib",
            "--no-default-features", "--features", "capi", "--target", target(),
            env={"RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": flags(), "CARGO_TARGET_DIR": str(OUT / "target")})
        run("make", "-s", "-C", build.C_TESTS, f"OUT={OUT / 'guest'}", "BPF_HEADERS=",
            *(OUT / f"guest/../bpf/{name}.bpf.o" for name in ("count", "cookie")))
        (OUT / "names.c").write_text(NAMES)
        run("cc", "-g", "-O1", "-std=gnu11", "-fsanitize=thread", "-fno-builtin", "-pthread", "-D_GNU_SOURCE", "-Wall",
            "-Wextra", "-Werror", "-Iinclude", "-DLINKED", f'-DBPF_FOLDER="{OUT / "bpf"}"', OUT / "names.c",
            "c-tests/load.c", "src/capi/entry.c", "-o", OUT / "load", library, "-lbpf")
        # Make sure that the program and the library contain the checks.
        assert " T bpf_program__attach_ksyscall\n" in run("nm", OUT / "load")
        assert "__tsan_atomic" in run("nm", library)
        machine.put(OUT / "load", "/sanitize/load")


@pytest.mark.parametrize("job", [
    # The library is linked statically into the program. ThreadSanitizer supports at most 28 bits of address
    # randomisation.
    Sanitized("load", SANITIZED_ON, "echo 28 > /proc/sys/vm/mmap_rnd_bits\nKSYSCALL_TEST_ANY_LIBRARY=1"
              " TSAN_OPTIONS=halt_on_error=1:color=never exec /sanitize/load", is_long=True)], ids=str)
def test_threads(job, guest, judge):
    if why := missing():
        pytest.skip(f"this toolchain has no ThreadSanitizer: {why}")
    outcome = guest(job)
    judge(results.tap(outcome.output, outcome.status))
