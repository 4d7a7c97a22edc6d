import pytest

from testing import packages
from testing.packages import Unavailable, folder_name


def test_a_folder_is_named_after_its_content():
    assert folder_name(["libbpf1", "libbpf-dev", "libbpf1"]) == "libbpf-dev_libbpf1"
    assert folder_name(["linux-image-6.1"], "/usr/src") == "linux-image-6.1@usr-src"
    assert folder_name(["p" * 201]) == "5bc7994d0a571a718468c6edfc5c6928"


def test_cached_packages_are_not_fetched(monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "CACHE", tmp_path)
    (tmp_path / "debs/sid-amd64/libc6").mkdir(parents=True)
    assert packages.unpack("sid", "amd64", "libc6") == tmp_path / "debs/sid-amd64/libc6"
    (tmp_path / "kernels/sid-amd64").mkdir(parents=True)
    (tmp_path / "kernels/sid-amd64/vmlinuz-7").touch()
    assert packages.kernel("sid", "amd64").name == "vmlinuz-7"


def test_names_are_checked():
    with pytest.raises(ValueError, match=r"\.\./x"):
        packages.unpack("sid", "amd64", "../x")


def test_an_old_suite_comes_from_the_archive_beside_the_mirror(monkeypatch):
    monkeypatch.setenv("KSYSCALL_MIRROR", "file:/m/debian/")
    assert packages.mirrors() == ["file:/m/debian", "file:/m/debian-archive/debian"]
    monkeypatch.setenv("KSYSCALL_MIRROR", "file:/m")
    assert packages.mirrors() == ["file:/m"]


def test_an_unavailable_package_list_is_reported_with_apts_message(monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("KSYSCALL_MIRROR", f"file:{tmp_path}/none")
    with pytest.raises(Unavailable, match="no package list of sid amd64: .*none"):
        packages.unpack("sid", "amd64", "libc6")
