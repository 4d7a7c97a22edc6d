"""The one table of architectures, kernels and libbpfs: every fact about them is here.

An architecture goes by Debian's name. `i386@amd64` is a 32-bit process on a 64-bit
kernel: the process is of the first, the kernel of the second.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Registers:
    """Where struct pt_regs has what a function gets first and returns, and where a
    system call's second argument is in what it gets: arch/*/include/asm/ptrace.h.
    (bpf_tracing.h knows neither i386's nor which kernels have wrappers on riscv and
    POWER.) Without `first` the function gets the arguments themselves."""

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
    # What `uname -m` says, and the ELF header: class, byte order, machine.
    machine: str
    elf: tuple[int, int, int]
    # GNU's name, Rust's, and the table in src/calls/tables.
    gnu: str
    rust: str
    table: str
    # The smallest flavour of Debian's kernels that has kprobes and BTF.
    flavour: str
    # Only flags that were seen to boot.
    qemu: str
    qemu_package: str
    console: str
    registers: Registers
    # What __TARGET_ARCH_ is for its BPF programs.
    bpf_target: str
    cpu: str = ""
    # The Debian release that builds for it and whose libraries the guest has: the oldest
    # with both it and a Rust that is new enough, for old package lists change least.
    release: str = "bookworm"
    # Debian's folder for its libraries, where that is not GNU's name.
    multiarch: str = ""
    # The older of the suites that have it, whose package list changes least: for busybox.
    oldest: str = "bookworm"
    # The machine that runs its guests by KVM, where that is another.
    host: str = ""

    def __post_init__(self):
        object.__setattr__(self, "multiarch", self.multiarch or self.gnu)
        object.__setattr__(self, "host", self.host or self.machine)

    @property
    def bpf(self):
        return "bpfel" if self.elf[1] == 1 else "bpfeb"

    @property
    def tools(self):
        """GNU's name as the packages of the cross compilers have it."""
        return self.gnu.replace("_", "-")


ARCHITECTURES = {a.name: a for a in [
    # cx16=off: QEMU 7.2 emulates cmpxchg16b with wrong flags, and one boot in four crashed.
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

# Of a 32-bit process on a 64-bit kernel the registers are the kernel's, laid out so.
COMPAT_REGISTERS = {"i386@amd64": Registers(112, 80, 88), "armhf@arm64": Registers(0, 0, 8)}


@dataclass(frozen=True)
class Cell:
    """One kernel of the matrix, for processes of one architecture."""

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


# No kernel of Debian's serves x32: see x32.py.
X32 = Cell("x32@amd64", "trixie")


@dataclass(frozen=True)
class Suite:
    """A Debian suite: its kernel, its libbpf, and a C library that runs that libbpf."""

    name: str
    linux: str
    libbpf_package: str = "libbpf1"
    soname: str = "libbpf.so.1"
    # That of trixie runs programs of this system and every libbpf but sid's.
    libc: str = "trixie"
    libelf: str = "libelf1t64"
    # Debian 12's rustc is too old; its rustc-web is not.
    rust: tuple[str, ...] = ("cargo", "rustc", "libstd-rust-dev")

    @property
    def has_ksyscall(self):
        """libbpf 0.3 lacks the function and the sections: it can only be linked to ours."""
        return self.soname != "libbpf.so.0"

    @property
    def libraries(self):
        """The packages that a program linked to this libbpf needs at run time."""
        return ["libc6", self.libelf, "zlib1g", "libzstd1"]


SUITES = {s.name: s for s in [
    Suite("bullseye", "5.10", "libbpf0", "libbpf.so.0", libelf="libelf1"),
    Suite("bookworm", "6.1", libelf="libelf1", rust=("cargo-web", "rustc-web", "libstd-rust-web-dev")),
    Suite("trixie", "6.12"),
    Suite("sid", "the newest", libc="sid"),
]}

# The newest libbpf, built so that it is bound to itself: its own calls do not go through the
# PLT, and no preloading comes between. Flags of the compiler and of the linker.
BOUND_LIBBPFS = {
    # As Ubuntu's packages are.
    "bound": ("-g -O2", "-Wl,-Bsymbolic-functions"),
    "lto": ("-g -O2 -flto", "-flto=auto -Wl,-Bsymbolic"),
}
# Those whose libbpf.a is tested: no newer than the oldest system that the tests run on.
STATIC_LIBBPFS = ["bullseye", "bookworm", "bound"]

# What the tests run on. The newest stable kernel has each libbpf; an older one that of its own release,
# and the oldest also the newest libbpf.
NEWEST_STABLE = "trixie"
LIBBPFS = {
    "bullseye": ["bullseye", "trixie"],
    "bookworm": ["bookworm"],
    "trixie": ["bullseye", "bookworm", "lto", "bound", "trixie"],
}
KERNELS = list(LIBBPFS)
# Where the programs run that tell nothing of libbpf: with BPF links of perf events, and without.
ONCE = {("bullseye", "trixie"), ("trixie", "trixie")}
RUST_KERNELS = ["bookworm", "trixie", "sid"]
CLIENT_KERNELS = ["bookworm", "trixie"]
# What tools have inside, on each kernel: the libbpf.a of that name, or a crate.
INSIDE = {"bullseye": ["bullseye", "bookworm", "aya"], "bookworm": ["bookworm", "trixie", "libbpf-rs"],
          "trixie": ["bullseye", "bookworm", "trixie", "bound", "libbpf-rs", "aya"],
          "sid": ["trixie", "bound", "libbpf-rs", "aya"]}
# The kernel of the comparison with libbpf (what differs depends on it, and this one shows all), and its libbpfs.
COMPARED_ON = "trixie"
COMPARED = ["bullseye", "bookworm", "trixie", "sid"]
SANITIZED_ON = "trixie"
MATRIX = [Cell("amd64", suite) for suite in KERNELS]
# That of `make test`, which is big-endian, too.
FOREIGN = Cell("s390x", "bookworm")
