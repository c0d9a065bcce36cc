"""The words that the command line had in the release before, taken for one release more, with a note."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence

WORDS = {"--preset": {"seed": "published"}, "--variant": {"seed": "published"}}
"""Values that have another name now, by flag."""

FLAGS = {
    "--affect-weight": ["--head-weight"],
    "--valence-arousal": ["--heads", "affect"],
    "--no-valence-arousal": ["--heads"],
}
"""Flags that have another name now."""

FLAGS_OF = {"evaluate": {"--flip": ["--views", "flip"], "--no-flip": ["--views", "one"]}}
"""Flags that have another name now in one command alone, by its verb."""


def with_new_names(arguments: Sequence[str]) -> list[str]:
    """Return arguments in today's words, having said on the standard error which of them are old.

    >>> with_new_names(["train", "--preset", "published", "--variant=resnet18"])
    ['train', '--preset', 'published', '--variant=resnet18']
    """
    found: list[str] = []
    flags = FLAGS | FLAGS_OF.get(arguments[0], {}) if arguments else FLAGS
    for old, new in _pairs(arguments, flags):
        if old != new:
            print(f"note: {' '.join(old)} is {' '.join(new)} now; the next release knows no other", file=sys.stderr)
        found += new
    return found


def _pairs(arguments: Sequence[str], flags: Mapping[str, list[str]]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the arguments, a flag with the value that is looked at, as they are and in today's words."""
    left = list(arguments)
    while left:
        name, equals, value = left[0].partition("=")
        flag = name.replace("_", "-")
        old, left = left[:1], left[1:]
        if flag in flags:
            new = flags[flag]
            yield old, [*new[:-1], new[-1] + equals + value]
        elif flag in WORDS or flag == "--over":
            if not equals and left:
                old, value, left = [name, left[0]], left[0], left[1:]
            new = _over(value) if flag == "--over" else WORDS[flag].get(value, value)
            yield old, [name + equals + new] if equals else [name, new][: len(old)]
        else:
            yield old, old


def _over(text: str) -> str:
    """Return what --over says, FIELD=VALUES, in today's words."""
    field, equals, values = text.partition("=")
    match field.replace("-", "_").rpartition(".")[2]:
        case "affect_weight":
            field = "head_weight"
        case "valence_arousal":
            field = "heads"
            for truth, heads in (("true", '["affect"]'), ("false", "[]")):
                values = re.sub(truth, heads, values, flags=re.IGNORECASE)
        case "variant":
            values = re.sub(r"(?<![\w:.])seed(?![\w:.])", "published", values)
    return field + equals + values
