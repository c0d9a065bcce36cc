"""Prepare a data set: read it once, cut out and resize its faces, and keep them with a record of what was done."""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxfer.config import PrepareConfig
from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.layouts.prepared import NAME, check_library, config_name
from jaxfer.data.reading.decoder import check_decoder
from jaxfer.data.reading.progress import Watch, counting, unwatched
from jaxfer.errors import UserError
from jaxfer.files import LOCK, TAG, hold, own, refuse_links, remove

if TYPE_CHECKING:
    from jaxfer.data.prepared.faces import RawFaces


@dataclass(frozen=True)
class Prepared:
    """A prepared data set.

    Attributes:
        path: Its folder, for `tfds.builder_from_directory` and `jaxfer.data.layouts.detect`.
        name: For `tfds.data_source(name, data_dir=out)`.
        metadata: What `metadata.json` in the folder says: where the faces come from, how many there are, what was left
            out.
    """

    path: Path
    name: str
    metadata: dict[str, Any]


def prepare(
    data_dir: Path,
    out: Path,
    config: PrepareConfig | None = None,
    *,
    watch: Watch = unwatched,
    beam_options: Sequence[str] | None = None,
) -> Prepared:
    """Cut out the faces of a data set, resize them, and keep them below `out` as a tfds data set.

    It has the splits train, validation and test, as far as the raw data has usable images of them, in the order in
    which the raw data is read. Whatever ends it early leaves nothing behind that could be taken for a data set.

    Args:
        data_dir: The raw data, in any layout that `jaxfer.data.layouts.detect` recognises.
        out: The folder for prepared data sets, which may hold others.
        config: How faces are cut out and which are kept; by default `PrepareConfig()`.
        watch: Told how far it is, such as `jaxfer.reports.images_bar`.
        beam_options: Flags of Apache Beam, such as `["--runner=DirectRunner"]`: a pipeline then writes the same files,
            on the machines of its runner, which must all see `data_dir` and `out` under these paths. By default the
            processors of this machine do.

    Raises:
        UserError: `detect` refuses the data, it has no usable image, or `out` lies in it, holds this data set already
            or cannot be written; array-record or the config's decoder is not installed; or the pipeline cannot be made,
            or failed.
    """
    # Imported here, since Pillow and the pool of processes are needed only now.
    from jaxfer.data.prepared.faces import RawFaces

    check_library()
    download_config = _in_beam(beam_options)
    config = config or PrepareConfig()
    check_decoder(config.decoder)
    for path in filter(None, (data_dir, config.val_dir, config.test_dir)):
        if out.resolve().is_relative_to(path.resolve()):
            raise UserError(f"{out} lies in the data itself, {path}: pass an --out beside it")
    layout, match = detect(data_dir, ReadOptions.of(config, data_dir))
    name = config_name(config)
    target = out / NAME / name
    try:
        with (
            workplace(out / f".preparing-{name}") as room,
            counting("preparing", watch=watch) as tally,
        ):
            refuse_links(target.parent, target)
            # Not sooner: until now, another process may have been about to finish it.
            if target.exists():
                raise UserError(f"{target} exists already: remove it, or pass another --out")
            faces = RawFaces(layout, match, data_dir, config, tally)
            with closing(faces.ledger):
                version = _write(faces, room, download_config)
            target.parent.mkdir(exist_ok=True)
            (room / NAME / name).rename(target)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{out} cannot be written ({reason}): free disk space or correct the permissions") from error
    return Prepared(target / version, f"{NAME}/{name}", faces.metadata())


def _in_beam(flags: Sequence[str] | None) -> Any:
    """Return what tells tfds of a pipeline, or None where there is none to be. Raises `UserError`."""
    if flags is None:
        return None
    import tensorflow_datasets as tfds

    from jaxfer.data.prepared.beam import options_of

    return tfds.download.DownloadConfig(beam_options=options_of(flags))


def _write(faces: "RawFaces", room: Path, download_config: Any) -> str:
    """Write the data set below `room` and return its version."""
    # Imported here because it takes longer than reading a small data set.
    from jaxfer.data.prepared.builder import FacialExpressions

    builder = FacialExpressions.create(faces.config, room, faces)
    builder.download_and_prepare(download_config=download_config)
    return str(builder.version)


@contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """Make `folder` to work in, cleared of what an interrupted process left there, and remove it at the end.

    What is finished is moved from it to its place, so that it is there as a whole or not at all. A lock, which ends
    with the process that holds it, tells what was left from what is in use.

    Raises:
        UserError: Another process works in it, or it is not ours.
        OSError: It cannot be made.
    """
    held = False
    try:
        own(folder, re.compile("unfinished"))
        with hold(folder):
            held = True
            try:
                room = folder / "unfinished"
                remove(folder, room.name.__eq__)
                room.mkdir()
                yield room
            finally:
                remove(folder, "unfinished".__eq__)
                with suppress(OSError):
                    (folder / TAG).unlink()
    finally:
        with suppress(OSError):
            if not held and not (folder / LOCK).exists():  # a full disk, and nobody else who works here
                (folder / TAG).unlink(missing_ok=True)
            folder.rmdir()
