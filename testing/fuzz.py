"""Fuzzes the parsers.

    python3 -m testing.fuzz [TARGET...]

runs the named targets (default: all). Each target runs the saved corpus and then new inputs; the environment variable
RUNS sets the number of new inputs (default: 20000).

The module requires neither cargo-fuzz nor a nightly toolchain. It enables AddressSanitizer if the toolchain
includes the sanitizer's runtime. Debian's toolchain does not include this runtime.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from testing.build import BUILD, ROOT, run
from testing.packages import say

OUT = BUILD / "fuzz"
# The flags that cargo-fuzz uses. Only -Zsanitizer requires RUSTC_BOOTSTRAP on a stable compiler.
FLAGS = "--cfg fuzzing -Cdebug-assertions -Ccodegen-units=1 -Cpasses=sancov-module" + "".join(
    f" -Cllvm-args=-sanitizer-coverage-{option}"
    for option in ("level=4", "inline-8bit-counters", "pc-table", "trace-compares"))


def programs():
    """Builds all targets; returns their folder."""
    target = run("rustc", "--print", "host-tuple").strip()
    env = {"CARGO_TARGET_DIR": str(OUT), "RUSTFLAGS": FLAGS}
    has_asan = any(Path(run("rustc", "--print", "target-libdir").strip()).glob("librustc*rt.asan.a"))
    if has_asan:
        env |= {"RUSTFLAGS": f"{FLAGS} -Zsanitizer=address", "RUSTC_BOOTSTRAP": "1"}
    say("building, " + ("with AddressSanitizer" if has_asan else
                        "without AddressSanitizer, which this toolchain lacks"))
    run("cargo", "build", "--quiet", "--locked", "--release", "--target", target, "--manifest-path",
        "fuzz/Cargo.toml", env=env)
    return OUT / target / "release"


def main():
    known = sorted(file.stem for file in (ROOT / "fuzz/fuzz_targets").glob("*.rs"))
    targets, runs = sys.argv[1:] or known, os.environ.get("RUNS") or "20000"
    if unknown := set(targets) - set(known):
        sys.exit(f"fuzz: no such target: {' '.join(unknown)}; there are: {' '.join(known)}")
    if not re.fullmatch("[1-9][0-9]*", runs):
        sys.exit(f"fuzz: RUNS is a number of inputs, not {runs}")
    folder = programs()
    (OUT / "failed").mkdir(exist_ok=True)
    # Use a tmpfs if possible: some targets write a file for each input.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as work:
        for name in targets:
            # libFuzzer adds new inputs to the first folder, so the saved corpus stays unchanged.
            found = Path(work, name)
            found.mkdir()
            done = subprocess.run(
                [folder / name, found, f"fuzz/corpus/{name}", f"-runs={runs}", "-max_len=4200", "-timeout=20",
                 "-print_final_stats=1", f"-artifact_prefix={OUT}/failed/{name}-"],
                cwd=ROOT, env={**os.environ, "TMPDIR": work}, capture_output=True)
            said = (done.stdout + done.stderr).decode(errors="replace")
            if done.returncode:
                sys.exit(f"{said}\nfailed {name}: the input is in build/fuzz/failed; with its defect mended,"
                         f" move it to fuzz/corpus/{name}")
            inputs = re.search(r"number_of_executed_units: *(\d+)", said)[1]
            print(f"passed {name}: {inputs} inputs, {len(list(found.iterdir()))} of them new ways through the code",
                  flush=True)


if __name__ == "__main__":
    main()
