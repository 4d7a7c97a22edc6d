"""Lists the architectures, kernels and libbpf versions that the tests use, with their properties.

Architectures are named as in Debian. `i386@amd64` is an i386 process on an amd64 kernel.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Registers:
    """The offsets in struct pt_regs (arch/*/include/asm/ptrace.h) of a function's first argument and of
    its return value, and the offset of a system call's second argument. If `first` is None, the kernel has no
    syscall wrappers, and functions receive the arguments directly. (bpf_tracing.h does not support i386 and cannot
    detect which riscv and POWER kernels have wrappers.)"""

    first: int | None
    result: int
    argument: int
    bits: int = 64

    def defines(self):
        first = [] if self.first is None else [f"-DFIRST={self.first}"]
        return [*first, f"-DRESULT={self.result}", f"-DARGUMENT={self.argument}", f"-DWORD={self.bits}"]


@dataclass(frozen=True)
class Architecture:
    name: str
    # The machine name that `uname -m` prints, and the class, byte order and machine in the ELF header.
    machine: str
    elf: tuple[int, int, int]
    # The architecture's GNU name, its Rust target, and the name of its table in src/calls/tables.
    gnu: str
    rust: str
    table: str
    # The smallest flavour of Debian's kernels that supports kprobes and BTF.
    flavour: str
    # QEMU options with which the architecture's kernels are known to boot.
    qemu: str
    qemu_package: str
    console: str
    registers: Registers
    # The suffix of __TARGET_ARCH_ for BPF programs.
    bpf_target: str
    cpu: str = ""
    # The Debian release whose cross compiler and libraries are used: the oldest release that
    # supports this architecture and has a recent enough Rust, because old package lists change least.
    release: str = "bookworm"
    # The name of Debian's library folder, if it differs from the GNU name.
    multiarch: str = ""
    # The suite that busybox comes from: the oldest suite that supports this architecture, because
    # its package list changes least.
    oldest: str = "bookworm"
    # The `uname -m` name of a host that can run the guests with KVM, if it differs from `machine`.
    host: str = ""

    def __post_init__(self):
        object.__setattr__(self, "multiarch", self.multiarch or self.gnu)
        object.__setattr__(self, "host", self.host or self.machine)

    @property
    def bpf(self):
        return "bpfel" if self.elf[1] == 1 else "bpfeb"

    @property
    def tools(self):
        """The GNU name as it is spelled in the names of cross compiler packages."""
        return self.gnu.replace("_", "-")


ARCHITECTURES = {a.name: a for a in [
    # cx16=off: QEMU 7.2 sets wrong flags for cmpxchg16b, which crashed one boot in four.
    Architecture("amd64", "x86_64", (2, 1, 62), "x86_64-linux-gnu", "x86_64-unknown-linux-gnu", "x86_64",
                 "cloud-amd64", "qemu-system-x86_64 -machine pc", "qemu-system-x86", "ttyS0",
                 Registers(112, 80, 104), "x86", cpu="max,cx16=off", release="trixie"),
    Architecture("i386", "i686", (1, 1, 3), "i686-linux-gnu", "i686-unknown-linux-gnu", "x86",
                 "686-pae", "qemu-system-i386 -machine pc", "qemu-system-x86", "ttyS0",
                 Registers(24, 24, 4, 32), "x86", cpu="max", multiarch="i386-linux-gnu", host="x86_64"),
    Architecture("arm64", "aarch64", (2, 1, 183), "aarch64-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64",
                 "arm64", "qemu-system-aarch64 -machine virt", "qemu-system-arm", "ttyAMA0",
                 Registers(0, 0, 8), "arm64", cpu="max,pauth-impdef=on"),
    Architecture("armhf", "armv7l", (1, 1, 40), "arm-linux-gnueabihf", "armv7-unknown-linux-gnueabihf", "arm",
                 "armmp", "qemu-system-arm -machine virt", "qemu-system-arm", "ttyAMA0",
                 Registers(None, 0, 4, 32), "arm", cpu="max"),
    Architecture("riscv64", "riscv64", (2, 1, 243), "riscv64-linux-gnu", "riscv64gc-unknown-linux-gnu", "riscv64",
                 "riscv64", "qemu-system-riscv64 -machine virt", "qemu-system-misc", "ttyS0",
                 Registers(80, 80, 88), "riscv", release="trixie", oldest="trixie"),
    Architecture("s390x", "s390x", (2, 2, 22), "s390x-linux-gnu", "s390x-unknown-linux-gnu", "s390x",
                 "s390x", "qemu-system-s390x -machine s390-ccw-virtio", "qemu-system-misc", "ttysclp0",
                 Registers(40, 40, 48), "s390"),
    Architecture("ppc64el", "ppc64le", (2, 1, 21), "powerpc64le-linux-gnu", "powerpc64le-unknown-linux-gnu",
                 "powerpc64", "powerpc64le", "qemu-system-ppc64 -machine pseries", "qemu-system-ppc", "hvc0",
                 Registers(24, 24, 32), "powerpc"),
]}

# For a 32-bit process on a 64-bit kernel, these are the offsets in the kernel's 64-bit pt_regs.
COMPAT_REGISTERS = {"i386@amd64": Registers(112, 80, 88), "armhf@arm64": Registers(0, 0, 8)}


@dataclass(frozen=True)
class Cell:
    """A kernel in the matrix, combined with the architecture of the processes that run on it."""

    process: str
    suite: str

    def __str__(self):
        return f"{self.process}:{self.suite}"

    @property
    def architecture(self):
        return ARCHITECTURES[self.process.partition("@")[0]]

    @property
    def kernel(self):
        return ARCHITECTURES[self.process.rpartition("@")[2]]

    @property
    def registers(self):
        return COMPAT_REGISTERS.get(self.process) or self.architecture.registers


# The cells that are known to boot.
CELLS = [Cell(process, suite) for process, suites in {
    "amd64": "bullseye bookworm trixie sid",
    "i386": "bookworm",
    "arm64": "bookworm trixie sid",
    "armhf": "bookworm trixie sid",
    "riscv64": "trixie sid",
    "s390x": "bookworm trixie sid",
    "ppc64el": "bookworm trixie sid",
    "i386@amd64": "bullseye bookworm trixie sid",
    "armhf@arm64": "bookworm trixie sid",
}.items() for suite in suites.split()]


# No Debian kernel supports x32; see x32.py.
X32 = Cell("x32@amd64", "trixie")


@dataclass(frozen=True)
class Suite:
    """A Debian suite: its kernel, its libbpf, and a C library that is recent enough for that libbpf."""

    name: str
    linux: str
    libbpf_package: str = "libbpf1"
    soname: str = "libbpf.so.1"
    # This system's programs, and every libbpf except sid's, work with trixie's C library.
    libc: str = "trixie"
    libelf: str = "libelf1t64"
    # Debian 12's rustc is too old, but its rustc-web is recent enough.
    rust: tuple[str, ...] = ("cargo", "rustc", "libstd-rust-dev")

    @property
    def has_ksyscall(self):
        """Returns whether libbpf provides bpf_program__attach_ksyscall() and supports ksyscall sections. libbpf 0.3
        does neither, so programs for libbpf 0.3 must be linked to this library."""
        return self.soname != "libbpf.so.0"

    @property
    def libraries(self):
        """The packages that programs linked to this libbpf require at run time."""
        return ["libc6", self.libelf, "zlib1g", "libzstd1"]


SUITES = {s.name: s for s in [
    Suite("bullseye", "5.10", "libbpf0", "libbpf.so.0", libelf="libelf1"),
    Suite("bookworm", "6.1", libelf="libelf1", rust=("cargo-web", "rustc-web", "libstd-rust-web-dev")),
    Suite("trixie", "6.12"),
    Suite("sid", "the newest", libc="sid"),
]}

# The newest libbpf, built so that its own calls do not go through the PLT and preloading cannot
# intercept them. The values are flags for the compiler and the linker.
BOUND_LIBBPFS = {
    # Ubuntu builds its packages with these flags.
    "bound": ("-g -O2", "-Wl,-Bsymbolic-functions"),
    "lto": ("-g -O2 -flto", "-flto=auto -Wl,-Bsymbolic"),
}
# The versions whose libbpf.a is tested: those that can be linked on the oldest system that builds the tests.
STATIC_LIBBPFS = ["bullseye", "bookworm", "bound"]

# The kernels that the tests run on, with the libbpf versions that are tested on each. The newest stable kernel runs
# every libbpf. Each older kernel is tested with the libbpf of its own Debian release, and the oldest kernel also
# with a newer libbpf.
NEWEST_STABLE = "trixie"
LIBBPFS = {
    "bullseye": ["bullseye", "trixie"],
    "bookworm": ["bookworm"],
    "trixie": ["bullseye", "bookworm", "lto", "bound", "trixie"],
}
KERNELS = list(LIBBPFS)
# The (kernel, libbpf) pairs for tests that do not depend on libbpf: one kernel supports BPF links for perf
# events, and one does not.
ONCE = {("bullseye", "trixie"), ("trixie", "trixie")}
RUST_KERNELS = ["bookworm", "trixie", "sid"]
CLIENT_KERNELS = ["bookworm", "trixie"]
# Maps each kernel to what the tools link statically: the libbpf.a from a suite, or a crate.
INSIDE = {"bullseye": ["bullseye", "bookworm", "aya"], "bookworm": ["bookworm", "trixie", "libbpf-rs"],
          "trixie": ["bullseye", "bookworm", "trixie", "bound", "libbpf-rs", "aya"],
          "sid": ["trixie", "bound", "libbpf-rs", "aya"]}
# The kernel and the libbpf versions for the comparison with libbpf. The differences depend on the kernel, and
# this kernel shows all of them.
COMPARED_ON = "trixie"
COMPARED = ["bullseye", "bookworm", "trixie", "sid"]
# The libbpf versions to use when the comparison is repeated with programs that contain libbpf.
COMPARED_INSIDE = ["bookworm", "bound"]
SANITIZED_ON = "trixie"
MATRIX = [Cell("amd64", suite) for suite in KERNELS]
# The foreign, big-endian architecture that `make test` covers.
FOREIGN = Cell("s390x", "bookworm")
