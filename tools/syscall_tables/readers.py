"""Reads the kernel's own tables. ARCHES lists the reader and the file for each architecture.

A reader's parameters are a tree and the arguments in ARCHES. The reader returns {name: entry}, or None
if the version does not contain the file. An entry may be absent or sys_ni_syscall.
"""

import re


def tbl(tree, path, abis, column=0):
    """Reads a .tbl file. Column 1 is the compat entry, or the native entry if there is no compat entry."""
    if path not in tree.files:
        return None
    table = {}
    for fields in tbl_lines(tree, path, abis):
        native, compat = [*fields[3:5], "-", "-"][:2]
        table[fields[2]] = native if column == 0 or compat == "-" else compat
    return table


def tbl_numbers(tree, path, abis):
    """Returns the numbers of the calls in a .tbl file, as <asm/unistd.h> defines them."""
    return {fields[2]: NUMBERS_FROM.get(abis[0], 0) + int(fields[0]) for fields in tbl_lines(tree, path, abis)}


def tbl_lines(tree, path, abis):
    """Yields the fields of the lines for these ABIs: number, ABI, name, entries."""
    extra = re.findall(r"^syscall_abis_64 \+= *(.*)$",
                       tree.files.get(f"arch/{abis[0]}/kernel/Makefile.syscalls", ""), re.M)
    abis = set(abis).union(*(line.split() for line in extra))
    for line in tree.files[path].splitlines():
        fields = line.partition("#")[0].split()
        if len(fields) >= 3 and fields[1] in abis:
            yield fields


def macros(tree, path, defined):
    """Reads a header that lists __SYSCALL(number, entry) and contains C preprocessor conditionals."""
    if path not in tree.files:
        return None
    by_number, names = {}, {}
    for line in preprocess(tree, path, defined):
        if m := re.match(r"#\s*define\s+__NR_(\w+)\s+(__NR3264_\w+|\S)", line):
            names[m[1]] = m[2] if m[2].startswith("__NR") else "__NR_" + m[1]
        elif m := re.match(r"__S(?:YSCALL|C)(\w*)\((__NR\w+),([\w\s,]+)\)", line):
            entries = [e.strip() for e in m[3].split(",")]
            # *_3264 lists the 32-bit entry, then the 64-bit entry.
            by_number[m[2]] = entries["3264" in m[1]]
    return {name: by_number[n] for name, n in names.items() if n in by_number}


def assembly(tree, path, pattern, unistd, defined, choose=None):
    """Reads an assembly file that lists entries in the order of their numbers."""
    if path not in tree.files or unistd not in tree.files:
        return None
    entries = []
    for line in preprocess(tree, path, defined):
        entries += [choose(m) if choose else m[1] for m in re.finditer(pattern, line)]
    table = {}
    for line in preprocess(tree, unistd, defined):
        m = re.match(r"#define\s+__NR_([a-z_][a-z0-9_]*)\s+\(?(?:__NR_\w+\s*\+)?\s*(\d+)", line)
        if m and int(m[2]) < len(entries):
            table[m[1]] = entries[int(m[2])]
    return table


def preprocess(tree, path, defined):
    """Yields the lines of a file that its #if, #ifdef and #else directives keep."""
    defined = dict(defined)

    def true(expression):
        def value(m):
            if m[1]:
                return str(int(m[1] in defined))
            number = str(defined.get(m[0], m[0]))
            return number if number.isdigit() else "0"
        e = re.sub(r"/\*.*", "", expression)
        e = re.sub(r"defined\s*\(?\s*(\w+)\s*\)?|\w+", value, e)
        e = e.replace("&&", " and ").replace("||", " or ")
        return bool(eval(re.sub(r"!(?!=)", " not ", e), {"__builtins__": {}}))

    def lines(path):
        # Records, for each #if, whether the current branch is kept, and whether any branch so far was kept.
        stack = []
        for line in tree.files[path].replace("\\\n", " ").splitlines():
            line = line.strip()
            m = re.match(r"#\s*(\w+)\s*(.*)", line)
            word, rest = m.groups() if m else ("", "")
            live = all(s[0] for s in stack)
            if word in ("if", "ifdef", "ifndef"):
                if word != "if":
                    rest = ("!" if word == "ifndef" else "") + f"defined({rest.split()[0]})"
                on = live and true(rest)
                stack.append([on, on])
            elif word == "elif":
                on = not stack[-1][1] and all(s[0] for s in stack[:-1]) and true(rest)
                stack[-1] = [on, stack[-1][1] or on]
            elif word == "else":
                stack[-1][0] = not stack[-1][1]
            elif word == "endif":
                stack.pop()
            elif live:
                if word == "include" and "asm-generic/unistd.h" in rest:
                    yield from lines("include/uapi/asm-generic/unistd.h")
                    continue
                if word == "define":
                    name, _, value = rest.partition(" ")
                    defined[name] = value.strip() or 1
                yield line

    return lines(path)


# --- The architectures ---------------------------------------------------------------

UNISTD = "arch/{}/include/uapi/asm/unistd.h"
# The base of the numbers in a .tbl file, if the base is not 0: __NR_Linux in <asm/unistd.h>.
NUMBERS_FROM = {"mips": 5000}
GENERIC = {"__BITS_PER_LONG": 64, "__LP64__": 1, "__SYSCALL": 1}


def generic(directory):
    """Returns the sources for the list of calls that newer architectures share. The list became a .tbl file in
    6.11."""
    return [(tbl, "scripts/syscall.tbl", (directory, "common", "64")),
            (macros, UNISTD.format(directory), GENERIC)]


def powerpc(bits, column=0):
    macro = {  # arch/powerpc/kernel/systbl.S: native on 64, compat, native on 32
        "SYSCALL": ("sys_", "sys_", "sys_"),
        "COMPAT_SYS": ("sys_", "compat_sys_", "sys_"),
        "COMPAT": ("sys_", "compat_sys_", "sys_"),
        "PPC_SYS": ("ppc_", "ppc_", "ppc_"),
        "OLDSYS": (None, None, "sys_"),
        "SYS32ONLY": (None, "compat_sys_", "sys_"),
        "PPC64ONLY": ("ppc_", None, None),
    }
    which = 2 if bits == 32 and column == 0 else column

    def choose(m):
        word = re.sub("_SPU(_NEW)?$", "", m[1])
        if word == "SYSX":
            return m[2].split(",")[which].strip()
        prefix = macro[word][which]
        return prefix and prefix + m[2]

    return [(tbl, "arch/powerpc/kernel/syscalls/syscall.tbl",
             ("powerpc", "common", "nospu", str(bits)), column),
            (assembly, "arch/powerpc/include/asm/systbl.h",
             r"^([A-Z][A-Z0-9_]+)\(([\w, ]+)\)", UNISTD.format("powerpc"),
             {} if bits == 32 else {"__powerpc64__": 1}, choose)]


# Maps each name to the directory and the sources of the native table, then the directory and the sources of the table
# for 32-bit callers. For each version, the first of these sources that exists is used.
X86 = "arch/x86/entry/syscalls/syscall_"
ARCHES = {
    # The second table is for x32, whose processes use separate functions for some calls.
    "x86_64": ("x86", [(tbl, X86 + "64.tbl", ("x86", "common", "64"))],
               "x86", [(tbl, X86 + "64.tbl", ("x86", "common", "x32"))]),
    "aarch64": ("arm64", generic("arm64")),
    "x86": ("x86", [(tbl, X86 + "32.tbl", ("x86", "i386"))],
            "x86", [(tbl, X86 + "32.tbl", ("x86", "i386"), 1)]),
    "arm": ("arm", [(tbl, "arch/arm/tools/syscall.tbl", ("arm", "common", "eabi")),
                    # OBSOLETE() marks calls that only the old ABI supports.
                    (assembly, "arch/arm/kernel/calls.S",
                     r"CALL\((?:ABI\()?(sys_\w+|OBSOLETE)", UNISTD.format("arm"),
                     {"__ARM_EABI__": 1})],
            "arm64", [(tbl, "arch/arm64/tools/syscall_32.tbl", ("arm64", "common", "32"), 1),
                      (macros, "arch/arm64/include/asm/unistd32.h", {})]),
    "riscv64": ("riscv", generic("riscv")),
    "loongarch64": ("loongarch", generic("loongarch")),
    "s390x": ("s390", [(tbl, "arch/s390/kernel/syscalls/syscall.tbl", ("s390", "common", "64")),
                       (assembly, "arch/s390/kernel/syscalls.S",
                        r"^(?:SYSCALL\((\w+)|NI_SYSCALL)", UNISTD.format("s390"),
                        {"__s390x__": 1})]),
    "powerpc64": ("powerpc", powerpc(64)),
    "powerpc": ("powerpc", powerpc(32), "powerpc", powerpc(32, 1)),
    "mips64": ("mips", [(tbl, "arch/mips/kernel/syscalls/syscall_n64.tbl", ("mips", "n64")),
                        (assembly, "arch/mips/kernel/scall64-64.S", r"^PTR\s+(\w+)",
                         UNISTD.format("mips"),
                         {"_MIPS_SIM": 3, "_MIPS_SIM_ABI32": 1, "_MIPS_SIM_NABI32": 2,
                          "_MIPS_SIM_ABI64": 3})]),
}

# The first version that must contain a table, for architectures that are newer than VERSIONS[0] or that
# gained kprobes later.
SINCE = {"riscv64": "5.0", "loongarch64": "6.1"}
