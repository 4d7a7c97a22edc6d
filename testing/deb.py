"""Builds and checks the tree's Debian packages and installs them in clean Debian roots.

    python3 -m testing.deb [SUITE...]

leaves the packages in build/deb/SUITE. Each root stays in the cache. Commands run without a network, on a temporary
layer above the root. Outside the root, Cargo fetches the crates that Cargo.lock lists.
"""

import argparse
import functools
import hashlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from testing import build, packages
from testing.build import BUILD, BuildError, run
from testing.packages import CACHE, Unavailable, say
from testing.targets import SUITES

OUT = BUILD / "deb"
# The suites whose Rust is recent enough to build the packages.
RELEASES = ["bookworm", "trixie"]
# Debian packages with the build and check tools (except Rust) and the dependencies of examples/count.c.
TOOLS = ["build-essential", "clang", "debhelper", "lintian", "libbpf-dev", "libelf-dev", "pkgconf", "zlib1g-dev"]

# This script runs in a separate mount namespace, so its mounts disappear when it ends.
LAYER = """set -e
tree=$1 shared=$2 layer=$3 script=$4
mount -t tmpfs tmpfs "$layer"
mkdir "$layer/upper" "$layer/work" "$layer/root"
mount -t overlay -o "lowerdir=$tree,upperdir=$layer/upper,workdir=$layer/work" overlay "$layer/root"
mount --bind "$shared" "$layer/root/mnt"
mount -t proc proc "$layer/root/proc"
exec chroot "$layer/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 sh -ec "$script"
"""

# Builds the packages twice. The second build uses a different folder name, time zone and umask.
BUILD_TWICE = """
for folder in /build/ksyscall /srv/elsewhere/another-name; do
    mkdir -p "$(dirname "$folder")"
    cp -r /mnt/source "$folder"
    cd "$folder"
    dpkg-buildpackage -us -uc -b
    mkdir -p "/mnt/$(basename "$folder")"
    cp ../*.deb ../*.changes ../*.buildinfo "/mnt/$(basename "$folder")"
    export TZ=Asia/Tokyo
    umask 027
done
"""

SIZE = """
dpkg-deb -x /mnt/ksyscall/libksyscall1_*.deb /tmp/tree
stat -c %s /tmp/tree/usr/lib/*/libksyscall.so.1.*
"""

LINTIAN = "cd /mnt/ksyscall; lintian --allow-root --fail-on error --tag-display-limit 0 *.changes"

# Builds one program with the shared libraries, and one with the static libraries.
USE = """
dpkg -i /mnt/ksyscall/libksyscall*.deb > /dev/null
mkdir -p /tmp/use/debian
cd /tmp/use
cc -Wall -Wextra -Werror /mnt/source/examples/count.c -o count $(pkg-config --cflags --libs libksyscall) -lbpf
printf 'Source: use\\n\\nPackage: use\\nArchitecture: any\\n' > debian/control
dpkg-shlibdeps -O ./count
cc -Wall -Wextra -Werror /mnt/source/examples/count.c -o static $(pkg-config --cflags --libs libksyscall-static) \
    -l:libbpf.a -lelf -lz
nm static | grep ' T __wrap_bpf_program__attach_ksyscall$'
"""

# Lists all files except dpkg's records, mounts and temporary files.
FILES = """
files() {
    find / '(' -path /dev -o -path /mnt -o -path /proc -o -path /sys -o -path /tmp -o -path /var/cache/ldconfig \\
        -o -path /var/lib/dpkg -o -path /var/log ')' -prune -o -print | sort
}
"""

# A program runs with the library preloaded by its SONAME while the package is replaced and removed.
INSTALL = FILES + """
files > /tmp/before
dpkg -i /mnt/older/*.deb
dpkg -s libksyscall1 | grep '^Version: 0.9'
mkfifo /tmp/loaded /tmp/go
LD_PRELOAD=libksyscall.so.1 sh -c 'echo > /tmp/loaded; read line < /tmp/go; cat /proc/$$/maps > /tmp/maps' &
read line < /tmp/loaded
dpkg -i /mnt/ksyscall/*.deb
dpkg -s libksyscall1 | grep "^Version: $(cat /mnt/version)\\$"
[ "$(LD_PRELOAD=libksyscall.so.1 cat /proc/self/maps | grep -c libksyscall.so)" -gt 0 ]
[ -z "$(LD_PRELOAD=libksyscall.so.1 cat /dev/null 2>&1)" ]
[ -z "$(find / -xdev -name 'libksyscall*0.9*' -not -path '/mnt/*')" ]
dpkg --purge $(dpkg-query -W -f '${Package}\\n' '*ksyscall*')
echo > /tmp/go
wait $!
grep libksyscall.so.0.9 /tmp/maps
files | diff /tmp/before -
! dpkg-query -W '*ksyscall*'
"""


def root(suite, *include):
    """Returns a Debian root with these packages."""
    tree = CACHE / "roots" / f"{suite}-{packages.folder_name(include) or 'minimal'}"
    with packages.locked(Path(f"{tree}.lock")):
        if not tree.exists():
            if not shutil.which("debootstrap"):
                raise Unavailable("debootstrap is missing: apt install debootstrap")
            say(f"making a tree of {suite} with {' '.join(include) or 'no more than a minimum'} (once)")
            new = Path(f"{tree}.new")
            shutil.rmtree(new, ignore_errors=True)
            run("debootstrap", "--variant=minbase", suite, new, packages.mirrors()[0])
            if include:
                # debootstrap itself does not resolve virtual packages.
                run("chroot", new, "apt-get", "-qq", "install", "-y", "--no-install-recommends", *include,
                    env={"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"})
            run("chroot", new, "apt-get", "clean")
            new.rename(tree)
    return tree


def inside(tree, shared, script):
    """Runs a script on a fresh layer over a root, with the folder `shared` mounted at /mnt; returns the output."""
    with tempfile.TemporaryDirectory(prefix="ksyscall.") as layer:
        return run("unshare", "--mount", "--net", "sh", "-c", f"exec 2>&1\n{LAYER}", "-", tree, shared, layer, script)


def older(debs, folder):
    """Repackages the packages as version 0.9.0, with one file renamed."""
    folder.mkdir()
    for deb in debs:
        tree = folder / deb.stem
        run("dpkg-deb", "--raw-extract", deb, tree)
        control = tree / "DEBIAN/control"
        control.write_text(re.sub(r"^(Version: |Depends: .*\(= )[^-]*", r"\g<1>0.9.0", control.read_text(), flags=re.M))
        for library in tree.glob("usr/lib/*/*.so.[0-9]*.*"):
            library.rename(library.with_name(re.sub(r"\d+\.\d+\.\d+$", "0.9.0", library.name)))
        for link in tree.glob("usr/lib/*/*.so.?"):
            target = re.sub(r"\d+\.\d+\.\d+$", "0.9.0", str(link.readlink()))
            link.unlink()
            link.symlink_to(target)
        run("dpkg-deb", "--root-owner-group", "--build", tree, folder / deb.name)
        shutil.rmtree(tree)


def digests(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.deb")}


def check(suite, source):
    """Builds and tests the packages for a suite; yields a description of each passed check."""
    tools = root(suite, *SUITES[suite].rust[:2], *TOOLS)
    clean = root(suite)
    with tempfile.TemporaryDirectory(prefix="ksyscall.") as work:
        shared = Path(work)
        shutil.copytree(source, shared / "source")
        say(f"building the packages for {suite} twice, which takes several minutes")
        inside(tools, shared, BUILD_TWICE)
        first, second = digests(shared / "ksyscall"), digests(shared / "another-name")
        if not first or first != second:
            raise BuildError(f"two builds in two folders differ: {first} {second}")
        debs = sorted((shared / "ksyscall").glob("*.deb"))
        yield "two builds, in two folders, are the same bytes: " + ", ".join(
            f"{deb.name} ({deb.stat().st_size:,})" for deb in debs)

        size = inside(tools, shared, SIZE).strip()
        if int(size) > 160 * 1024:
            raise BuildError(f"the packaged library has {size} bytes, more than 160 KiB")
        yield f"the packaged library has {int(size):,} bytes"

        said = inside(tools, shared, LINTIAN)
        yield f"lintian finds no errors, {len(re.findall('^W:', said, re.M))} warnings" + f"\n{said}".rstrip()

        needs = inside(tools, shared, USE)
        if not re.search(r"shlibs:Depends=.*\blibksyscall1 \(>= 1\.0\.0\)", needs):
            raise BuildError(f"the program depends on something else: {needs}")
        yield "a program builds with it, shared and static, and depends on libksyscall1 (>= 1.0.0)"

        version = debs[0].name.split("_")[1]
        (shared / "version").write_text(version)
        older(debs, shared / "older")
        inside(clean, shared, INSTALL)
        yield (f"installed, upgraded from 0.9.0 to {version} under a program that preloads it, and purged:"
               " no file is left")

        shutil.rmtree(OUT / suite, ignore_errors=True)
        shutil.copytree(shared / "ksyscall", OUT / suite)


def main():
    parser = argparse.ArgumentParser(prog="testing.deb", description=__doc__.splitlines()[0])
    parser.add_argument("suite", nargs="*", help=f"of {' '.join(RELEASES)}, which are all that are built by default")
    suites = parser.parse_args().suite or RELEASES
    if unknown := set(suites) - set(RELEASES):
        parser.error(f"no such suite: {' '.join(unknown)}")
    if os.geteuid() != 0:
        sys.exit("testing.deb: only root can make a tree of Debian and run things in it")
    show = functools.partial(print, flush=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="ksyscall.") as work:
        source = Path(work, "source")
        build.copy_sources_and_crates(source)
        for suite in suites:
            try:
                for holds in check(suite, source):
                    show(f"ok {suite}: {holds}")
            except (BuildError, Unavailable) as error:
                failed += 1
                show(f"FAILED {suite}: {error}")
    show(f"{len(suites) - failed} of {len(suites)} suites passed; their packages are in {OUT.relative_to(build.ROOT)}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
