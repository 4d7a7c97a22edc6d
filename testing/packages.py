"""Unpacks Debian packages and kernels of any suite and architecture into a cache.

The module uses a private apt root. It reads the mirror and the network settings from the system's apt configuration,
but never changes the system's apt. Packages stay in the cache until their folder is removed, so that changes in the
archive do not change a test's outcome.

    python3 -m testing.packages SUITE ARCH PACKAGE...

prints the folder. KSYSCALL_CACHE names the cache's folder (default: ~/.cache/ksyscall), and KSYSCALL_MIRROR names a
Debian mirror (default: the mirror that this system's apt uses).
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from testing.targets import ARCHITECTURES

CACHE = Path(os.environ.get("KSYSCALL_CACHE")
             or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ksyscall")
# Package lists are fetched again after this many seconds.
FRESH = 12 * 3600


class Unavailable(Exception):
    """Raised if a package or kernel cannot be fetched. The message states the reason."""


def say(text):
    print(f"# {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def locked(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def unpack(suite, arch, *packages, only=""):
    """Returns the folder with the unpacked packages, without their dependencies. `only` limits the
    unpacked files to a path. The architecture "source" unpacks a source package with Debian's changes."""
    for word in (suite, arch, *packages):
        if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", word):
            raise ValueError(word)
    folder = CACHE / "debs" / f"{suite}-{arch}" / folder_name(packages, only)
    # A rename creates the complete folder, so no lock is required to check for it.
    if not folder.is_dir():
        with Root.locked(suite, arch) as root:
            # Another run may have created the folder while this run waited for the lock.
            if not folder.is_dir():
                root.fetch(sorted(set(packages)), only, folder)
    return folder


def folder_name(packages, only=""):
    name = "_".join(sorted(set(packages))) + (f"@{only.strip('/').replace('/', '-')}" if only else "")
    # File names are limited to 255 bytes. The joined names of a sysroot's packages would be longer.
    return name if len(name) <= 200 else hashlib.sha256(f"{name}\n".encode()).hexdigest()[:32]


def kernel(suite, arch):
    """Returns the image of a suite's current kernel."""
    folder = CACHE / "kernels" / f"{suite}-{arch}"
    with locked(Path(f"{folder}.lock")):
        if cached := next(folder.glob("vmlinuz-*"), None):
            return cached
        with Root.locked(suite, arch) as root:
            image = root.depends(f"linux-image-{ARCHITECTURES[arch].flavour}", "linux-image-")
            if not image:
                raise Unavailable(f"Debian {suite} has no kernel for {arch}")
            # Since Linux 7.0 the image itself is in a separate package.
            binary = root.depends(image, "linux-binary-")
        tree = unpack(suite, arch, binary) if binary else unpack(suite, arch, image, only="boot")
        file = next((f for f in tree.rglob("vmlinu[xz]*") if f.is_file() and not f.is_symlink()), None)
        if not file:
            raise Unavailable(f"no kernel image in {binary or image} of {suite} {arch}")
        folder.mkdir(parents=True, exist_ok=True)
        # Rename the file, so that other runs see either the complete image or no image.
        os.rename(file, folder / f"vmlinuz-{image.removeprefix('linux-image-')}")
        shutil.rmtree(tree)
        return next(folder.glob("vmlinuz-*"))


class Root:
    """A private apt root, which is locked while it is in use."""

    @classmethod
    @contextlib.contextmanager
    def locked(cls, suite, arch):
        with locked(CACHE / "apt" / f"{suite}-{arch}" / "lock"):
            yield cls(suite, arch)

    def __init__(self, suite, arch):
        self.suite, self.arch, self.is_source = suite, arch, arch == "source"
        self.folder = CACHE / "apt" / f"{suite}-{arch}"
        for tool in ("apt-get", "dpkg-deb", *["dpkg-source"] * self.is_source):
            if not shutil.which(tool):
                raise Unavailable(f"{tool} is missing: this needs a Debian system")
        for folder in ("lists/partial", "archives/partial", "etc"):
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
        stamp = self.folder / "updated"
        self.just_updated = not stamp.exists() or time.time() - stamp.stat().st_mtime > FRESH
        if self.just_updated:
            self.update()

    def run(self, *command, **options):
        """Runs a command with this root's configuration, and logs the command's output."""
        with open(self.folder / "log", "w") as log:
            return subprocess.run(command, env={**os.environ, "APT_CONFIG": str(self.folder / "etc/apt.conf")},
                                  stdout=options.pop("stdout", log), stderr=log, text=True, **options)

    def reason(self):
        """Returns apt's error message as a single line."""
        log = (self.folder / "log").read_text(errors="replace")
        found = re.search(r"^E: (.*)", log, re.M)
        return found[1] if found else f"see {self.folder}/log"

    def update(self):
        say(f"fetching the package list of {self.suite} {self.arch}")
        (self.folder / "etc/apt.conf").write_text(self.configuration())
        (self.folder / "status").write_text("")
        keys = next((k for suffix in ("gpg", "pgp")
                     if (k := Path(f"/usr/share/keyrings/debian-archive-keyring.{suffix}")).exists()), None)
        if not keys:
            raise Unavailable("the archive's keys are missing: apt install debian-archive-keyring")
        why = ""
        for mirror in mirrors():
            # Accept an expired list: a mirror that lags behind still provides kernels to test with.
            # apt still checks the list's signature.
            (self.folder / "etc/sources.list").write_text(
                f"deb{'-src' * self.is_source} [signed-by={keys} check-valid-until=no] {mirror} {self.suite} main\n")
            if self.run("apt-get", "update", "--error-on=any").returncode == 0:
                (self.folder / "updated").touch()
                return
            why = why or self.reason()
        (self.folder / "updated").unlink(missing_ok=True)
        raise Unavailable(f"no package list of {self.suite} {self.arch}: {why}"
                          " (KSYSCALL_MIRROR can name another mirror)")

    def configuration(self):
        """Returns apt's configuration for this root. It leaves out the system's hooks and extra downloads, but keeps
        the system's network settings (proxy, retries, logins)."""
        system = subprocess.run(["apt-config", "dump"], capture_output=True, text=True).stdout
        kept = re.findall(r"^Acquire::(?:http|https|ftp|Retries|ForceIPv).*\n", system, re.M)
        arch = self.arch
        if self.is_source:
            arch = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True).stdout.strip()
        own = {
            "Dir::State": self.folder, "Dir::State::lists": self.folder / "lists",
            "Dir::State::status": self.folder / "status", "Dir::Cache": self.folder,
            "Dir::Etc::SourceList": self.folder / "etc/sources.list",
            **dict.fromkeys(("Dir::Etc::SourceParts", "Dir::Etc::Preferences", "Dir::Etc::PreferencesParts",
                             "Dir::Etc::Main", "Dir::Etc::Parts"), "/dev/null"),
            "APT::Architecture": arch, "APT::Sandbox::User": "root", "Acquire::Languages": "none",
            "Acquire::GzipIndexes": "true", "Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": "",
            "Acquire::Retries": "3",
        }
        return "".join([*kept, *(f'{key} "{value}";\n' for key, value in own.items()),
                        f'APT::Architectures {{ "{arch}"; }};\n'])

    def depends(self, package, prefix):
        """Returns a package's first dependency whose name starts with `prefix`, or an empty string."""
        result = self.run("apt-cache", "depends", "--important", package, stdout=subprocess.PIPE)
        if result.returncode:
            raise Unavailable(f"{self.suite} {self.arch}: no package {package}")
        return next(iter(re.findall(rf"^ *\|?(?:Pre)?Depends: ({prefix}.*)$", result.stdout, re.M)), "")

    def fetch(self, packages, only, folder):
        say(f"fetching {' '.join(packages)} of {self.suite} {self.arch}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        how = ["source", "-q", "--download-only", "--only-source"] if self.is_source else ["download", "-q"]
        with tempfile.TemporaryDirectory(prefix=".new.", dir=folder.parent) as work:
            debs, tree = Path(work, "debs"), Path(work, "tree")
            debs.mkdir()

            def download():
                return self.run("apt-get", *how, *packages, cwd=debs).returncode == 0
            if not download():
                # In sid, a mirror may remove a file within hours of the list's creation.
                if not self.just_updated:
                    self.update()
                if self.just_updated or not download():
                    raise Unavailable(f"{self.suite} {self.arch}: {self.reason()}")
            for file in debs.glob("*.dsc" if self.is_source else "*.deb"):
                self.unpack(file, tree, only.strip("/"))
            tree.chmod(0o755)
            os.rename(tree, folder)

    def unpack(self, file, tree, only):
        if self.is_source:
            # The signer's key is not required, because apt has already checked the files against the archive's list.
            done = self.run("dpkg-source", "--no-check", "-x", file, tree)
        elif only:
            tree.mkdir(exist_ok=True)
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", file], stdout=subprocess.PIPE) as files:
                done = self.run("tar", "-x", "-C", tree, f"./{only}", stdin=files.stdout)
        else:
            done = self.run("dpkg-deb", "-x", file, tree)
        if done.returncode:
            raise Unavailable(f"{file.name} of {self.suite} {self.arch} cannot be unpacked"
                              + (f", or has no {only}" if only else "") + f": see {self.folder}/log")


def mirrors():
    """Returns the addresses of Debian's archives. When a suite reaches the end of its life, Debian moves it to a second
    archive. Many mirrors carry both archives."""
    mirror = os.environ.get("KSYSCALL_MIRROR") or system_mirror()
    if not mirror:
        raise Unavailable("this system's apt has no Debian mirror; name one in KSYSCALL_MIRROR")
    mirror = mirror.rstrip("/")
    return [mirror, f"{mirror}-archive/debian"] if mirror.endswith("/debian") else [mirror]


def system_mirror():
    """Returns the address of the first apt source that is Debian's own archive. If the system has never fetched
    its package lists, apt does not know the sources' origins. In that case, the path and the component identify the
    archive."""
    def ask(form, *options):
        return subprocess.run(["apt-get", "indextargets", *options, "--format", form, "Created-By: Packages"],
                              capture_output=True, text=True).stdout
    found = (re.search(r"^Debian\|Debian\|main\|(.*)", ask("$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)"), re.M)
             or re.search(r"^main\|(.*/debian(?:\.list)?)/?$",
                          ask("$(COMPONENT)|$(REPO_URI)", "--no-release-info"), re.M))
    return found and found[1]


def main():
    parser = argparse.ArgumentParser(prog="testing.packages", description=__doc__.splitlines()[0])
    parser.add_argument("suite")
    parser.add_argument("arch", choices=[*ARCHITECTURES, "source"])
    parser.add_argument("package", nargs="+")
    arguments = parser.parse_args()
    try:
        print(unpack(arguments.suite, arguments.arch, *arguments.package))
    except Unavailable as error:
        sys.exit(f"testing.packages: {error}")


if __name__ == "__main__":
    main()
