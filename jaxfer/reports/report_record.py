"""The parts of a report that say what its numbers come from: data, configuration, time and environment."""

from collections.abc import Mapping
from typing import Any

from jaxfer.reports.markup import duration, setting
from jaxfer.reports.page import facts, table

MOST_LISTED = 200
"""Unreadable images that the page lists; `summary.json` has all of them."""


def data(summary: Mapping[str, Any]) -> str:
    """Return where the images come from, and which were not used."""
    data, train, val = summary["data"], summary["train"], summary["val"]
    unreadable = data["unreadable"]
    html = facts(
        "Where the images come from, and how many were not used.",
        {
            "Source": data["source"],
            "Training images": f"{train['examples']:,} (“{train['split']}”)",
            "Validation images": f"{val['examples']:,} (“{val['split']}”)",
            **{f"Note {number}": warning for number, warning in enumerate(data["warnings"], 1)},
            **{f"Left out: {reason}": f"{count:,}" for reason, count in data["left_out"].items()},
            "Fingerprint": data["fingerprint"],
        },
    )
    if unreadable:
        shown = unreadable[:MOST_LISTED]
        caption = f"{len(shown):,} of {len(unreadable):,} unreadable images, and why."
        listed = table(caption, ["Image", "Reason"], shown, kind="facts")
        html += f"<details><summary>Unreadable images: {len(unreadable):,}</summary>{listed}</details>"
    return html


def configuration(config: Mapping[str, Any]) -> str:
    """Return every field of `config.json`, a table for each group."""
    groups = {name: value for name, value in config.items() if isinstance(value, dict)}
    run = {name: value for name, value in config.items() if name not in groups}
    return "".join(
        facts(name, {field: setting(value) for field, value in group.items()})
        for name, group in {"run": run, **groups}.items()
    )


def environment(summary: Mapping[str, Any]) -> str:
    """Return how long the run took, and on what."""
    seconds, steps = summary["seconds"], summary["steps"]
    time = {
        "Duration": duration(seconds),
        "Epochs": f"{summary['epochs']:,}",
        "Steps": f"{steps:,}",
        "Time per step": f"{1000 * seconds / max(steps, 1):.1f} ms",
    }
    environment = {name: setting(value) for name, value in summary["environment"].items()}
    return facts("Time of the run, evaluation included.", time) + facts("Versions and devices.", environment)
