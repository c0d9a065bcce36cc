"""Images that are decoded when a batch asks for them, for data that fits neither into memory nor on the disk again."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from PIL import Image

from jaxfer.data.images import UnreadableError, face_for
from jaxfer.data.layouts.record import Record
from jaxfer.errors import UserError

THREADS = 4
"""Batches that are decoded at the same time."""

AHEAD = 8
"""Batches that are ready before they are asked for."""

Result = TypeVar("Result")


class StreamedImages:
    """The faces of records, by row, each decoded anew whenever it is asked for."""

    def __init__(self, records: Sequence[Record], size: int, margin: float) -> None:
        Image.init()  # the formats, which is not safe in several threads at once
        self._sources = [(record.name, record.image, record.box) for record in records]
        self._size = size
        self._margin = margin

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, size, size, 3)."""
        return len(self._sources), self._size, self._size, 3

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for image, row in zip(images, rows, strict=True):
            name, source, box = self._sources[row]
            try:
                image[:] = face_for(self._size, source, box=box, margin=self._margin).resize(self._size)
            except UnreadableError as error:
                raise UserError(f"{name} can no longer be read ({error.reason}): has the data been moved?") from error
        return images


def read_ahead(item: Callable[[int], Result], indices: range) -> Iterator[Result]:
    """Yield `item(index)` of each index, in order, computed ahead of time in threads."""
    import grain

    options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=AHEAD)
    return iter(grain.MapDataset.source(indices).map(item).to_iter_dataset(options))
