import os
import subprocess

from testing import checks

PAGE = """# A page: `code` & [more](b.md)
[here](#a-page-code--more) [there](b.md) [twice](b.md#one-1) [by hand](b.md#own)
`[no](link)` [web](https://example.org/none.md)
```
[no](link)
# no heading
```
[none](#no-heading) [gone](gone.md) [lost](b.md#two)
"""


def test_broken_links_are_found(tmp_path, monkeypatch):
    (tmp_path / "a.md").write_text(PAGE)
    (tmp_path / "b.md").write_text('# One\n## One\n<a id="own"></a>\n')
    subprocess.run("git init -q . && git add .", shell=True, cwd=tmp_path, check=True)
    if os.geteuid() == 0:
        # git refuses to work in another user's tree, unless an option or the user's configuration allows it.
        os.chown(tmp_path, 1, 1)
        os.chown(tmp_path / ".git", 1, 1)
        monkeypatch.setenv("HOME", str(tmp_path))
    found = list(checks.broken_links(tmp_path))
    assert [line.split(":")[1].strip() for line in found] == ["#no-heading", "gone.md", "b.md#two"]


def test_a_crate_that_requires_a_newer_rust_is_reported(monkeypatch):
    assert list(checks.newer_crates()) == []
    monkeypatch.setattr(checks, "version", lambda text: (text != "1.85", 0))
    assert "and Cargo.toml promises 1.85" in next(checks.newer_crates())
