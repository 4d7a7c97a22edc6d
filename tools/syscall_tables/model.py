"""Generates the tables from all versions, annotates them, and checks them against one version."""

import re

from tools.syscall_tables.exceptions import (
    ABSENT,
    BEHIND,
    DECORATION,
    DECORATIONS,
    LATER,
    LIMITS,
    RENAMES,
    SAME,
    SECOND,
    SINCE_VERSION,
    SPELLINGS,
    STUBS,
    VERSIONS,
)
from tools.syscall_tables.readers import ARCHES, SINCE

# Entries of a table that are not functions.
UNSERVED = ("sys_ni_syscall", "-", None, "OBSOLETE")


def served(tree, name, directory, sources):
    """Returns {call: function} for the calls that this version supports, or None if the version has no table."""
    for reader, *arguments in sources:
        table = reader(tree, *arguments)
        if table is not None:
            break
    else:
        return None
    renames = {DECORATION.sub("", a): DECORATION.sub("", b) for a, b in re.findall(
        r"^#define\s+(\w*sys_\w+)\s+(\w*sys_\w+)\s*$",
        tree.files.get(RENAMES.get(name), ""), re.M)}
    for where, first, second in SECOND:
        for one, other in ((first, second), (second, first)):
            if name == where and one in table:
                table.setdefault(other, table[one])
    rows = {}
    for call, entry in table.items():
        entry = entry and DECORATION.sub("", entry)
        entry = renames.get(entry, entry)
        if entry in UNSERVED:
            continue
        for where, pattern, function, _ in BEHIND:
            if where == directory and re.fullmatch(pattern, entry):
                entry = re.sub(pattern, function, entry)
                break
        rows[call] = entry
    return rows


def is_listed(exceptions, *values):
    """Returns whether the values match the patterns of one of the exceptions. Each exception starts with its patterns;
    the fields after the patterns are ignored."""
    return any(all(map(re.fullmatch, patterns, values)) for patterns in exceptions)


class Side:
    """The native or the compat half of one table, in all versions."""

    def __init__(self, table, side, trees, directory, sources):
        self.table, self.side, self.trees, self.directory = table, side, trees, directory
        rows = {v: served(tree, table, directory, sources) for v, tree in trees.items()}
        self.rows = {v: r for v, r in rows.items() if r is not None}

    def exists(self, version, function):
        if self.side == "native" and is_listed(ABSENT, self.table, version, function):
            return False
        return any(function in self.trees[version].defined.get(d, ())
                   for d in ("", self.directory))

    def calls(self, version):
        """Returns the functions that this version defines as system calls."""
        made = set().union(*(self.trees[version].calls.get(d, ()) for d in ("", self.directory)))
        return {f for f in made if f.startswith("sys_")} - {"sys_ni_syscall"}

    def having(self, call):
        """Yields (version, serving function) for each version that supports the call."""
        return ((version, rows[call]) for version, rows in self.rows.items() if call in rows)

    def found(self, version, entries):
        """Returns the function that a search through the entries finds first, or None."""
        functions = (entry.partition("@")[0] for entry in entries
                     if serves(entry, version, self.trees[version].update))
        return next((f for f in functions if self.exists(version, f)), None)

    def limited(self, call, function):
        """Returns the function as an entry for the call's line. If the function serves the call in only some of the
        versions that define the function, the entry names these versions."""
        for table, side, pattern, limit, _ in LIMITS:
            if is_listed([(table, side, pattern)], self.table, self.side, function):
                return f"{function}@{limit}"
        has = [call in rows for rows in self.rows.values()]
        lacking = [version for version, rows in self.rows.items() if call not in rows]
        is_later = has == sorted(has) and any(self.exists(version, function) for version in lacking)
        if is_later and is_listed(LATER, self.table, call):
            major, minor = number(lacking[-1])
            return f"{function}@{major}.{minor + 1}"
        return function

    def wrong(self, call, functions):
        """Reports the versions in which the first function that exists does not serve the call."""
        for version, right in self.having(call):
            # A vendor's source may claim to be update 0 but contain the table of any update.
            if not self.trees[version].update and any("," in entry for entry in functions):
                continue
            if (first := self.found(version, functions)) != right:
                yield (f"{self.table} {self.side} {version}: {call}: "
                       f"{right} serves, {first} is found")

    def stray(self, call, functions):
        """Reports the versions that lack the call but define one of the call's functions."""
        for version, rows in self.rows.items():
            first = self.found(version, functions)
            is_stub = first in self.trees[version].conditional and is_listed(STUBS, self.table, call)
            if call not in rows and first and not is_stub:
                yield (f"{self.table} {self.side} {version}: {call}: "
                       f"there is no such call, {first} is found")

    def order(self, call):
        """Returns all entries for a call, in the order in which to try them."""
        newest_first = [rows[call] for rows in reversed(self.rows.values()) if call in rows]
        functions = [self.limited(call, function) for function in dict.fromkeys(newest_first)]
        after = {f: set() for f in functions}
        for version, right in self.having(call):
            for f in functions:
                if (found := self.found(version, [f])) and found != right:
                    after[f].add(self.limited(call, right))
        ordered = []
        while rest := [f for f in functions if f not in ordered]:
            # If no entry can come next, no order is correct, and wrong() reports the failing versions.
            ordered.append(next((f for f in rest if after[f] <= set(ordered)), rest[0]))
        return ordered


def make(name, trees):
    """Generates one table as text."""
    directory, sources, *compat = ARCHES[name]
    native = Side(name, "native", trees, directory, sources)
    calls = {call for rows in native.rows.values() for call in rows}
    if compat:
        compat = Side(name, "compat", {v: trees[v] for v in native.rows}, *compat)
        calls |= {call for rows in compat.rows.values() for call in rows}
    conditional = set().union(*(tree.conditional for tree in trees.values()))
    lines = {}
    for call in calls:
        functions = native.order(call)
        others = compat.order(call) if compat else []
        line = call + "?" * (not conditional.isdisjoint(names(functions + others)))
        if functions != ["sys_" + call]:
            line += " " + (" ".join(functions) or "-")
        if compat:
            if not others:
                line += " | -"
            elif not functions or any(compat.wrong(call, functions)) or any(compat.stray(call, functions)):
                line += " | " + " ".join(others)
        lines[call] = line
    live = {function for rows in native.rows.values() for function in rows.values()}
    made = {f for version in native.rows for f in native.calls(version)}
    dead = {f.removeprefix("sys_") for f in made - live}
    lines.update((call, call + " -") for call in dead - calls)
    paths = [path for _, path, *_ in sources if any(path in t.files for t in trees.values())]
    head = (f"# {name}: Linux {', '.join(native.rows)}; {', '.join(paths)};"
            " made by tools/syscall_tables")
    return "\n".join([head] + [lines[call] for call in sorted(lines)]) + "\n"


def bare(text):
    """Returns {name: line} for a table, without the parts that annotated() adds. Omits lines that contain only
    a spelling. If such a line ends in '-', keeps the name and the '-'."""
    rows = {}
    for line in text.splitlines()[1:]:
        name, _, functions = line.partition(" ")
        name = name.partition("@")[0]
        if not functions.startswith("="):
            rows[name.rstrip("?")] = f"{name} {functions}".rstrip()
        elif functions.endswith(" -"):
            rows[name] = f"{name} -"
    return rows


def annotated(tables):
    """Adds spellings and versions to the tables. A spelling is the name of a function that serves a call of a
    different name, or the call's name on other architectures or in a man page. A spelling that is also the name of a
    function ends in '-'."""
    rows = {table: bare(text) for table, text in tables.items()}
    known = set().union(*rows.values())
    since = {call: version for version, calls in SINCE_VERSION.items() for call in calls.split()}
    result = {}
    for table, lines in rows.items():
        served = {call for call, line in lines.items() if not re.fullmatch(r"\S+ -", line)}
        found, own = {}, {}
        for call in sorted(served):
            for function in re.findall(r" sys_(\w+)", lines[call].partition("|")[0]):
                own.setdefault(function, call)
        for name in (known | own.keys() | SPELLINGS.keys()) - served:
            if name in SPELLINGS:
                calls = SPELLINGS[name].split()
            elif name in own:
                calls = [own[name]]
            else:
                stem = DECORATIONS.match(name)[1]
                same = {other for group in SAME if name in group for other in group}
                calls = sorted({call for call in known if DECORATIONS.match(call)[1] == stem} | same)
            if call := next((call for call in calls if call in served), None):
                found[name] = f"{name} ={call}" + " -" * (name in lines)
        for call in served & since.keys():
            name, space, functions = lines[call].partition(" ")
            found[call] = f"{name}@{since[call]}{space}{functions}"
        lines |= found
        head = tables[table].splitlines()[0]
        result[table] = "\n".join([head] + [lines[call] for call in sorted(lines)]) + "\n"
    return result


def parse(text):
    """Returns {call: (native entries, entries for 32-bit callers, whether '?' marks the call)} for a table."""
    table = {}
    for line in bare(text).values():
        name, _, functions = line.partition(" ")
        call = name.rstrip("?")
        native, _, compat = functions.partition("|")
        native = native.split() or ["sys_" + call]
        table[call] = native, compat.split() or native, call != name
    return table


def check(name, text, tree):
    """Checks one table against one version; returns the number of calls in that version, and the errors."""
    directory, sources, *compat = ARCHES[name]
    native = Side(name, "native", {tree.version: tree}, directory, sources)
    if not native.rows:
        expected = number(tree.version) >= number(SINCE.get(name, VERSIONS[0]))
        return 0, [f"{name} {tree.version}: no table"] * expected
    compat = compat and Side(name, "compat", {tree.version: tree}, *compat)
    calls = native.rows[tree.version] | (compat.rows[tree.version] if compat else {})
    table, problems = parse(text), []
    for call in table.keys() | calls:
        functions, others, is_marked = table.get(call, ([], [], True))
        problems += native.wrong(call, functions)
        problems += native.stray(call, functions)
        if compat:
            problems += compat.wrong(call, others)
            problems += compat.stray(call, others)
            # Until the library has identified the kernel, it tries the compat entries first, except on x86-64, where
            # these entries are for x32.
            problems += native.wrong(call, others + functions) if name != "x86_64" else []
        if not is_marked and not tree.conditional.isdisjoint(names(functions + others)):
            problems.append(f"{name} {tree.version}: {call}: can be left out, and has no '?'")
    for version, newer in SINCE_VERSION.items():
        if number(tree.version) < number(version):
            problems += [f"{name} {tree.version}: {call}: exists, but SINCE_VERSION says {version}"
                         for call in newer.split() if call in calls]
    listed = {function for functions, *_ in table.values() for function in names(functions)}
    for function in native.calls(tree.version) - listed:
        if function.removeprefix("sys_") not in table:
            problems.append(f"{name} {tree.version}: {function}: no call reaches it,"
                            " and no line says so")
    return len(calls), sorted(set(problems))


def names(entries):
    """Returns the functions that the entries name."""
    return [entry.partition("@")[0] for entry in entries]


def serves(entry, version, update):
    """Returns whether an entry's function serves the call in a stable update of a version."""
    limit = entry.partition("@")[2]
    if limit.startswith("<"):
        return number(version) < number(limit[1:])
    if not limit:
        return True
    *updates, last = map(number, limit.split(","))
    return number(version) >= last or any(
        tuple(series) == number(version) and update >= first for *series, first in updates)


def number(version):
    return tuple(map(int, version.split(".")))
