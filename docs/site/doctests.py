"""What docstrings hold as `>>>` examples, shown as the programs they are."""

import re
from typing import Any

from griffe import Extension, Object

EXAMPLE = re.compile(r"(?:^>>> .*\n?)(?:^(?!\s*$).*\n?)*", re.MULTILINE)


class Doctests(Extension):
    """Fence each example."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of an object as it is read."""
        if obj.docstring and ">>> " in obj.docstring.value:
            obj.docstring.value = EXAMPLE.sub(fenced, obj.docstring.value)


def fenced(match: re.Match[str]) -> str:
    """Return an example as a block of code."""
    return f"```pycon\n{match[0].rstrip()}\n```\n"
