"""Pages that need no other file: what reports of data and of runs share. All text is escaped here or by `escape`."""

import string
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources

from jaxfer.files import write

__all__ = ["escape", "facts", "fill", "scroll", "table", "tile", "write"]


def fill(package: str, template: str, **values: str) -> str:
    """Return the page that a template of a package becomes with these pieces of HTML, one of them its `title`.

    template: the name of the page's body, NAME.html. A NAME.css beside it adds to the style of all pages.
    """
    own, everyone = resources.files(package), resources.files("jaxfer.reports.page")
    style = own.joinpath(template.replace(".html", ".css"))
    return string.Template(everyone.joinpath("frame.html").read_text(encoding="utf-8")).substitute(
        title=values["title"],
        shared=everyone.joinpath("shared.css").read_text(encoding="utf-8"),
        style=style.read_text(encoding="utf-8") if style.is_file() else "",
        body=string.Template(own.joinpath(template).read_text(encoding="utf-8")).substitute(values),
    )


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Return a table of plain texts; the first text of a row is its heading, `kind` a class of the style sheet."""
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(text)}</td>" for text in rest)}</tr>'
        for first, *rest in rows
    )
    return scroll(caption, columns, body, kind)


def tile(name: str, value: str, *notes: str) -> str:
    """Return a number of the list under a page's headline, with a small line for each note."""
    lines = "".join(f"<small>{escape(note)}</small>" for note in notes)
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}{lines}</dd></div>"


def facts(caption: str, values: Mapping[str, str]) -> str:
    """Return a table of names and values."""
    return table(caption, [], values.items(), kind="facts")


def scroll(caption: str, columns: Sequence[str], body: str, kind: str, *, buttons: bool = False) -> str:
    """Return a table whose rows are HTML, in a box that scrolls where the page is narrow.

    buttons: whether the headings are buttons, for `sort.js`.
    """
    form = '<button type="button">{}</button>' if buttons else "{}"
    cells = "".join(f'<th scope="col">{form.format(escape(text))}</th>' for text in columns)
    head = f"<thead><tr>{cells}</tr></thead>" if columns else ""
    inside = f"<caption><span>{escape(caption)}</span></caption>{head}<tbody>{body}</tbody>"
    return f'<div class="scroll {kind}"><table>{inside}</table></div>'
