"""The check itself: detect the layout, read all records once, compare the faces with each other."""

import platform
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import PIL

from jaxfer.config import Decoder
from jaxfer.data.checking.duplicates import find_copies
from jaxfer.data.checking.faces import Faces
from jaxfer.data.checking.findings import KINDS, Check, SplitCount
from jaxfer.data.checking.near import find_lookalikes
from jaxfer.data.checking.scan import Scan
from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.layouts.fer2013.votes import Agreement
from jaxfer.data.reading.decoder import check_decoder, decoder_versions
from jaxfer.data.reading.progress import Watch, counting, unwatched
from jaxfer.data.releases import compare
from jaxfer.emotions import AFFECTNET_8
from jaxfer.version import __version__

MOST_SIZES = 20
"""How many sizes of photographs are listed; the others are counted together."""


def check(
    data_dir: Path,
    *,
    label_order: str | None = None,
    class_names: tuple[str, ...] = (),
    table: Path | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    follow_links: bool = False,
    val_dir: Path | None = None,
    test_dir: Path | None = None,
    decoder: Decoder = "pillow",
    watch: Watch = unwatched,
) -> Check:
    """Read every image of the data at `data_dir` once and return what is wrong with it.

    Memory stays bounded by some 300 bytes an image, and disk by a temporary kilobyte an image. The result is the same
    wherever the data lies and whatever the number of processors. Data of which no image can be used is no error: the
    result says why.

    Args:
        data_dir: The data, in any layout that `jaxfer.data.layouts.detect` recognises.
        label_order: What digits that name classes mean, a key of `jaxfer.emotions.LABEL_ORDERS`.
        class_names: What the data's own words for classes mean, as `jaxfer.emotions.declared` takes it.
        table: The table of images and labels that counts; None finds out.
        image_column: The name of its column of images; None looks for a usual one.
        label_column: Likewise, of labels.
        follow_links: Whether links out of the data's folder are followed.
        val_dir: The validation split, in any layout, where it does not lie with the rest of the data.
        test_dir: Likewise, the test split.
        decoder: What decodes JPEG files, as `DataConfig.decoder`.
        watch: Told how many images have been read, such as `jaxfer.reports.images_bar`.

    Raises:
        UserError: `detect` refuses the data, its layout cannot read it, there is no room for the temporary file, or the
            decoder is not installed.
    """
    check_decoder(decoder)
    options = ReadOptions(
        label_order=label_order,
        class_names=class_names,
        table=table,
        image_column=image_column,
        label_column=label_column,
        root=data_dir,
        follow_links=follow_links,
        val_dir=val_dir,
        test_dir=test_dir,
    )
    layout, match = detect(data_dir, options)
    scan = Scan(decoder)
    agreement = Agreement()
    records = agreement.counted(layout.read(match.place, options))
    with counting("reading images", watch=watch) as tally:  # a total would take reading all annotations twice
        faces = scan.run(records, tally)
        try:
            tally.begin("comparing images")
            found = (scan.problems, find_copies(faces), find_lookalikes(faces))
        finally:
            faces.thumbnails.close()
    splits = _count(faces)
    return Check(
        layout=layout,
        place=match.place,
        evidence=match.evidence,
        notes=(*match.notes, *agreement.notes),
        options=options,
        splits=splits,
        release=compare({name: (split.use, split.classes) for name, split in splits.items()}, layout.release),
        sizes=_most({f"{width}x{height}": count for (width, height), count in scan.sizes.items()}),
        modes=dict(_by_count(scan.modes)),
        problems={kind: [problem for each in found for problem in each.get(kind, ())] for kind in KINDS},
        versions={"jaxfer": __version__, "Python": platform.python_version(), "Pillow": PIL.__version__}
        | {"numpy": np.__version__}
        | decoder_versions(decoder),
    )


def _count(faces: Faces) -> dict[str, SplitCount]:
    classes = len(AFFECTNET_8)
    cells = np.bincount(faces.split * classes + faces.label, minlength=len(faces.splits) * classes)
    table = cells.reshape(-1, classes)  # [splits, classes]
    held = [index for index in range(classes) if table[:, index].any()]
    return {
        name: SplitCount(use, {AFFECTNET_8[index]: int(row[index]) for index in held})
        for (name, use), row in zip(faces.splits, table, strict=True)
    }


def _by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _most(sizes: Mapping[str, int]) -> dict[str, int]:
    ordered = _by_count(sizes)
    rest = Counter({"other": sum(count for _, count in ordered[MOST_SIZES:])})
    return dict(ordered[:MOST_SIZES]) | dict(+rest)
