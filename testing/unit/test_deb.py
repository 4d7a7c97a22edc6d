"""Checks that debian/ agrees with the rest of the tree."""

import re
import shutil

import pytest

from testing import deb
from testing.build import ROOT, copy_sources, run


def text(path):
    return (ROOT / path).read_text()


def test_the_package_has_the_crates_version():
    version = re.search(r'^version = "(.*)"', text("Cargo.toml"), re.M)[1]
    assert re.match(r"ksyscall \((.*)-\d+\) ", text("debian/changelog"))[1] == version


def test_the_symbols_are_those_of_the_version_script():
    nodes = re.findall(r"^([A-Z]\S+) \{(.*?)^\}", text("src/capi/libksyscall.map"), re.M | re.S)
    wanted = {f"{node}@{node}" for node, _ in nodes}
    wanted |= {f"{name}@{node}" for node, body in nodes for name in re.findall(r"^\t(\w+);", body, re.M)}
    [listed] = re.findall(r"^libksyscall\.so\.1 .*\n((?: .*\n)*)", text("debian/libksyscall1.symbols"), re.M)
    # syscall() has no version, and not every architecture exports it.
    wanted.add("syscall@Base")
    assert {re.sub(r"\(.*\)", "", line).split()[0] for line in listed.splitlines()} == wanted


def test_each_installed_file_has_its_package(tmp_path):
    run("make", "-s", "install", "CLI=yes", f"DESTDIR={tmp_path}", "PREFIX=/usr", "LIBDIR=/usr/lib/here")
    lists = "".join(file.read_text() for file in ROOT.glob("debian/*.install")).split()
    files = {file for file in tmp_path.rglob("*") if not file.is_dir()}
    packaged = {file for path in lists for found in tmp_path.glob(path)
                for file in ([found] if not found.is_dir() else found.rglob("*"))}
    assert files
    assert files - packaged == set()
    assert all(any(tmp_path.glob(path)) for path in lists)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this tree is not a git work tree")
def test_the_sources_are_the_files_that_git_tracks_or_would_add(tmp_path):
    copy_sources(tmp_path)
    assert (tmp_path / "debian/rules").stat().st_mode & 0o111
    assert not (tmp_path / "target").exists()


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is missing")
def test_an_older_package_differs_in_version_and_file(tmp_path):
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text("Package: libksyscall1\nVersion: 1.0.0-1\nArchitecture: all\n"
                                         "Maintainer: x <x@x.invalid>\nDepends: other (= 1.0.0-1)\nDescription: x\n")
    folder = tree / "usr/lib/here"
    folder.mkdir(parents=True)
    (folder / "libksyscall.so.1.0.0").touch()
    (folder / "libksyscall.so.1").symlink_to("libksyscall.so.1.0.0")
    package = tmp_path / "libksyscall1.deb"
    run("dpkg-deb", "--build", tree, package)
    deb.older([package], tmp_path / "older")
    assert run("dpkg-deb", "-f", tmp_path / "older" / package.name, "Version", "Depends").splitlines() == [
        "Version: 0.9.0-1", "Depends: other (= 0.9.0-1)"]
    listed = run("dpkg-deb", "-c", tmp_path / "older" / package.name)
    assert "libksyscall.so.1 -> libksyscall.so.0.9.0" in listed
    assert "so.1.0.0" not in listed
