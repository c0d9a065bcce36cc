"""What `jaxfer data prepare` wrote: a tfds data set of cropped and resized faces.

It is a folder such as `facial_expressions/affectnet7-64px/1.0.0` with `dataset_info.json`, `features.json`,
`metadata.json`, `label.labels.txt`, and files `facial_expressions-<split>.array_record-<index>-of-<count>`.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from jaxfer.config import SIDE, PrepareConfig
from jaxfer.data.layouts.prepared.chunks import count_records
from jaxfer.data.reading.folder import Folder
from jaxfer.data.reading.originals import Originals
from jaxfer.data.reading.record import Layout, Match, ReadOptions, Record, Split
from jaxfer.data.releases import RELEASES, Release
from jaxfer.errors import UserError
from jaxfer.files import opened
from jaxfer.json_text import check, read

NAME = "facial_expressions"
"""What tfds calls the data set."""

CREATED_BY = "jaxfer data prepare"
"""What `metadata.json` says of such data sets only."""

SPLIT_NAMES: dict[Split, str] = {"val": "validation", "test": "test", "train": "train"}
"""What tfds calls each split, in the order in which readers yield them."""

FILES = ("dataset_info.json", "features.json", "metadata.json")


@dataclass(frozen=True, slots=True)
class Rows:
    """The records of a split, which may be read in any thread.

    Attributes:
        records: Read from the files when they are asked for.
        files: The files, in order.
        ends: How many records the files up to each have, together.
    """

    records: Sequence[bytes]
    files: tuple[Path, ...]
    ends: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> bytes:
        return self.records[index]

    def file_of(self, index: int) -> Path:
        """Return the file that a record lies in."""
        return self.files[bisect_right(self.ends, index)]


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """The image of one row of a split.

    Attributes:
        rows: The records of the split.
        index: Which of them it is.
        size: Height and width, in pixels.
    """

    rows: Rows
    index: int
    size: int

    @property
    def path(self) -> Path:
        """The file that it lies in."""
        return self.rows.file_of(self.index)

    def read(self) -> np.ndarray:
        """Return the pixels, uint8 [size, size, 3], RGB.

        Raises:
            OSError: They are damaged.
        """
        from jaxfer.data.layouts.prepared.example import image_of

        try:
            return np.frombuffer(image_of(self.rows[self.index]), np.uint8).reshape(self.size, self.size, 3)
        except (ValueError, RuntimeError) as error:  # array_record's errors are of the second kind
            raise OSError(f"its pixels are damaged ({error})") from error


class PreparedImages:
    """The images of n rows of a split, read whenever they are asked for, in any thread.

    One that was replaced meanwhile is refused, see `jaxfer.data.reading.originals.Originals`.

    Args:
        rows: The records of the split.
        indices: Which of them, int [n].
        size: Height and width of the images, in pixels.
    """

    def __init__(self, rows: Rows, indices: np.ndarray, size: int) -> None:
        self._rows, self._indices, self._size = rows, indices, size
        self._originals = Originals(rows.file_of(index) for index in indices)

    @classmethod
    def of(cls, place: Path, split: Split, indices: np.ndarray) -> "PreparedImages":
        """Return the images of rows of a split of a prepared data set.

        Args:
            place: Its folder.
            split: What the split is used for.
            indices: Rows of the split, int [n].

        Raises:
            UserError: The data set is damaged.
        """
        name = SPLIT_NAMES[split]
        return cls(_rows(place, name, _lengths(place)[name]), indices, image_size(place))

    @classmethod
    def of_records(cls, records: Sequence[Record]) -> "PreparedImages":
        """Return the images of records of one split of a prepared data set."""
        images = [record.image for record in records if isinstance(record.image, PreparedImage)]
        return cls(images[0].rows, np.array([image.index for image in images]), images[0].size)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, size, size, 3)."""
        return len(self._indices), self._size, self._size, 3

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for image, row in zip(images, rows, strict=True):
            index = int(self._indices[row])
            try:
                image[:] = PreparedImage(self._rows, index, self._size).read()
            except OSError as error:
                raise UserError(f"row {index} can no longer be read ({error}): has the data been moved?") from error
            file = self._rows.file_of(index)
            self._originals.check(row, file, image, f"row {index} of {file.name}")
        return images

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[np.arange(len(self._indices))].astype(dtype or np.uint8, copy=False)


def _find(folder: Folder) -> list[Match]:
    if not set(FILES) <= set(folder.files) or _json(folder.path / "metadata.json").get("created_by") != CREATED_BY:
        return []
    return [Match(folder.path, f"was written by `{CREATED_BY}`")]


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    # Imported here because it takes longer than to recognise any layout.
    from jaxfer.data.layouts.prepared.example import from_record

    metadata, lengths = _json(place / "metadata.json"), _lengths(place)
    check(metadata, _METADATA, str(place / "metadata.json"), "copy or prepare the data set again")
    try:
        size, classes = image_size(place), metadata["class_names"]
        splits: list[tuple[Split, str]] = [(split, name) for split, name in SPLIT_NAMES.items() if name in lengths]
        source_names = {name: metadata["splits"][name]["source_name"] for _, name in splits}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(_damaged(place / "metadata.json", f"{type(error).__name__}: {error}")) from error
    for split, name in splits:
        rows = _rows(place, name, lengths[name])
        for index in range(len(rows)):
            try:
                face = from_record(rows[index], landmarks=options.landmarks)
                label = classes[face.label]
            except (ValueError, RuntimeError, IndexError) as error:
                raise UserError(_damaged(place, f"row {index} of {name}: {error}")) from error
            yield Record(
                name=face.name,
                image=PreparedImage(rows, index, size),
                split=split,
                split_name=source_names[name],
                label=label,
                valence=face.valence,
                arousal=face.arousal,
                landmarks=face.landmarks,
                votes=face.votes,
            )


def config_name(config: PrepareConfig) -> str:
    """Return what tfds calls data sets with these classes, size and margin.

    >>> config_name(PrepareConfig(num_classes=8, margin=0.1))
    'affectnet8-64px-margin10'
    """
    margin = f"-margin{100 * config.margin:g}" if config.margin else ""
    return f"affectnet{config.num_classes}-{config.image_size}px{margin}"


def image_size(place: Path) -> int:
    """Return the side of the images of a prepared data set, in pixels.

    Raises:
        UserError: It is none that `PrepareConfig` allows, or the data set is damaged.
    """
    size = _metadata(place, "options", "image_size", kind=int)
    if not SIDE.holds(size):
        raise UserError(_damaged(place / "metadata.json", f"image_size is {size}, not {SIDE.words}"))
    return size


def refuse_enlarging(place: Path, size: int, *, evaluating: bool = False) -> None:
    """Refuse a prepared data set whose images would have to be enlarged.

    Args:
        place: Its folder.
        size: How many pixels a side are wanted.
        evaluating: Whether that is the size of a network that is trained already.

    Raises:
        UserError: Its images have fewer pixels a side, or it is damaged.
    """
    prepared = image_size(place)
    if prepared < size and evaluating:
        raise UserError(
            f"{place} was prepared at {prepared} pixels, but the network was trained at {size}: prepare it again with "
            f"--image-size {size}"
        )
    if prepared < size:
        raise UserError(
            f"{place} was prepared at {prepared} pixels, and would have to be enlarged to {size}: pass "
            f"--image-size {prepared}, or prepare it again with --image-size {size}"
        )


def release(place: Path) -> Release | None:
    """Return the published data that a prepared data set was made from, None where it could be any."""
    source = _metadata(place, "source", "layout", kind=str)
    return next((release for release in RELEASES if release.name == source), None)


_METADATA = {
    "options": {"image_size": int},
    "class_names": list[str],
    "splits": {...: {"source_name": str}},
}
"""What `metadata.json` holds, of what is read."""


def _lengths(place: Path) -> dict[str, list[int]]:
    """Return how many rows each file of each split has."""
    path = place / "dataset_info.json"
    info = _json(path)
    try:
        return {split["name"]: [int(length) for length in split["shardLengths"]] for split in info["splits"]}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(_damaged(path, f"{type(error).__name__}: {error}")) from error


def _rows(place: Path, split: str, lengths: list[int]) -> Rows:
    """Return the records of a split, read from its files when they are asked for."""
    check_library()
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    root, files = place.resolve(), []
    for index, length in enumerate(lengths):
        path = place / f"{NAME}-{split}.array_record-{index:05}-of-{len(lengths):05}"
        if not path.resolve().is_relative_to(root):
            raise UserError(f"{path} is a link that leaves the data set: put the file itself in its place")
        try:
            with opened(path) as file:  # by its path the reader opens it again, whatever it is
                found = count_records(file.fileno())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(_damaged(path, reason)) from error
        if found != length:
            raise UserError(_damaged(path, f"{found} records rather than {length}"))
        files.append(path)
    records: Any = ArrayRecordDataSource([f"{path}[0:{n}]" for path, n in zip(files, lengths, strict=True)])
    return Rows(records, tuple(files), tuple(accumulate(lengths)))


def check_library() -> None:
    """Check that prepared data can be read and written here.

    Raises:
        UserError: The library of its files is not there, as it is not for Windows and for Macs of Intel.
    """
    try:
        import array_record  # noqa: F401 - whether it is there
    except ImportError as error:
        raise UserError(
            "prepared data lies in files of array-record, a library that is not installed and does not exist for "
            "Windows: train from the folder of the images itself, or prepare and train on Linux, in WSL too"
        ) from error


def _metadata(place: Path, *keys: str, kind: type) -> Any:
    path = place / "metadata.json"
    value: Any = _json(path)
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, kind):
        raise UserError(_damaged(path, f"{' '.join(keys)} is {value!r}"))
    return value


def _json(path: Path) -> dict[str, Any]:
    return read(path, dict, "copy or prepare the data set again")


def _damaged(path: Path, reason: str) -> str:
    return f"{path} is damaged ({reason}): copy or prepare the data set again"


LAYOUT = Layout("prepared", f"{', '.join(FILES)} that `{CREATED_BY}` wrote", _find, _read)
