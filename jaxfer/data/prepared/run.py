"""Prepare a data set: read it once, cut out and resize its faces, and keep them with a record of what was done."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jaxfer.data.layouts import detect
from jaxfer.data.layouts.prepared import NAME
from jaxfer.data.prepared.options import Options
from jaxfer.data.prepared.workplace import workplace
from jaxfer.data.progress import counting
from jaxfer.errors import UserError
from jaxfer.files import refuse_links

if TYPE_CHECKING:
    from jaxfer.data.prepared.source import RawFaces


@dataclass(frozen=True)
class Prepared:
    """A prepared data set.

    path: its folder, for `tfds.builder_from_directory` and `jaxfer.data.layouts.detect`.
    name: for `tfds.data_source(name, data_dir=out)`.
    metadata: what `metadata.json` in the folder says: where the faces come from, how many there are, what was left out.
    """

    path: Path
    name: str
    metadata: dict[str, Any]


def prepare(
    data_dir: Path,
    out: Path,
    *,
    num_classes: int = 7,
    image_size: int = 64,
    margin: float = 0.0,
    label_order: str | None = None,
    leaks: Literal["drop", "keep"] = "drop",
    duplicates: Literal["keep", "drop"] = "keep",
    progress: bool = False,
) -> Prepared:
    """Cut out the faces of a data set, resize them, and keep them below `out` as a tfds data set.

    It has the splits train, validation and test, as far as the raw data has usable images of them, in the order in
    which the raw data is read. Whatever ends it early leaves nothing behind that could be taken for a data set.

    data_dir: the raw data, in any layout that `jaxfer.data.layouts.detect` recognises.
    num_classes: 7 for AffectNet's expressions without contempt, 8 with it.
    image_size: height and width of the prepared images, in pixels.
    margin: where the raw data has boxes, how much to add on each side, as a share of the box's longer side.
    label_order: what digits in folder names mean, a key of `jaxfer.emotions.LABEL_ORDERS`.
    leaks: whether to drop training images that are, once prepared, pixel by pixel a validation or test image.
    duplicates: whether to drop images that are such a copy of an earlier one of their split.
    progress: whether to show how far it is, on standard error.

    Raises `UserError` where `detect` does, for options out of range, for data without a usable image, where `out`
    lies in `data_dir`, holds the data set already or cannot be written.
    """
    # Imported here so that the data room can be imported without Pillow.
    from jaxfer.data.prepared.source import RawFaces

    options = Options(
        num_classes=num_classes,
        image_size=image_size,
        margin=margin,
        label_order=label_order,
        leaks=leaks,
        duplicates=duplicates,
    )
    if out.resolve().is_relative_to(data_dir.resolve()):
        raise UserError(f"{out} lies in the data itself, {data_dir}: pass an --out beside it")
    layout, match = detect(data_dir)
    target = out / NAME / options.config_name
    try:
        with (
            workplace(out / f".preparing-{options.config_name}") as room,
            counting("preparing", shown=progress) as tally,
        ):
            refuse_links(target.parent, target)
            # Not sooner: until now, another process may have been about to finish it.
            if target.exists():
                raise UserError(f"{target} exists already: remove it, or pass another --out")
            faces = RawFaces(layout, match.place, options, tally)
            version = _write(faces, room)
            target.parent.mkdir(exist_ok=True)
            (room / NAME / options.config_name).rename(target)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{out} cannot be written ({reason}): free disk space or correct the permissions") from error
    return Prepared(target / version, f"{NAME}/{options.config_name}", faces.metadata())


def _write(faces: "RawFaces", room: Path) -> str:
    """Write the data set below `room` and return its version."""
    # Imported here because it takes longer than reading a small data set.
    from jaxfer.data.prepared.builder import FacialExpressions

    builder = FacialExpressions.create(faces.options, room, faces)
    builder.download_and_prepare()
    return str(builder.version)
