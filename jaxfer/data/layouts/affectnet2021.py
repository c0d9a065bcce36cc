"""AffectNet's release of March 2021: cropped 224x224 images with one small npy file for each annotation.

    train_set/images/<N>.jpg   train_set/annotations/<N>_exp.npy   <N>_val.npy   <N>_aro.npy   <N>_lnd.npy
    val_set/ likewise

Expression, valence and arousal are arrays of one Unicode string; arrays of one number are read too.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxfer.data.layouts.folder import Folder, images
from jaxfer.data.layouts.record import OTHER_CLASS, UNLABELLED, Layout, Match, ReadOptions, Record, Split
from jaxfer.data.published import AFFECTNET_2021
from jaxfer.emotions import AFFECTNET_8

SPLITS: dict[str, Split] = {"val_set": "val", "train_set": "train"}

NO_ANNOTATION = "no annotation file"
"""The reason to leave out an image without its `_exp.npy`."""

OTHER_CODES = (8, 9, 10)
"""Codes of rows that show no expression: none, uncertain, no face."""


def _find(folder: Folder) -> list[Match]:
    splits = [name for name in SPLITS if name in folder.folders and _is_split(folder.path / name)]
    if not splits:
        return []
    return [Match(folder.path, f"has images and annotations in {' and '.join(splits)}")]


def _is_split(path: Path) -> bool:
    return (path / "images").is_dir() and (path / "annotations").is_dir()


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    for split_name, split in SPLITS.items():
        folder = place / split_name
        if not _is_split(folder):
            continue
        for path, link in images(folder / "images", place):
            annotation = str(folder / "annotations" / path.stem)
            label, left_out = ("", link) if link else _expression(Path(f"{annotation}_exp.npy"))
            yield Record(
                name=path.relative_to(place).as_posix(),
                image=path,
                split=split,
                split_name=split_name,
                label=label,
                left_out=left_out,
                valence=_affect(Path(f"{annotation}_val.npy")) if label else math.nan,
                arousal=_affect(Path(f"{annotation}_aro.npy")) if label else math.nan,
            )


def _expression(path: Path) -> tuple[str, str]:
    """Return the class that an `_exp.npy` names, or "" and the reason to leave its image out."""
    try:
        code = _number(path)
    except FileNotFoundError:
        return "", NO_ANNOTATION
    if code in range(len(AFFECTNET_8)):
        return AFFECTNET_8[int(code)], ""
    return "", OTHER_CLASS if code in OTHER_CODES else UNLABELLED


def _affect(path: Path) -> float:
    """Return valence or arousal, NaN where it is missing, unreadable or marked invalid by -2."""
    try:
        value = _number(path)
    except FileNotFoundError:
        return math.nan
    return value if -1 <= value <= 1 else math.nan


def _number(path: Path) -> float:
    """Return the one number that an npy file holds, as such or as text; NaN where it holds something else."""
    with path.open("rb") as file:
        try:
            return float(np.lib.format.read_array(file, allow_pickle=False).item())
        except (ValueError, TypeError, EOFError):
            return math.nan


LAYOUT = Layout(
    "AffectNet, March 2021", "train_set and val_set, each with images and annotations", _find, _read, AFFECTNET_2021
)
