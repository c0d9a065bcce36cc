"""One parquet file of faces: which of its columns say what, and their values, without those of images."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxfer.data.layouts.parquet.labels import LabelColumn, label_column
from jaxfer.errors import UserError

IMAGES = ("image", "img")
"""Names of the column of images."""

AFFECTS = ("valence", "arousal")
"""Names of columns of numbers that are read where they exist."""


@dataclass(frozen=True)
class FaceFile:
    """A parquet file with a column of images and one of labels.

    footer: what it says about its row groups, a `pyarrow.parquet.FileMetaData`.
    images: the name of the column of images, structs of `bytes` and `path`, or bytes.
    affects: those of `AFFECTS` that it has.
    """

    path: Path
    footer: Any
    images: str
    labels: LabelColumn
    affects: tuple[str, ...]


def open_faces(path: Path) -> FaceFile | None:
    """Return what the footer of a parquet file says, None where it lacks images or labels.

    Raises `UserError` for a damaged file and where pyarrow is not installed.
    """
    try:
        from pyarrow import parquet, types
    except ImportError as error:
        raise UserError(f"{path}: reading parquet needs pyarrow: pip install 'jaxfer[parquet]'") from error

    try:
        file = parquet.ParquetFile(str(path))
        schema = file.schema_arrow
        kinds = {name: schema.field(name).type for name in schema.names if schema.names.count(name) == 1}
        images = [name for name in IMAGES if name in kinds and _is_image(kinds[name])]
        labels = label_column(kinds, schema.metadata or {})
    except Exception as error:  # pyarrow meets damage with errors of its own, with ValueError and others.
        raise _damaged(path, error) from error
    if not images or labels is None:
        return None
    affects = tuple(name for name in AFFECTS if name in kinds and types.is_floating(kinds[name]))
    return FaceFile(path, file.metadata, images[0], labels, affects)


def label_groups(file: FaceFile) -> Iterator[dict[str, list[Any]]]:
    """Yield the values of labels, valence and arousal, by column, of each row group. Raises `UserError` for damage."""
    from pyarrow import parquet

    columns = [file.labels.column, *file.affects]
    try:
        source = parquet.ParquetFile(str(file.path), metadata=file.footer)
        for group in range(file.footer.num_row_groups):
            table = source.read_row_group(group, columns=columns, use_threads=False)
            if table.num_rows != file.footer.row_group(group).num_rows:
                raise ValueError(f"row group {group} has other rows than it says")
            yield table.to_pydict()
    except Exception as error:
        raise _damaged(file.path, error) from error


def _is_image(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _is_image(kind.field("bytes").type)
    return types.is_binary(kind) or types.is_large_binary(kind)


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} cannot be read ({error}): download or copy it again")
