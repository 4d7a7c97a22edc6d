"""Collects the guest's files and their shared libraries and writes them as a cpio archive."""

import os
import re
import stat
import struct
import subprocess
from pathlib import Path, PurePosixPath

from testing.targets import ARCHITECTURES

MERGED = ("bin", "sbin", "lib", "lib64")
FOLDERS = ["dev", "proc", "sys", "tmp", "etc", "root", "run", "vm", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64"]


class Missing(Exception):
    """A required file or library does not exist."""


class Image:
    """Maps paths in the guest, without the leading slash, to their content: a file of this system,
    text, a link (`-> TARGET`) or None for a folder."""

    def __init__(self):
        self.entries = {}
        for folder in FOLDERS:
            self._folder(folder)
        self.links = {name: f"usr/{name}" for name in MERGED}

    def text(self, path, text, mode=0o644):
        self.entries[self._place(path)] = (text.encode(), mode)

    def remove(self, start):
        """Removes all paths that start with `start`."""
        self.entries = {place: what for place, what in self.entries.items() if not place.startswith(start)}

    def put(self, source, path):
        """Adds a file, or a folder with its content."""
        source = Path(source)
        if not source.exists():
            raise Missing(f"no such file: {source}")
        if not path.startswith("/"):
            raise Missing(f"not an absolute path: {path}")
        if not source.is_dir():
            self.entries[self._place(path)] = source.resolve()
            return
        self._folder(self._place(path))
        for folder, folders, files in os.walk(source):
            inside = f"{path.rstrip('/')}/{os.path.relpath(folder, source)}"
            for name in sorted(folders + files):
                file, place = Path(folder, name), self._place(f"{inside}/{name}")
                if file.is_symlink():
                    self.links[place] = os.readlink(file)
                elif file.is_dir():
                    self._folder(place)
                else:
                    self.entries[place] = file

    def _folder(self, path):
        if path not in ("", "."):
            self.entries.setdefault(path, None)
            self._folder(str(PurePosixPath(path).parent))

    def _place(self, path):
        """Resolves links in a path, so that a link does not hide files added below it. The resolved
        path never leaves the guest's root."""
        done, rest = [], [part for part in path.split("/") if part]
        for _ in range(1000):
            if not rest:
                break
            part = rest.pop(0)
            if part == "..":
                done = done[:-1]
            elif part != ".":
                target = self.links.get("/".join([*done, part]))
                if target is None or not rest:
                    done.append(part)
                else:
                    rest = target.split("/") + rest
                    done = [] if target.startswith("/") else done
        place = "/".join(done)
        self._folder(str(PurePosixPath(place).parent))
        return place

    def __contains__(self, path):
        place = self._place(path)
        return place in self.entries or place in self.links

    def add_libraries(self, folders=(), roots=()):
        """Adds the loader and the libraries of every ELF file, recursively. Libraries that the file's
        own search path finds in the guest are kept; others are looked up in `folders`, then in `roots`
        (by default, this system). The folder that a file came from is not searched, because it may
        contain libraries for other programs."""
        folders = list(map(Path, folders))
        roots = list(map(Path, roots)) or [Path("/")]
        queue = [(place, file) for place, file in self.entries.items() if isinstance(file, Path)]
        for place, file in queue:
            arch = architecture(file)
            # busybox is static, and readelf cannot parse its header.
            if not arch or place == "usr/bin/busybox":
                continue
            needs = list(needed(file))
            # To find the libraries that a library requires, the dynamic loader also searches the program's RPATH. The
            # requiring library was found through that RPATH, so search the requiring library's folder.
            is_program = any(kind == "interpreter" for kind, *_ in needs)
            for kind, name, here in needs:
                target = name if kind == "interpreter" else f"/usr/lib/{arch.multiarch}/{name}"
                here = here if is_program else [f"/{PurePosixPath(place).parent}"]
                if any(path in self for path in (target, f"/usr/lib/{name}", *(f"{f}/{name}" for f in here))):
                    continue
                found = find_library(PurePosixPath(name).name, arch, folders, roots)
                if not found:
                    raise Missing(f"{PurePosixPath(name).name} ({arch.multiarch}), which /{place} needs,"
                                  " is in no folder searched")
                self.entries[self._place(target)] = found
                queue.append((self._place(target), found))

    def write(self, path):
        """Writes a cpio archive in the newc format, which the kernel requires."""
        with open(path, "wb") as out:
            links = {place: (target.encode(), stat.S_IFLNK | 0o777) for place, target in self.links.items()}
            for number, (place, what) in enumerate(sorted({**self.entries, **links}.items()), 1):
                if what is None:
                    data, mode = b"", stat.S_IFDIR | 0o755
                elif isinstance(what, Path):
                    data, mode = what.read_bytes(), stat.S_IFREG | stat.S_IMODE(what.stat().st_mode)
                else:
                    data, mode = what[0], what[1] if stat.S_IFMT(what[1]) else stat.S_IFREG | what[1]
                out.write(entry(number, place, data, mode))
            out.write(entry(0, "TRAILER!!!", b"", 0))


def entry(number, place, data, mode):
    name = place.encode() + b"\0"
    numbers = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
    head = b"070701" + b"".join(b"%08X" % n for n in numbers) + name
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def architecture(file):
    """Returns the architecture of a program or shared library, or None for any other file."""
    with open(file, "rb") as opened:
        head = opened.read(20)
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    kind, machine = struct.unpack("<HH" if head[5] == 1 else ">HH", head[16:])
    return next((arch for arch in ARCHITECTURES.values()
                 if kind in (2, 3) and arch.elf == (head[4], head[5], machine)), None)


def needed(file):
    """Yields (kind, name, folders of the RPATH or RUNPATH) for the loader and each library."""
    said = subprocess.run(["readelf", "-ldW", file], capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout
    paths = [path for line in re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", said) for path in line.split(":")]
    for name in re.findall(r"Requesting program interpreter: (.*)\]", said):
        yield "interpreter", name, []
    for name in re.findall(r"\(NEEDED\).*\[(.*)\]", said):
        # Skip the loader: the program's interpreter entry already adds it.
        if not re.match(r"ld(64|-linux.*)?\.so\.\d+$", name):
            yield "library", name, paths


def find_library(name, arch, folders, roots):
    triplet = arch.multiarch
    places = [f"lib/{triplet}", f"usr/lib/{triplet}", "lib", "usr/lib", "lib64", "usr/lib64",
              f"usr/local/lib/{triplet}", "usr/local/lib", f"usr/{triplet}/lib"]
    for folder in [*folders, *(root / place for root in roots for place in places)]:
        file = folder / name
        if file.exists() and architecture(file) is arch:
            return file.resolve()
    return None
