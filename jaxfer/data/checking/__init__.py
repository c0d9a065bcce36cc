"""What is wrong with a data set: what cannot be read or used, copies and leaks, and how it differs from its release.

found = check(Path("AffectNet"))
json.dumps(found.to_dict())

`jaxfer.reports` prints it, and writes it as a page.
"""

from typing import TYPE_CHECKING, Any

from jaxfer.data.checking.findings import KINDS, Check, Problem, SplitCount
from jaxfer.data.releases import Comparison

if TYPE_CHECKING:
    from jaxfer.data.checking.run import check

__all__ = ["KINDS", "Check", "Comparison", "Problem", "SplitCount", "check"]


def __getattr__(name: str) -> Any:
    # Imported when it is used: whoever reads what was found does without Pillow.
    if name != "check":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from jaxfer.data.checking.run import check

    return check
