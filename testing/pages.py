"""Writes results into the pages in docs/. A result replaces the text between the lines `<!-- NAME -->` and
`<!-- end of NAME -->`."""


def row(*cells):
    return "| " + " | ".join(cells) + " |\n"


def table(head, rows):
    return row(*head) + "|" + "---|" * len(head) + "\n" + "".join(row(*cells) for cells in rows)


def with_results(text, results):
    """Replaces results in a page's text; returns the new text. `results` maps names to texts."""
    for name, result in results.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"the page has no place for {name}")
        text = before + begin + result + end + after
    return text


def write(page, results):
    page.write_text(with_results(page.read_text(), results))
