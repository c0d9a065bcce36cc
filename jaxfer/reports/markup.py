"""The HTML that only reports of runs are made of: figures, shaded tables and numbers."""

import base64
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from matplotlib.figure import Figure

from jaxfer.reports import figures
from jaxfer.reports.page import escape, scroll


def heat_table(caption: str, names: Sequence[str], counts: Sequence[Sequence[int]], *, shares: bool = False) -> str:
    """Return a confusion matrix [c, c], rows actual and columns predicted, each row shaded by its shares.

    shares: whether to show the shares of a row in percent in place of the counts.
    """
    body = ""
    for actual, row in zip(names, counts, strict=True):
        body += f'<tr><th scope="row">{escape(actual)}</th>'
        for predicted, count in zip(names, row, strict=True):
            share = count / max(sum(row), 1)
            hit = ' class="hit"' if predicted == actual else ""
            title = escape(f"{actual} taken for {predicted}: {count:,} of {sum(row):,}, {percent(share)}")
            shown = f"{100 * share:.0f}" if shares else f"{count:,}"
            body += f'<td{hit} style="--share:{share:.2f}" title="{title}">{shown}</td>'
        body += "</tr>"
    return scroll(caption, ["actual", *names], body, kind="confusion")


def noted_table(caption: str, columns: Sequence[str], rows: Iterable[tuple[str, Sequence[tuple[str, str]]]]) -> str:
    """Return a table of numbers with a note under each: rows of a heading and of (number, note) pairs."""
    body = ""
    for heading, cells in rows:
        body += f'<tr><th scope="row">{escape(heading)}</th>'
        for shown, note in cells:
            small = f"<small>{escape(note)}</small>" if note else ""
            body += f"<td>{escape(shown)}{small}</td>"
        body += "</tr>"
    return scroll(caption, columns, body, kind="noted")


def figure(draw: Callable[[str], Figure], alt: str, caption: str) -> str:
    """Return the figure that `draw` makes of an ink, once for light pages and once for dark ones."""
    light, dark = (
        "data:image/svg+xml;base64," + base64.b64encode(figures.to_svg(draw(ink)).encode()).decode()
        for ink in (figures.LIGHT_INK, figures.DARK_INK)
    )
    return (
        f'<figure><picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{escape(alt)}"></picture><figcaption>{escape(caption)}</figcaption></figure>'
    )


def percent(share: float | None) -> str:
    """Return a share of one in percent; None is what JSON has for NaN.

    >>> percent(0.4613), percent(None)
    ('46.1%', 'n/a')
    """
    return "n/a" if share is None else f"{share:.1%}"


def decimal(value: float | None) -> str:
    """Return a number with three decimals; None is what JSON has for NaN."""
    return "n/a" if value is None else f"{value:.3f}"


def number(measure: str, value: float | None) -> str:
    """Return a value of one of the fields of `Scores`: accuracies in percent."""
    return percent(value) if "accuracy" in measure else decimal(value)


def between(measure: str, bounds: Sequence[float | None]) -> str:
    """Return the bounds of an interval in words.

    >>> between("val_accuracy", (0.4257, 0.458)), between("r2", (-0.01, 0.02))
    ('42.6% to 45.8%', '-0.010 to 0.020')
    """
    low, high = bounds
    return f"{number(measure, low)} to {number(measure, high)}"


def setting(value: Any) -> str:
    """Return a value from a JSON file in words.

    >>> setting(None), setting([30, 40]), setting(0), setting(False)
    ('none', '30, 40', '0', 'no')
    """
    if isinstance(value, list):
        return ", ".join(map(setting, value))
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def duration(seconds: float) -> str:
    """Return a duration in words.

    >>> duration(7.25), duration(75.4), duration(8604.2)
    ('7.2 s', '1 min 15 s', '2 h 23 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"
