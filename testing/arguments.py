"""Reads the arguments of each system call in a BPF program, on a real kernel, by this library's
KSYSCALL_PROG() and by libbpf's BPF_KSYSCALL(): the runs, what they show, and docs/arguments.md.

How many arguments a call has, and which are signed, is what the running kernel says of its
function (/sys/kernel/tracing/events/syscalls/sys_enter_*/format), which it has of the
function's own definition.
"""

import re
from dataclasses import dataclass

from testing import matrix, packages
from testing.build import ROOT
from testing.packages import say
from testing.results import Results
from testing.targets import SUITES
from testing.vm import Failure, Machine

PAGE = ROOT / "docs/arguments.md"
SIDES = "ours", "theirs"
EVENTS = "/sys/kernel/tracing/events/syscalls"


def run_cell(cell):
    """Both programs, one after the other; what they print is saved."""
    folder, arch = matrix.programs(cell), cell.architecture
    release = SUITES[arch.release]
    say(f"reading arguments on {cell.process}, the kernel of {cell.suite}")
    with Machine(cell.suite, cell.kernel.name) as machine:
        for name in ("arguments", "ours.bpf.o", "theirs.bpf.o", "libksyscall.so.1"):
            machine.put(folder / name, f"/m/{name}")
        machine.roots.append(packages.unpack(release.name, arch.name, "libbpf1", *release.libraries))
        commands = [f"LD_PRELOAD=/m/libksyscall.so.1 exec /m/arguments /m/{side}.bpf.o" for side in SIDES]
        outcomes = list(machine.run([*commands, f"uname -r; cd {EVENTS}; grep field: sys_enter_*/format"], 900))
    if any(outcome.status or outcome.is_bug for outcome in outcomes):
        raise Failure("\n".join(f"exit status {o.status}\n{o.output}{o.trouble}" for o in outcomes))
    for name, outcome in zip((*SIDES, "events"), outcomes, strict=True):
        (folder / f"{cell.suite}.{name}").write_text(outcome.output)


# --- What a run shows --------------------------------------------------------------

@dataclass
class Call:
    """A line of the program: see c-tests/matrix/arguments.c."""

    name: str
    number: int
    attached: str
    hits: int
    seen_number: int
    is_compat: bool
    count: int
    seen: list[int]
    made: list[int]


def calls(text):
    found = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 19:
            name, number, attached, hits, seen_number, is_compat, count, *words = fields
            words = [int(word, 16) for word in words]
            found[name] = Call(name, int(number), attached, int(hits), int(seen_number), is_compat == "1",
                               int(count), words[:6], words[6:])
    return found


def prototypes(text):
    """{function: the types of its parameters}, without `sys_`. A function that has none has no field."""
    found = {}
    for event, kind in re.findall(r"^sys_enter_(\w+)/format:\tfield:(.*?)\w+;\toffset", text, re.M):
        found.setdefault(event, []).append(kind.strip())
    # Each has five fields that are not the call's.
    return {event: kinds[5:] for event, kinds in found.items()}


def functions(table):
    """{call: the functions that may serve it}, by src/tables."""
    found = {}
    for line in (ROOT / f"src/tables/{table}.tbl").read_text().splitlines():
        name, _, rest = re.sub(r"@[0-9.]+", "", line).partition(" ")
        if not name.startswith("#") and not rest.startswith("="):
            own = [word for word in rest.replace("|", " ").split() if word != "-"]
            found[name.rstrip("?")] = [*own, f"sys_{name.rstrip('?')}"]
    return found


SIGNED = {"long", "off_t"}
NOT_COUNTED = re.compile(r"fork|vfork|(rt_)?sigreturn")


class Shown:
    """What the runs of a cell have shown: lines for the report, and results."""

    def __init__(self, cell):
        folder = matrix.OUT / cell.process
        texts = {name: (folder / f"{cell.suite}.{name}").read_text() for name in (*SIDES, "events")}
        self.kernel = texts["events"].partition("\n")[0]
        self.types = prototypes(texts["events"])
        self.functions = functions(cell.architecture.table)
        self.has_32_bits = cell.architecture.registers.bits == 32
        ours, theirs = calls(texts["ours"]), calls(texts["theirs"])
        self.results, self.unknown, self.calls, self.all = Results(), [], 0, 0
        self.right = {"ours": 0, "theirs": 0}
        for name, call in ours.items():
            if call.attached != "ok" or not call.hits:
                continue
            kinds = self.kinds(call)
            wanted = [self.word(kind, word) for kind, word in zip(kinds, call.made, strict=False)]
            wrong = self.wrong(call, cell, wanted)
            self.results.add("failed" if wrong else "passed", name, wrong)
            if not wanted:
                continue
            self.calls += 1
            self.all += len(wanted)
            self.right["ours"] += self.count(call, wanted)
            self.right["theirs"] += self.count(theirs.get(name), wanted)
        if len(self.results.points) < 200 or "# end" not in texts["ours"]:
            self.results.add("failed", "each call", f"{len(self.results.points)} calls were made\n{texts['ours'][:500]}")
        self.unread = (re.search("^# does not load.*", texts["theirs"], re.M) or [""])[0]
        self.row = (f"| {cell.process} | {self.kernel} | {self.all} of {self.calls} | {self.right['theirs']}"
                    f" | {self.right['ours']} |")

    def kinds(self, call):
        """The types of the call's arguments; of those that the program knows by itself, none."""
        if call.count:
            return [""] * call.count
        for function in self.functions.get(call.name, [f"sys_{call.name}"]):
            kinds = self.types.get(re.sub("^(compat_)?sys_", "", function))
            if kinds is not None:
                return kinds
        if not NOT_COUNTED.fullmatch(call.name):
            self.unknown.append(call.name)
        return []

    def word(self, kind, word):
        """What the caller's word is as the parameter."""
        if self.has_32_bits and kind in SIGNED and word >> 31:
            return word | 0xffffffff << 32
        return word

    @staticmethod
    def count(call, wanted):
        return sum(seen == word for seen, word in zip(call.seen, wanted, strict=False)) if call and call.hits else 0

    @staticmethod
    def wrong(call, cell, wanted):
        wrong = [f"argument {n + 1} is {seen:#x}, not {word:#x}"
                 for n, (seen, word) in enumerate(zip(call.seen, wanted, strict=False)) if seen != word]
        if call.seen_number != call.number:
            wrong.append(f"the number is {call.seen_number}, not {call.number}")
        if call.is_compat != ("@" in cell.process):
            wrong.append(f"is_compat is {call.is_compat}")
        return "; ".join(wrong)
