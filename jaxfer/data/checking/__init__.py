"""What is wrong with a data set: what cannot be read or used, copies and leaks, and how it differs from its release.

found = check(Path("AffectNet"))
print_check(found)
write_page(found, Path("check.html"))
json.dumps(found.to_dict())
"""

from pathlib import Path

from jaxfer.data.checking.findings import KINDS, Check, Problem, SplitCount
from jaxfer.data.releases import Comparison

__all__ = ["KINDS", "Check", "Comparison", "Problem", "SplitCount", "check", "print_check", "write_page"]


def check(data_dir: Path, *, label_order: str | None = None, progress: bool = False) -> Check:
    """Read every image of the data at `data_dir` once and return what is wrong with it.

    Memory stays bounded by some 300 bytes an image, and disk by a temporary kilobyte an image. The result is the same
    wherever the data lies and whatever the number of processors.

    label_order: what digits that name classes mean, a key of `jaxfer.emotions.LABEL_ORDERS`.
    progress: whether to draw, on a terminal, how many images have been read.

    Raises `UserError` where `jaxfer.data.layouts.detect` does, for data that its layout cannot read, and where there
    is no room for the temporary file. Data of which no image can be used is no error: the result says why.
    """
    # Imported here so that whoever imports the data room does without Pillow and rich until they check something.
    from jaxfer.data.checking.run import run

    return run(data_dir, label_order=label_order, progress=progress)


def print_check(check: Check) -> None:
    """Print what was found: the layout, the splits, the problems with examples, and what to do next."""
    from jaxfer.data.checking.summary import print_summary

    print_summary(check)


def write_page(check: Check, path: Path) -> None:
    """Write what was found as one HTML page that needs no other file, with the faces in question in small.

    Reads the records of the data once more, to decode the faces that the page shows.

    Raises `UserError` where the page cannot be written, or the data is no longer there.
    """
    from jaxfer.data.checking.page import write

    write(check, path)
