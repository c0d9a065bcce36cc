"""Load a data set into memory: detect its layout, read its records, select, decode."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np

from jaxfer.config import DataConfig
from jaxfer.data.dataset import Dataset, Split
from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.selection import Part, check, drop_unreadable, select
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError

WORTH_A_BAR = 2000
"""How many images take long enough to decode that a progress bar helps."""


def load(config: DataConfig) -> Dataset:
    """Return the training and validation faces that `config` asks for, decoded.

    Without a `data_dir`, drawn faces. Where the data has no validation split, the share `val_fraction` of each class
    of its training split is held out instead: the same images wherever the data lies and in whatever order its files
    are listed. A test split is never decoded, and so can be neither trained on nor selected on.

    Raises `UserError` where `jaxfer.data.layouts.detect` and `jaxfer.data.selection.check` do, for data that a
    layout cannot read, and for images that do not fit into memory.
    """
    if config.data_dir is None:
        from jaxfer.data.synthetic import drawn_dataset

        return drawn_dataset(config)
    layout, match = detect(config.data_dir)
    source = f"{layout.name} in {match.place}"
    selection = select(layout.read(match.place, ReadOptions(label_order=config.label_order)), config)
    check(selection, source, config)

    parts = (selection.train, selection.val)
    with _progress(sum(len(part.records) for part in parts)) as advance:
        images, failures = zip(*(_decode(part, config.image_size, advance) for part in parts), strict=True)
    selection = drop_unreadable(selection, failures[0] | failures[1])
    check(selection, source, config)

    class_names = AFFECTNET_8[: config.num_classes]
    folder = match.place.parent if match.place.is_file() else match.place
    return Dataset(
        train=_split(selection.train, images[0], class_names),
        val=_split(selection.val, images[1], class_names),
        class_names=class_names,
        source=source,
        left_out=selection.left_out,
        unreadable=tuple((folder / name, reason) for name, reason in selection.unreadable.items()),
    )


def _decode(part: Part, size: int, advance: Callable[[int], None]) -> tuple[np.ndarray, dict[str, str]]:
    """Return the readable images of a part, uint8 [n, size, size, 3], and the names of the others with the reason."""
    # Imported here so that the rest of the room, and all that only needs `Dataset`, does without Pillow.
    from jaxfer.data.images import decode_into

    shape = (len(part.records), size, size, 3)
    try:
        images = np.empty(shape, np.uint8)
    except MemoryError as error:
        gigabytes = np.prod(shape, dtype=float) / 1e9
        raise UserError(f"the images take {gigabytes:.0f} GB of memory: pass a smaller image_size") from error
    failures = decode_into(part.records, images, on_progress=advance)
    # Rows move up within the array: a copy of what remains might not fit into memory beside it.
    kept = [index for index in range(len(images)) if index not in failures]
    for row, index in enumerate(kept):
        if row != index:
            images[row] = images[index]
    return images[: len(kept)], {part.records[index].name: reason for index, reason in failures.items()}


def _split(part: Part, images: np.ndarray, class_names: tuple[str, ...]) -> Split:
    def affect(field: str) -> np.ndarray | None:
        values = np.array([getattr(record, field) for record in part.records], np.float32)
        return None if np.isnan(values).all() else values

    labels = np.array([class_names.index(record.label) for record in part.records], np.int32)
    return Split(part.name, images, labels, affect("valence"), affect("arousal"))


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that moves a progress bar on, where there is a terminal and enough to wait for."""
    if total < WORTH_A_BAR or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        yield partial(bar.advance, bar.add_task("reading images", total=total))
