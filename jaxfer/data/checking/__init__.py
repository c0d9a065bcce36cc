"""What is wrong with a data set: what cannot be read or used, copies and leaks, and how it differs from its release.

found = check(Path("AffectNet"))
json.dumps(found.to_dict())

`jaxfer.reports` prints it, and writes it as a page.
"""

from pathlib import Path

from jaxfer.data.checking.findings import KINDS, Check, Problem, SplitCount
from jaxfer.data.reading.progress import Watch, unwatched
from jaxfer.data.releases import Comparison

__all__ = ["KINDS", "Check", "Comparison", "Problem", "SplitCount", "check"]


def check(data_dir: Path, *, label_order: str | None = None, watch: Watch = unwatched) -> Check:
    """Read every image of the data at `data_dir` once and return what is wrong with it.

    Memory stays bounded by some 300 bytes an image, and disk by a temporary kilobyte an image. The result is the same
    wherever the data lies and whatever the number of processors.

    label_order: what digits that name classes mean, a key of `jaxfer.emotions.LABEL_ORDERS`.
    watch: told how many images have been read, such as `jaxfer.reports.images_bar`.

    Raises `UserError` where `jaxfer.data.layouts.detect` does, for data that its layout cannot read, and where there
    is no room for the temporary file. Data of which no image can be used is no error: the result says why.
    """
    # Imported here so that whoever imports the data room does without Pillow and rich until they check something.
    from jaxfer.data.checking.run import run

    return run(data_dir, label_order=label_order, watch=watch)
