"""Reads one kernel version: its tables, and the functions that its source defines."""

import os
import re
import sys
import tarfile

# The files outside arch/ that may define a system call.
CODE = re.compile(r"(block|drivers/(char|pci)|fs|init|io_uring|ipc|kernel|lib|mm"
                  r"|net|security)/.*\.c$")

# The files that the readers need.
TABLE = re.compile(r"Makefile$|.*/syscall\w*\.tbl$|arch/\w+/kernel/Makefile.syscalls$"
                   r"|.*/unistd(32)?\.h$|arch/\w+/kernel/(calls|syscalls|scall64-64)\.S$"
                   r"|arch/powerpc/include/asm/systbl\.h$|arch/arm64/kernel/sys\.c$")

DEFINITIONS = [
    # PPC32_SYSCALL_DEFINE and SYSCALL32_DEFINE define a native function on a 32-bit kernel, and
    # a compat function on a 64-bit kernel.
    (re.compile(r"^(?:PPC32_)?SYSCALL(?:32)?_DEFINE\d\(\s*(\w+)", re.M), "sys_"),
    (re.compile(r"^(?:PPC32_SYSCALL|COMPAT_SYSCALL|SYSCALL32)_DEFINE\d\(\s*(\w+)", re.M),
     "compat_sys_"),
]
# The kernel defines a function even for a call that its configuration leaves out. On kernels
# without wrappers, all calls that are left out share one function.
CONDITIONAL = [
    (re.compile(r"^(?:COND_SYSCALL|SYS_NI)\((\w+)\)", re.M), "sys_"),
    (re.compile(r"^(?:COND_SYSCALL_COMPAT|COMPAT_SYS_NI)\((\w+)\)", re.M), "compat_sys_"),
    (re.compile(r"^cond_syscall\((\w+)\)", re.M), ""),
]
IN_ARCH = [
    # A C function with a body.
    re.compile(r"^[a-z][\w \t*]*?\s\*?((?:\w*sysm?|ppc)\d*_\w+)\s*\([^;{}]*\)\s*\{", re.M),
    # powerpc's signal_32.c defines one function under two names.
    re.compile(r"^#define\s+sys_\w+\s+(compat_sys_\w+)", re.M),
    # An assembly function.
    re.compile(r"^(?:ENTRY|NESTED|LEAF|_GLOBAL|SYM_\w*START\w*)\((\w*sys_\w+)", re.M),
]


class Tree:
    """The tables of one kernel version, and the functions that the version defines."""

    def __init__(self, path):
        self.files, self.defined, self.calls, self.conditional = {}, {}, {}, set()
        for name, text in read(path):
            if TABLE.match(name):
                self.files[name] = text
            where = name.split("/")[1] if name.startswith("arch/") else ""
            conditional = matches(CONDITIONAL, text)
            self.conditional |= conditional
            found = matches(DEFINITIONS, text) | conditional
            self.calls.setdefault(where, set()).update(found)
            for pattern in IN_ARCH if where else ():
                found.update(pattern.findall(text))
            self.defined.setdefault(where, set()).update(found)
        numbers = re.findall(r"^(?:VERSION|PATCHLEVEL|SUBLEVEL) = (\d+)$",
                             self.files.get("Makefile", ""), re.M)
        if len(numbers) < 2:
            sys.exit(f"{path}: not a kernel source")
        self.version = ".".join(numbers[:2])
        # The number of the stable update.
        self.update = int((*numbers, 0)[2])


def matches(patterns, text):
    """Returns the functions that `text` defines. Each entry of `patterns` is a pattern and the prefix to add to the
    names that the pattern finds."""
    return {prefix + name for pattern, prefix in patterns for name in pattern.findall(text)}


def read(path):
    """Yields (name, text) for the files in a kernel source that the tables depend on."""
    def wanted(name):
        return (TABLE.match(name) or CODE.match(name)
                or re.match(r"arch/(?!um/)\w+/.*\.[cS]$", name))
    if os.path.isdir(path):
        for directory, _, names in os.walk(path):
            for name in names:
                full = os.path.join(directory, name)
                name = os.path.relpath(full, path)
                if wanted(name) and not os.path.islink(full):
                    with open(full, encoding="latin-1") as f:
                        yield name, f.read()
        return
    with tarfile.open(path, "r|*") as tar:
        for member in tar:
            name = member.name.removeprefix("./").partition("/")[2]
            if member.isfile() and wanted(name):
                yield name, tar.extractfile(member).read().decode("latin-1")
