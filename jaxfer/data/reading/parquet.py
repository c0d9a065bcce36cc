"""Parquet files of faces: columns of values, and images that are read when they are needed.

Of images, a few batches of rows are held, whatever the files' size and whatever their pages unpack into.

Parquet has no way to a single row: rows are decoded in order from the start of their row group. Most files have small
groups, Hugging Face's of 100 images. Some have one group of everything: those are fast to read in order only.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from jaxfer.data.reading.folder import LARGEST_IMAGE, Reach, leaves
from jaxfer.data.reading.parquet_pages import Chunk, chunks, largest_page
from jaxfer.errors import UserError
from jaxfer.files import MOST_LINES, opened, read_bytes

IMAGES = ("image", "img")
"""Names of the column of images, in any case."""

BATCH = 64
"""How many rows are decoded at a time, fewer where they may have more than `HELD` bytes."""

MOST_ROWS = 1 << 16
"""How many rows of other columns are decoded at a time."""

MOST_READ = 1 << 28
"""How many bytes the other columns of a file may have."""

MOST_IN_LIST = 64
"""How many values the lists in a column may have, on average: one for each class."""

MOST_ITEMS = 1 << 16
"""How many row groups, and columns in each, a footer may name."""

LARGEST_FOOTER = 1 << 26
"""How many bytes a footer may have: a thousand row groups take a megabyte."""

HELD = 128 << 20
"""How many bytes of decoded rows are held: more than what all threads work on at a time."""

STREAMS = 4
"""How many row groups are open, since threads that read in order are in two or three of them at a time."""

BUFFER = 1 << 20
"""How many bytes are read from a file at a time; without it, pyarrow reads all of a row group."""


@dataclass(frozen=True)
class FaceFile:
    """A parquet file with a column of images.

    Attributes:
        path: Where it is.
        footer: What it says about its row groups, a `pyarrow.parquet.FileMetaData`; no column of it may be asked for.
        chunks: What it says about the column chunks of each row group.
        images: The name of the column of images, structs of `bytes` and `path`, or bytes.
        kinds: The type of each column, a `pyarrow.DataType`, without those that share their name.
        metadata: That of its schema.
    """

    path: Path
    footer: Any
    chunks: Sequence[Sequence[Chunk]]
    images: str
    kinds: Mapping[str, Any]
    metadata: Mapping[bytes, bytes]

    def read(self, columns: Sequence[str]) -> list[list[Any]]:
        """Return other columns, one `pyarrow.RecordBatch` or several for each row group.

        Raises:
            UserError: The file is damaged, or they have more than `MOST_READ` bytes.
        """
        groups, size = [], 0
        try:
            for group in range(self.footer.num_row_groups):
                groups.append([])
                for batch in self.batches(group, columns, self.rows_at_a_time(group, columns, MOST_ROWS)):
                    groups[-1].append(batch)
                    size += batch.nbytes
                    if size > MOST_READ:
                        raise OSError(f"{' and '.join(columns)} have more than {MOST_READ >> 20:,} MiB")
                if sum(batch.num_rows for batch in groups[-1]) != self.footer.row_group(group).num_rows:
                    raise OSError(f"row group {group} has other rows than it says")
        except Exception as error:  # pyarrow meets damage with errors of its own, with ValueError and others.
            raise _damaged(self.path, error) from error
        return groups

    def paths(self) -> set[str]:
        """Return the paths that rows say, whether they hold their images or not.

        Raises:
            UserError: As for `read`.
        """
        if not _has_paths(self.kinds[self.images]):
            return set()
        batches = chain.from_iterable(self.read([f"{self.images}.path"]))
        rows = chain.from_iterable(batch.column(0).to_pylist() for batch in batches)
        return {row["path"] for row in rows if row and row["path"]}

    def batches(self, group: int, columns: Sequence[str], rows: int) -> Iterator[Any]:
        """Return an iterator over some columns of a row group, a `pyarrow.RecordBatch` for so many rows at a time.

        Args:
            group: The index of the row group.
            columns: Their names.
            rows: How many rows a batch has; the last may have fewer.
        """
        from pyarrow import parquet

        opened(self.path).close()  # by its path it is opened again, whatever it is
        source = parquet.ParquetFile(str(self.path), metadata=self.footer, pre_buffer=False, buffer_size=BUFFER)
        return source.iter_batches(rows, row_groups=[group], columns=list(columns), use_threads=False)

    def rows_at_a_time(self, group: int, columns: Sequence[str], most: int) -> int:
        """Return how many rows have no more than `HELD` bytes in some columns, whatever is in them; at least 1.

        Args:
            group: The index of the row group.
            columns: Their names.
            most: What is returned at most.

        Raises:
            OSError: A page is larger than any has to be, or damaged.
        """
        rows, schema, size = self.footer.row_group(group).num_rows, self.footer.schema, 1
        with opened(self.path) as file:
            for index, chunk in enumerate(self.chunks[group]):
                column = schema.column(index)
                if any(f"{column.path}.".startswith(f"{name}.") for name in columns):
                    size += largest_page(file, chunk, rows * (MOST_IN_LIST if column.max_repetition_level > 0 else 1))
        return min(most, max(1, HELD // size))


def open_file(path: Path) -> FaceFile | None:
    """Return what the footer of a parquet file says, None where it has no column of images.

    Raises:
        UserError: The file is damaged, or pyarrow is not installed.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"{path}: reading parquet needs pyarrow: pip install 'jaxfer[parquet]'") from error

    try:
        with opened(path) as whole:
            whole.seek(-min(8, whole.seek(0, os.SEEK_END)), os.SEEK_END)
            if int.from_bytes(whole.read(4), "little") > LARGEST_FOOTER:
                raise OSError(f"its footer has more than {LARGEST_FOOTER >> 20} MiB")
            file = parquet.ParquetFile(str(path), thrift_container_size_limit=MOST_ITEMS)
            of_groups = chunks(whole)
        if sum(file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)) > MOST_LINES:
            raise OSError(f"it has more than {MOST_LINES:,} rows")
        width = len(file.metadata.schema)
        if [len(group) for group in of_groups] != [width] * file.metadata.num_row_groups:
            raise OSError("its footer is damaged")
        schema = file.schema_arrow
        kinds = {name: schema.field(name).type for name in schema.names if schema.names.count(name) == 1}
        images = [column for name in IMAGES for column in kinds if column.lower() == name and _is_image(kinds[column])]
        return FaceFile(path, file.metadata, of_groups, images[0], kinds, schema.metadata or {}) if images else None
    except Exception as error:
        raise _damaged(path, error) from error


class ImageReader:
    """Reads images from many files, in any thread.

    Args:
        root: The folder that the paths of images outside of the files start from.
        within: How far links are followed from there.
    """

    def __init__(self, root: Path, within: Reach) -> None:
        self._root = root
        self._within = within
        self._lock = threading.Lock()
        self._rows: dict[tuple[Path, int], int] = {}
        self._streams: OrderedDict[tuple[Path, int], _Stream] = OrderedDict()
        self._batches: OrderedDict[tuple[Path, int, int], Any] = OrderedDict()
        self._held = 0

    def read(self, file: FaceFile, group: int, row: int) -> bytes:
        """Return the encoded image in a row.

        Args:
            file: The file.
            group: The index of the row group.
            row: The row, counted from the start of its row group.

        Raises:
            OSError: There is no image, or the file is damaged.
        """
        try:
            with self._lock:
                rows = self._rows_of(file, group)
                batch = self._batch(file, group, row // rows, rows)
            value = batch[row % rows].as_py()
        except Exception as error:  # pyarrow meets damage with errors of its own, with ValueError and others.
            raise OSError(f"row group {group} of {file.path.name} cannot be read ({error})") from error
        if isinstance(value, dict):
            content, path = value.get("bytes"), value.get("path")
            return self._outside(path) if content is None and path else _existing(content)
        return _existing(value)

    def _rows_of(self, file: FaceFile, group: int) -> int:
        """Return how many rows of a row group are decoded at a time."""
        key = file.path, group
        if key not in self._rows:
            self._rows[key] = file.rows_at_a_time(group, [file.images], BATCH)
        return self._rows[key]

    def _batch(self, file: FaceFile, group: int, index: int, rows: int) -> Any:
        """Return rows `rows * index` and following of a row group."""
        key = file.path, group
        if (*key, index) not in self._batches:
            stream = self._streams.pop(key, None)
            if stream is None or stream.index > index:
                stream = _Stream(file, group, rows)
            self._streams[key] = stream
            if len(self._streams) > STREAMS:
                self._streams.popitem(last=False)
            while stream.index <= index:
                self._hold((*key, stream.index), next(stream))
        self._batches.move_to_end((*key, index))
        return self._batches[*key, index]

    def _hold(self, key: tuple[Path, int, int], batch: Any) -> None:
        old = self._batches.pop(key, None)
        self._batches[key] = batch
        self._held += batch.nbytes - (0 if old is None else old.nbytes)
        while self._held > HELD and len(self._batches) > 1:
            self._held -= self._batches.popitem(last=False)[1].nbytes

    def _outside(self, path: str) -> bytes:
        file = self._root / path
        if leaves(file, self._within) or not file.is_file():
            raise OSError(f"this row has no image but the path {path!r}, which is no file in {self._root}")
        return read_bytes(file, LARGEST_IMAGE)


@dataclass(frozen=True, slots=True)
class ParquetImage:
    """An image in a row of a parquet file: a `jaxfer.data.reading.record.StoredImage`."""

    reader: ImageReader
    file: FaceFile
    group: int
    row: int

    @property
    def path(self) -> Path:
        """The parquet file."""
        return self.file.path

    def read(self) -> bytes:
        """Return the encoded image.

        Raises:
            OSError: There is none, or the file is damaged.
        """
        return self.reader.read(self.file, self.group, self.row)


class _Stream(Iterator[Any]):
    """The batches of a row group, in order; `index` is that of the next."""

    def __init__(self, file: FaceFile, group: int, rows: int) -> None:
        self._left = file.footer.row_group(group).num_rows
        self._rows = rows
        self._batches = file.batches(group, [file.images], rows)
        self.index = 0

    def __next__(self) -> Any:
        batch = next(self._batches, None)
        # A batch of another size would give rows each other's images.
        if batch is None or batch.num_rows != min(self._rows, self._left):
            raise OSError("it has other rows than it says")
        self._left -= batch.num_rows
        self.index += 1
        return batch.column(0)


def _existing(content: bytes | None) -> bytes:
    if content is None:
        raise OSError("this row has no image")
    return content


def _is_image(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        # Without a type are bytes that no row of the file has.
        content = kind.field("bytes").type
        return _is_image(content) or (types.is_null(content) and _has_paths(kind))
    return types.is_binary(kind) or types.is_large_binary(kind)


def _has_paths(kind: Any) -> bool:
    from pyarrow import types

    index = kind.get_field_index("path") if types.is_struct(kind) else -1
    return index >= 0 and (types.is_string(kind.field(index).type) or types.is_large_string(kind.field(index).type))


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} cannot be read ({error}): download or copy it again")
