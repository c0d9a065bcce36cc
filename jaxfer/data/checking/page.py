"""A check as one self-contained HTML page: counts, problems with contact sheets, and what to do next."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jaxfer.data.checking.contact import pictures, sheet, worst
from jaxfer.data.checking.findings import Check, Problem
from jaxfer.data.checking.wording import KINDS, NOTHING_WRONG, in_short, next_steps, printable
from jaxfer.reports import page
from jaxfer.reports.page import escape, table

MOST_LISTED = 100
"""Problems of a kind that the page lists; the JSON has all of them."""


def write(check: Check, path: Path) -> None:
    """See `jaxfer.data.checking.write_page`."""
    page.write(printable(render(check)), path)


def render(check: Check) -> str:
    """Return the page as HTML text that needs no other file."""
    return page.fill(
        "jaxfer.data.checking",
        "page.html",
        title=escape(f"Check of {check.place.name}: {check.images:,} usable images"),
        place=escape(str(check.place)),
        images=f"{check.images:,}",
        layout=escape(f"Read as “{check.layout.name}”: it {check.evidence}."),
        release=escape(check.release.summary),
        tiles=_tiles(check),
        steps=_steps(check),
        splits=_splits(check),
        problems=_problems(check),
        pixels=table("Sizes of the photographs.", ["Size", "Images"], _rows(check.sizes))
        + table("Modes of their pixels, by Pillow's names.", ["Mode", "Images"], _rows(check.modes)),
        versions=table("Decoded and compared with", ["Library", "Version"], check.versions.items()),
    )


def _tiles(check: Check) -> str:
    return "".join(
        f'<div><dt>{KINDS[kind].title}</dt><dd><a href="#{kind}">{len(problems):,}</a></dd></div>'
        for kind, problems in check.problems.items()
        if problems
    )


def _steps(check: Check) -> str:
    steps = "".join(f"<li>{_with_code(step)}</li>" for step in next_steps(check))
    return f"<ol>{steps}</ol>" if steps else f"<p>{NOTHING_WRONG}</p>"


def _with_code(text: str) -> str:
    return re.sub("`(.+?)`", r"<code>\1</code>", escape(text))


def _splits(check: Check) -> str:
    columns, rows = ["Class"], {}
    for name, split in check.splits.items():
        columns.append(f"{name} ({split.use})")
        published = check.release.published.get(name)
        columns += ["Published", "Difference"] if published else []
        for label, count in {**split.classes, "all": split.images}.items():
            row = rows.setdefault(label, [label])
            row.append(f"{count:,}")
            if published:
                expected = sum(published.values()) if label == "all" else published.get(label, 0)
                row += [f"{expected:,}", f"{count - expected:+,}" if count != expected else "0"]
    return table("Usable images by split and class.", columns, rows.values())


def _problems(check: Check) -> str:
    found = pictures(check)
    return "".join(
        f'<section id="{kind}"><h2>{KINDS[kind].title}: {len(problems):,}</h2>'
        f"<p>{escape(KINDS[kind].meaning)}</p>"
        f"{sheet(worst(check, kind), found)}{_listed(problems)}</section>"
        for kind, problems in check.problems.items()
        if problems
    )


def _listed(problems: Sequence[Problem]) -> str:
    shown = problems[:MOST_LISTED]
    rows = ([problem.path, in_short(problem), problem.split, problem.label] for problem in shown)
    listed = table(
        f"{len(shown):,} of {len(problems):,}. The JSON of the check has all of them.",
        ["Image or row", "What is wrong", "Split", "Label"],
        rows,
        kind="listed",
    )
    return f"<details><summary>List</summary>{listed}</details>"


def _rows(counts: Mapping[str, int]) -> Iterable[Sequence[str]]:
    return ([name, f"{count:,}"] for name, count in counts.items())
