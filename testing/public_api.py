"""Lists the crate's public items and their signatures for docs/public-api.txt.

    python3 -m testing.public_api

writes that file. The list of items comes from rustdoc. The signatures come from the source, because the format of
rustdoc's list differs between Rust versions.
"""

import json
import re

from testing import build
from testing.build import BUILD, ROOT, run

LISTING = ROOT / "docs/public-api.txt"
# The auto traits that stable code can name.
AUTO_TRAITS = ["RefUnwindSafe", "Send", "Sync", "Unpin", "UnwindSafe"]
# The attributes that are part of the API.
ATTRIBUTES = ["must_use", "non_exhaustive"]


def described():
    """Returns rustdoc's JSON description of the API. The JSON format is unstable; RUSTC_BOOTSTRAP makes stable Rust
    generate it."""
    out = BUILD / "public-api"
    run("cargo", "rustdoc", "--locked", "--quiet", "--lib", "--target-dir", out, "--", "-Zunstable-options",
        "--output-format=json", env={"RUSTC_BOOTSTRAP": "1", "RUSTDOCFLAGS": ""})
    return json.loads((out / "doc/ksyscall.json").read_text())


class Api:
    def __init__(self, crate):
        self.index = crate["index"]
        self.root = self.item(crate["root"])

    def item(self, key):
        return self.index[str(key)]

    def source(self, item):
        """Returns an item's source in one line, without comments and attributes."""
        span = item["span"]
        lines = (ROOT / span["filename"]).read_text().splitlines()[span["begin"][0] - 1:span["end"][0]]
        kept = [line.strip() for line in lines if not re.match(r"\s*(//|#\[)", line)]
        text = re.sub(r"([(<]) |,? ([)>])", r"\1\2", " ".join(kept))
        # Neither `mut` before an argument nor the module in a path is part of the API.
        text = re.sub(r"\b(?:super|crate)::(?:[a-z_]+::)*", "", text)
        return re.sub(r"(?<=[(,]) ?mut (?=\w+[:,)])| mut (?=\w+:)", lambda mut: " " * (mut[0][0] == " "), text)

    def listing(self):
        return [line for key in self.root["inner"]["module"]["items"] for line in self.used(self.item(key))]

    def used(self, item):
        """Returns the lines for an item in a module if the item is public. rustdoc's list excludes hidden items."""
        if "use" in item["inner"]:
            return self.lines(self.item(item["inner"]["use"]["id"]))
        return self.lines(item) if item["visibility"] == "public" else []

    def lines(self, item):
        [(kind, inner)] = item["inner"].items()
        words = [word for word in ATTRIBUTES if re.search(rf"\b{word}\b", json.dumps(item["attrs"]))]
        before = "".join(f"#[{word}] " for word in words)
        if kind == "module":
            return [line for key in inner["items"] for line in self.used(self.item(key))]
        if kind in ("struct", "enum", "union"):
            head = before + re.split(r"[{(;]", self.source(item))[0].strip()
            return [head, *sorted(f"    {line}" for line in self.members(kind, inner) + self.impls(inner["impls"]))]
        if kind == "variant":
            return [before + self.source(item).rstrip(",").strip()]
        if kind in ("struct_field", "assoc_type", "constant", "assoc_const"):
            return [before + re.split("[,;]$", self.source(item))[0].strip()]
        if kind == "function":
            return [before + re.split("[{;]", self.source(item))[0].strip()]
        # For any other kind of item, the whole source is the signature. The crate contains no such items yet.
        return [before + self.source(item)]

    def members(self, kind, inner):
        keys = inner["variants"] if kind == "enum" else (inner["kind"].get("plain") or {"fields": []})["fields"] \
            if isinstance(inner["kind"], dict) else []
        return [line for key in keys for line in self.lines(self.item(key))]

    def impls(self, keys):
        """Returns a type's inherent functions and the traits that it implements."""
        found = []
        for item in map(self.item, keys):
            inner = item["inner"]["impl"]
            if inner["blanket_impl"]:
                continue
            trait, items = inner["trait"], [self.item(key) for key in inner["items"]]
            if not trait:
                found += [line for each in items if each["visibility"] == "public" for line in self.lines(each)]
                continue
            # Before Rust 1.88 the field was called `name`.
            name = trait.get("path") or trait.get("name")
            is_found_by_rustc = inner.get("is_synthetic", inner.get("synthetic"))
            if name == "StructuralPartialEq" or (is_found_by_rustc and name not in AUTO_TRAITS):
                continue
            head = self.source(item).partition("{")[0].strip() if item["span"] else ""
            types = [line for each in items if "assoc_type" in each["inner"] for line in self.lines(each)]
            found.append((head if head.startswith("impl") else f"impl {name}") + "".join(f" {{ {t} }}" for t in types))
        return found


def text():
    return "".join(f"{line}\n" for line in Api(described()).listing())


def main():
    LISTING.write_text(text())
    build.packages.say(f"made {LISTING.relative_to(ROOT)}; `git diff` shows what has changed")


if __name__ == "__main__":
    main()
