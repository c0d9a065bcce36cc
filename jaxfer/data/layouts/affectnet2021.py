"""AffectNet's release of March 2021: cropped 224x224 images with one small npy file for each annotation.

    train_set/images/<N>.jpg   train_set/annotations/<N>_exp.npy   <N>_val.npy   <N>_aro.npy   <N>_lnd.npy
    val_set/ likewise

Expression, valence and arousal are arrays of one Unicode string; arrays of one number are read too. Annotations whose
image is missing make a record that is named `<N>.jpg`, as the image would be.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import jaxfer.data.reading.affectnet_values as values
from jaxfer.data.reading.folder import LINK, Folder, images, leaves, natural, readable
from jaxfer.data.reading.npy import read_npy
from jaxfer.data.reading.record import MISSING, UNLABELLED, Layout, Match, ReadOptions, Record, Split
from jaxfer.data.releases import AFFECTNET_2021

SPLITS: dict[str, Split] = {"val_set": "val", "train_set": "train"}

EXPRESSION, VALENCE, AROUSAL, LANDMARKS = SUFFIXES = ("_exp.npy", "_val.npy", "_aro.npy", "_lnd.npy")
"""What follows the number in the names of annotations."""


def _find(folder: Folder) -> list[Match]:
    splits = [name for name in SPLITS if name in folder.folders and _is_split(folder.path / name)]
    if not splits:
        return []
    return [Match(folder.path, f"has images and annotations in {' and '.join(splits)}")]


def _is_split(path: Path) -> bool:
    return (path / "images").is_dir() and (path / "annotations").is_dir()


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    for split_name in SPLITS:
        if _is_split(place / split_name):
            yield from _read_split(place, split_name, options)


def _read_split(place: Path, split_name: str, options: ReadOptions) -> Iterator[Record]:
    folder = place / split_name / "images"
    annotations = _Annotations(place / split_name / "annotations", place)
    for path, link in images(folder, place):
        annotations.without_image.discard(path.stem)
        name = path.relative_to(place).as_posix()
        yield _left_out(name, path, split_name, link) if link else _face(name, path, split_name, annotations, options)
    if not leaves(folder, place):
        for number in sorted(annotations.without_image, key=natural):
            path = folder / f"{number}.jpg"
            yield _left_out(path.relative_to(place).as_posix(), path, split_name, MISSING)


def _left_out(name: str, path: Path, split_name: str, reason: str, detail: str = "") -> Record:
    return Record(
        name=name, image=path, split=SPLITS[split_name], split_name=split_name, left_out=reason, detail=detail
    )


def _face(name: str, path: Path, split_name: str, annotations: "_Annotations", options: ReadOptions) -> Record:
    number = path.stem
    try:
        code = annotations.value(number, EXPRESSION)
    except ValueError as error:
        return _left_out(name, path, split_name, UNLABELLED, str(error))
    if code is None:
        return _left_out(name, path, split_name, UNLABELLED, "no annotation file")
    label, reason, detail = values.expression(code)
    if reason:
        return _left_out(name, path, split_name, reason, detail)
    valence, odd_valence = annotations.affect(number, "valence", VALENCE)
    arousal, odd_arousal = annotations.affect(number, "arousal", AROUSAL)
    return Record(
        name=name,
        image=path,
        split=SPLITS[split_name],
        split_name=split_name,
        label=label,
        remarks=odd_valence + odd_arousal,
        valence=valence,
        arousal=arousal,
        landmarks=annotations.landmarks(number) if options.landmarks else None,
    )


class _Annotations:
    """A folder of annotations.

    Args:
        folder: Where they are.
        root: The data's own folder.

    Attributes:
        without_image: The numbers in the names of its files, until the reader has met their images.

    Raises:
        UserError: The folder may not be read.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self._start = f"{folder}{os.sep}"
        self._is_linked_away = leaves(folder, root)
        self._refused: dict[str, str] = {}
        self.without_image: set[str] = set()
        if self._is_linked_away:
            return
        with readable(folder), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIXES) and not entry.name.startswith("."):
                    self.without_image.add(entry.name[: -len(EXPRESSION)])
                    if entry.is_symlink() and leaves(folder / entry.name, root):
                        self._refused[entry.name] = f"is a {LINK}"
                    elif not entry.is_file():
                        self._refused[entry.name] = "is no file"

    def value(self, number: str, suffix: str) -> str | None:
        """Return the one value of an annotation as text, or None where there is none.

        Raises:
            ValueError: It cannot be read; the message names the file.
        """
        found = self._values(number, suffix, 1)
        return str(found[0]) if found else None

    def affect(self, number: str, what: str, suffix: str) -> tuple[float, values.Remarks]:
        """Return `what`, valence or arousal, as `jaxfer.data.reading.affectnet_values.affect` does."""
        try:
            return values.affect(what, self.value(number, suffix))
        except ValueError as error:
            return math.nan, (("affect", f"{what}: {error}"),)

    def landmarks(self, number: str) -> np.ndarray | None:
        """Return the landmarks, float32 [68, 2], None where there are none or they are damaged."""
        try:
            found = self._values(number, LANDMARKS, 2 * values.LANDMARKS)
        except ValueError:
            return None
        return values.landmarks(str(found[0]).split(";") if len(found) == 1 else found)

    def _values(self, number: str, suffix: str, most: int) -> list[str] | list[float]:
        name = number + suffix
        if self._is_linked_away or name in self._refused:
            raise ValueError(f"{name} {self._refused.get(name, f'is a {LINK}')}")
        try:
            return read_npy(self._start + name, most)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ValueError(f"{name} cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise ValueError(f"{name} {error}") from error


LAYOUT = Layout(
    "AffectNet, March 2021", "train_set and val_set, each with images and annotations", _find, _read, AFFECTNET_2021
)
