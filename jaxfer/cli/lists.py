"""Flags of several names, which commas part as well as spaces: `--classes sad,happy` is `--classes sad happy`."""

from collections.abc import Sequence

LISTS = ("--classes", "--merge", "--class-names", "--freeze")
"""Those flags."""


def parted(arguments: Sequence[str]) -> list[str]:
    """Return arguments with each name of such a flag apart.

    >>> parted(["train", "--classes", "neutral,happy", "sad", "--merge=sad=low,fear=low", "--seed", "1,2"])
    ['train', '--classes', 'neutral', 'happy', 'sad', '--merge', 'sad=low', 'fear=low', '--seed', '1,2']
    """
    found: list[str] = []
    inside = False
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if argument.startswith("-"):
            inside = flag.replace("_", "-") in LISTS
        if not inside:
            found.append(argument)
        elif argument.startswith("-"):
            found += [flag, *_names(value)] if equals else [argument]
        else:
            found += _names(argument)
    return found


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
