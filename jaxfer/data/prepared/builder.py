"""The tfds data set of prepared faces: its features, its named configurations, and how its files are written."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter

from jaxfer.config import PrepareConfig
from jaxfer.data.layouts.prepared import SPLIT_NAMES, config_name
from jaxfer.data.layouts.prepared.example import POINTS, Example, to_record
from jaxfer.data.reading.record import SPLITS, Split
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError

if TYPE_CHECKING:
    from jaxfer.data.prepared.faces import RawFaces

SHARD_BYTES = 256 << 20
"""A file that has grown to so many bytes is followed by another."""

FILE_OPTIONS = "group_size:1,uncompressed"
"""Compression would take a third of the time that decoding a photograph does, to save little of its pixels."""

DESCRIPTION = """
Labelled faces, cropped and resized by `jaxfer data prepare`. `label` follows AffectNet's order. `name` is the path or
row in the raw data. `valence` and `arousal` lie in [-1, 1], `landmarks` are x and y in pixels of `image`, and `votes`
tell how many people, or which share of them, chose each of AffectNet's eight expressions; each is NaN where the raw
data has none. The metadata say where the faces come from and what was left out.
"""


@dataclasses.dataclass(eq=False)
class FacesConfig(tfds.core.BuilderConfig):
    """Which classes a data set has, and how its faces are cut out; see `PrepareConfig`."""

    num_classes: int = 7
    image_size: int = 64
    margin: float = 0.0


def _config(config: PrepareConfig) -> FacesConfig:
    return FacesConfig(
        name=config_name(config),
        description=f"AffectNet's first {config.num_classes} classes, {config.image_size} pixels a side.",
        num_classes=config.num_classes,
        image_size=config.image_size,
        margin=config.margin,
    )


class _Info(tfds.core.DatasetInfo):
    """What tfds says of the data set."""

    def initialize_from_bucket(self) -> None:
        """Look for nothing on the network: there is nothing, and tfds leaves an empty folder behind each time."""


class FacialExpressions(tfds.core.GeneratorBasedBuilder):
    """The data set; only one with a source can be generated."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [_config(PrepareConfig(num_classes=7)), _config(PrepareConfig(num_classes=8))]
    url_infos = None  # Nothing is downloaded; tfds 4.9 looks for checksums by a package that it does not depend on.

    def __init__(self, *, source: "RawFaces | None" = None, **kwargs: Any) -> None:
        self._source = source
        self._metadata = tfds.core.MetadataDict()
        super().__init__(**kwargs)

    @classmethod
    def create(cls, config: PrepareConfig, data_dir: Path, source: "RawFaces") -> "FacialExpressions":
        """Return a builder that can write a data set.

        Args:
            config: Which classes it has, and how its faces are cut out.
            data_dir: The folder below which it is written.
            source: Its faces.
        """
        return cls(source=source, config=_config(config), data_dir=str(data_dir), file_format="array_record")

    def _create_builder_config(self, builder_config: Any, version: Any) -> Any:
        """Take configurations beside the named ones without a warning."""
        if isinstance(builder_config, FacesConfig):
            return builder_config
        return super()._create_builder_config(builder_config, version)

    def _info(self) -> tfds.core.DatasetInfo:
        config = cast(FacesConfig, self.builder_config)
        size = config.image_size
        features = {
            "image": tfds.features.Tensor(
                shape=(size, size, 3), dtype=np.uint8, encoding=tfds.features.Encoding.BYTES, doc="RGB"
            ),
            "label": tfds.features.ClassLabel(names=AFFECTNET_8[: config.num_classes]),
            "name": tfds.features.Text(),
            "valence": tfds.features.Scalar(np.float32),
            "arousal": tfds.features.Scalar(np.float32),
            "landmarks": tfds.features.Tensor(shape=(POINTS, 2), dtype=np.float32),
            "votes": tfds.features.Tensor(shape=(len(AFFECTNET_8),), dtype=np.float32),
        }
        return _Info(
            builder=self,
            description=DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
            disable_shuffling=True,
            metadata=self._metadata,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, Example]]]:
        faces = _Lookahead(iter(self._faces()))
        return {name: self._generate_examples(faces, split) for split, name in SPLIT_NAMES.items()}

    def _faces(self) -> "RawFaces":
        if self._source is None:
            raise UserError(f"{self.info.full_name} is not in {self.data_dir_root}: make it with `jaxfer data prepare`")
        return self._source

    def _generate_examples(self, faces: "_Lookahead", split: Split) -> Iterator[tuple[int, Example]]:
        return enumerate(faces.of(split))

    def _generate_splits(self, dl_manager: Any, download_config: Any) -> list[tfds.core.SplitInfo]:
        """Write the splits, file by file as their faces come, and those that turn out empty not at all.

        tfds' own writer holds up to a gigabyte in memory before it writes anything, needs TensorFlow for what is
        larger, and refuses empty splits.

        With a runner or options of Apache Beam in tfds' `DownloadConfig`, a pipeline writes the same files.
        """
        if download_config.beam_runner is not None or download_config.beam_options is not None:
            return self._generate_in_beam(download_config)
        written = [self._write(name, faces) for name, faces in self._split_generators(dl_manager).items()]
        self._metadata.update(self._faces().metadata())
        return [split for split in written if split.shard_lengths]

    def _generate_in_beam(self, download_config: Any) -> list[tfds.core.SplitInfo]:
        from jaxfer.data.prepared.beam import by_split, generate

        templates = {name: self._get_filename_template(split_name=name) for name in SPLIT_NAMES.values()}
        plan = generate(
            self._faces(),
            templates,
            Path(self.data_dir),
            _write_file,
            SHARD_BYTES,
            options=download_config.beam_options,
            runner=download_config.beam_runner,
        )
        self._metadata.update(self._faces().metadata())
        return [
            tfds.core.SplitInfo(name=name, shard_lengths=lengths, num_bytes=size, filename_template=templates[name])
            for name, (lengths, size) in by_split(plan).items()
        ]

    def _write(self, name: str, faces: Iterable[tuple[int, Example]]) -> tfds.core.SplitInfo:
        template = self._get_filename_template(split_name=name)
        records = (to_record(face) for _, face in faces)
        paths, lengths, size = [], [], 0
        for first in records:
            paths.append(Path(self.data_dir) / f"{name}-{len(paths)}")
            length, grown = _write_file(paths[-1], itertools.chain([first], records))
            lengths.append(length)
            size += grown
        for index, path in enumerate(paths):
            path.rename(template.sharded_filepath(shard_index=index, num_shards=len(paths)))
        return tfds.core.SplitInfo(name=name, shard_lengths=lengths, num_bytes=size, filename_template=template)

    def _log_download_bytes(self) -> None:
        """Print nothing: nothing is downloaded."""

    def _log_download_done(self) -> None:
        """Print nothing: the caller says what was prepared."""


class _Lookahead:
    """Faces that come split by split, handed out by split."""

    def __init__(self, faces: Iterator[tuple[Split, Example]]) -> None:
        self._faces = faces
        self._next = next(faces, None)

    def of(self, split: Split) -> Iterator[Example]:
        """Yield the faces that come next, as far as they belong to `split`; it must be its turn."""
        while self._next and self._next[0] == split:
            yield self._next[1]
            self._next = next(self._faces, None)
        if self._next and SPLITS.index(self._next[0]) < SPLITS.index(split):
            raise AssertionError(f"a reader yields {self._next[0]} images after those of {split}")


def _write_file(path: Path, records: Iterator[bytes]) -> tuple[int, int]:
    """Write records until the file is full; return how many and how many bytes. Raises `OSError`."""
    count = size = 0
    writer = ArrayRecordWriter(str(path), FILE_OPTIONS)
    for record in records:
        with _as_os_error():
            writer.write(record)
        count, size = count + 1, size + len(record)
        if size >= SHARD_BYTES:
            break
    with _as_os_error():
        writer.close()  # mostly only here does it say that the disk was full
    return count, size


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Raise what the writer raises, a `RuntimeError` whatever is wrong, as `OSError` with the first clause of it."""
    try:
        yield
    except RuntimeError as error:
        raise OSError(str(error).partition(";")[0]) from error
