"""Parquet files as `datasets` writes them."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from formats import Expected, Format, encoded, face
from jaxfer.emotions import AFFECTNET_8

NAMES = ("angry", "contempt", "disgusted", "fearful", "happiness", "neutral", "sadness", "surprised", "none")
"""AffectNet's classes, spelt and ordered otherwise, and one for faces without an expression."""

CLASSES = ("anger", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""What all but the last of them mean."""

SHARDS = {
    "train": ("train-00000-of-00002", "train-00001-of-00002"),
    "val": ("validation-00000-of-00001",),
    "test": ("test-00000-of-00001",),
}
"""The names of the files of each split."""

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def class_label(names: Sequence[str] | None) -> dict[bytes, bytes]:
    """Return a schema's metadata that gives names to the numbers in the column `label`."""
    label = {"dtype": "int64", "_type": "Value"} if names is None else {"names": list(names), "_type": "ClassLabel"}
    features = {"image": {"_type": "Image"}, "label": label}
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


def write_shard(path: Path, rows: Sequence[tuple[bytes | None, object]], label: pa.DataType, **options: object) -> None:
    """Write rows of an encoded image and a label. `metadata` is the schema's, all other options pyarrow's."""
    metadata = options.pop("metadata", None)
    images = [{"bytes": content, "path": f"{number}.jpg"} for number, (content, _) in enumerate(rows)]
    schema = pa.schema({"image": IMAGE, "label": label}, metadata=metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table([images, [value for _, value in rows]], schema=schema), path, **options)


def shards(root: Path, per_class: int) -> Expected:
    expected = {}
    for split, names in SHARDS.items():
        faces = [(label, number) for number in range(per_class) for label in AFFECTNET_8]
        for shard, name in enumerate(names):
            rows = []
            for label, number in faces[shard :: len(names)]:
                content = encoded(face(label, number + 1000 * len(split)))
                expected[f"{name}.parquet row {len(rows)}"] = split, label
                rows.append((content, CLASSES.index(label)))
            rows += [(content, NAMES.index("none")), (content, -1), (content, None)]
            write_shard(root / f"data/{name}.parquet", rows, pa.int64(), metadata=class_label(NAMES), row_group_size=3)
    return expected


FORMATS = [Format("parquet", "parquet", shards)]
