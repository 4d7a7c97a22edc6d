"""Checks that links in the docs resolve, and that every dependency supports the oldest Rust version
that Cargo.toml allows.

    python3 -m testing.checks
"""

import json
import re
import sys
import tomllib
import unicodedata

from testing.build import ROOT, git_files, run

# [text](target)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.M | re.S)
HEADING = re.compile(r"^#+ +(.*?) *#*$", re.M)


def anchor(heading):
    """Returns GitHub's anchor for a heading: lower-case letters, digits, - and _."""
    text = LINK.sub(lambda link: link[0][1:link[0].index("]")], heading).lower()
    return "".join("-" if c == " " else c for c in text
                   if c in " -_" or unicodedata.category(c)[0] in "LN")


def anchors(page):
    """Returns a page's anchors: one for each heading, numbered if the name repeats, and the explicit anchors."""
    text, counts, found = page.read_text(), {}, set()
    for heading in HEADING.findall(re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)):
        name = anchor(heading)
        number = counts[name] = counts.get(name, -1) + 1
        found.add(f"{name}-{number}" if number else name)
    return found | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))


def broken_links(root=ROOT):
    pages = [root / name for name in git_files("*.md", root=root)]
    for page in pages:
        for target in LINK.findall(CODE.sub("", page.read_text())):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, part = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists():
                yield f"{page.relative_to(root)}: {target}: there is no {path}"
            elif part and file.suffix == ".md" and part not in anchors(file):
                yield f"{page.relative_to(root)}: {target}: there is no heading of that name"


def version(text):
    return tuple(map(int, text.split(".")[:2]))


def newer_crates():
    """Yields an error for each crate that requires a newer Rust than Cargo.toml declares. clippy's lint
    `incompatible_msrv` reports uses of newer items in the standard library."""
    oldest = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["rust-version"]
    metadata = json.loads(run("cargo", "metadata", "--locked", "--format-version=1", "--all-features",
                              "--filter-platform", "x86_64-unknown-linux-gnu"))
    used = {node["id"] for node in metadata["resolve"]["nodes"]}
    for package in metadata["packages"]:
        if package["id"] in used and version(package["rust_version"] or "1.0") > version(oldest):
            yield (f"{package['name']} {package['version']} needs Rust {package['rust_version']}, "
                   f"and Cargo.toml promises {oldest}")


if __name__ == "__main__":
    sys.exit("\n".join([*broken_links(), *newer_crates()]) or 0)
