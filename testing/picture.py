"""Draws docs/count.svg, the table of `ksyscall count` in a terminal, and docs/demo.svg, the output of
`make demo`. `make picture` runs this module.

The command runs on the console of a virtual machine while a shell makes system calls. The picture
shows the last table that the command printed.
"""

import re
import sys
from xml.sax.saxutils import escape

from testing import build, demo
from testing.build import ROOT
from testing.vm import Machine, end_by_signals

PICTURE, DEMO = ROOT / "docs/count.svg", ROOT / "docs/demo.svg"
COLUMNS, ROWS = 94, 18
COMMAND = "ksyscall count --all -d 6"
GUEST = f"""export PATH=/opt/bin:$PATH TERM=linux
stty -F /dev/console cols {COLUMNS} rows {ROWS}
sh -c 'while :; do find /usr/bin /sys/class/net /sys/class/tty >/dev/null; cat /init /none
    dd if=/dev/zero of=/tmp/x bs=4k count=64; usleep 2000
    rm -f /tmp/x /none; uname -a >/dev/null; sync; done' >/dev/null 2>&1 &
exec {COMMAND}
"""

# A character's width and height in pixels. Each word is scaled so that its characters have this width.
WIDTH, HEIGHT, MARGIN = 8.4, 19, 16
BARS = "▁▂▃▄▅▆▇█"
STYLE = """text { font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #d5dae1 }
text { white-space: pre }
.prompt { fill: #8fd17f } .head { fill: #7fb8e6; font-weight: bold } .error { fill: #f08a8a } .bar { fill: #e5c07b }"""


def tables(output):
    """Returns the tables that the terminal showed. Each table overwrites the previous one."""
    said = output.partition("counting")[2].partition("\n")[2].replace("\r", "")
    return [table.splitlines() for table in re.split(r"\x1b\[\d+F\x1b\[J", said)]


def words(line):
    """Returns (column, word) for each word in a line. Two or more blanks separate the words."""
    return [(m.start(), m[0]) for m in re.finditer(r"\S+(?: \S+)*", line)]


def text(column, row, word, kind=""):
    kind = f' class="{kind}"' if kind else ""
    return (f'<text x="{MARGIN + column * WIDTH:.1f}" y="{MARGIN + row * HEIGHT + 14}"'
            f' textLength="{len(word) * WIDTH:.1f}" lengthAdjust="spacingAndGlyphs"{kind}>{escape(word)}</text>')


def bar(column, row, character):
    height = (BARS.index(character) + 1) * (HEIGHT - 4) / len(BARS)
    return (f'<rect class="bar" x="{MARGIN + column * WIDTH:.1f}" y="{MARGIN + (row + 1) * HEIGHT - height:.1f}"'
            f' width="{WIDTH - 0.8:.1f}" height="{height:.1f}"/>')


def draw(lines):
    """Draws the command line and the table's lines as SVG."""
    shapes = [text(0, 0, f"# {COMMAND}", "prompt")]
    errors = lines[0].index("ERRORS") + len("ERRORS")
    for row, line in enumerate(lines, 1):
        shapes += [bar(column, row, c) for column, c in enumerate(line) if c in BARS]
        for column, word in words(re.sub(f"[{BARS}]", " ", line)):
            is_errors = column + len(word) == errors and word not in ("0", "-") and row < len(lines)
            shapes.append(text(column, row, word, "head" if row == 1 else "error" if is_errors else ""))
    return picture(f"{COMMAND}: calls, errors and times of each system call", COLUMNS, len(lines) + 1, shapes)


def draw_demo(lines):
    """Draws the output of `make demo`: counts in green if the program ran for every call, else in red."""
    shapes = [text(0, 0, "# make demo", "prompt")]
    for row, line in enumerate(lines, 1):
        is_head = line.startswith(("syscall ", "           | "))
        for column, word in words(line.replace("|", " ")):
            count = re.fullmatch(r"(\d+) of (\d+)", word)
            kind = "head" if is_head else ""
            if count:
                kind = "prompt" if count[1] == count[2] else "error"
            shapes.append(text(column, row, word, kind))
    return picture("make demo: libbpf alone, and libksyscall preloaded, linked and in Rust",
                   max(map(len, lines)), len(lines) + 1, shapes)


def picture(title, columns, rows, shapes):
    width, height = columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
        ' role="img">',
        f"<title>{title}</title>",
        f"<style>{STYLE}</style>", '<rect width="100%" height="100%" rx="8" fill="#1d2229"/>', *shapes,
        "</svg>"]) + "\n"


def main():
    end_by_signals()
    with Machine("trixie") as machine:
        machine.put(build.command(), "/opt/bin/ksyscall")
        [outcome] = machine.run([GUEST], 600)
    shown = tables(outcome.output)
    if outcome.status or len(shown) < 2:
        print(outcome.output, file=sys.stderr)
        return 1
    PICTURE.write_text(draw(shown[-2]))
    print("\n".join(shown[-2]))
    lines = "\n".join(demo.table(demo.guest(demo.programs()))).strip("\n").splitlines()
    DEMO.write_text(draw_demo(lines))
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
