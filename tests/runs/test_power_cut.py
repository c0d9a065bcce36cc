"""A power cut at any moment of a run leaves a run that goes on.

A disk is followed while a run trains: what a file or a folder held when it was last synced is all that a cut is sure to
leave. What of the rest it leaves is up to the disk, so that two extremes are tried after each change: names as they
were synced, and names as they are, both with the synced content of files, or none.
"""

import dataclasses
import os
import shutil
import stat
from functools import partial
from pathlib import Path

import chex
import pytest
from programs.small_run import CONFIG, DATA, MODEL, on_host, without_clock

from jaxfer.errors import UserError
from jaxfer.runs.checkpoints import Checkpoints
from jaxfer.runs.folder import read_config, read_rows
from jaxfer.training import Program, fit

LONGER = dataclasses.replace(CONFIG, epochs=4)


class Disk:
    """What a power cut would leave of a folder, noted at each change that Python makes in it."""

    CHANGES = ("rename", "replace", "unlink", "remove", "rmdir")

    def __init__(self, root, patch):
        self.root, self.left, self.events = root, {}, []
        self._contents, self._names = {}, {}
        sync = os.fsync
        patch.setattr(os, "fsync", lambda place: (sync(place), self._synced(place), self._note("sync")))
        for name in self.CHANGES:
            patch.setattr(os, name, self._noting(name, getattr(os, name)))

    def _noting(self, name, change):
        def changed(*arguments, **options):
            self._note(f"before {name}")
            found = change(*arguments, **options)
            self._note(name)
            return found

        return changed

    def _synced(self, place):
        status = os.fstat(place)
        kept = os.dup(place)  # so that no other file gets its number
        if stat.S_ISDIR(status.st_mode):
            self._names[status.st_ino] = {one.name: (one.inode(), one.is_dir()) for one in os.scandir(place)}
        else:
            self._contents[status.st_ino] = Path(f"/proc/self/fd/{kept}").read_bytes()

    def _note(self, event):
        if self.root.exists():
            for eager in (False, True):
                left = dict(self._walk(self.root.stat().st_ino, self.root, "", eager))
                self.left.setdefault(tuple(sorted(left.items())), event)
                self.events.append(event)

    def _walk(self, number, folder, place, eager):
        names = self._names.get(number, {})
        if eager and folder is not None:
            try:
                names = {one.name: (one.inode(), one.is_dir()) for one in os.scandir(folder)}
            except OSError:  # gone meanwhile, in another thread
                names = {}
        for name, (inode, is_folder) in names.items():
            if is_folder:
                yield f"{place}{name}/", None
                yield from self._walk(inode, folder and folder / name, f"{place}{name}/", eager)
            else:
                yield f"{place}{name}", self._contents.get(inode, b"")


def put(left, folder):
    folder.mkdir()
    for name, content in left:
        if content is None:
            (folder / name).mkdir(parents=True, exist_ok=True)
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    return folder


def follow(root, program, patch, config=LONGER):
    """Train, and return the disk and what `fit` returns."""
    disk = Disk(root, patch)
    return disk, fit(config, DATA, run_dir=root, program=program)


@pytest.fixture(scope="module")
def program():
    return Program(LONGER, DATA, model=MODEL)


@pytest.fixture(scope="module")
def followed(tmp_path_factory, program):
    with pytest.MonkeyPatch.context() as patch:
        disk, (state, rows) = follow(tmp_path_factory.mktemp("runs") / "run", program, patch)
    return disk, on_host(state), without_clock(rows)


def newest(folder, program, config=LONGER):
    """Return the step of the newest checkpoint of a run that goes on, 0 without any."""
    if not (folder / "config.json").exists():
        assert not (folder / "checkpoints").exists()
        return 0
    assert read_config(folder) == program.config_of(config)
    if not any(path.name.isdigit() for path in folder.glob("checkpoints/*")):
        return 0
    state, running, _ = program.start(config)
    apart = ("tasks", "unlabelled")  # of which a run that has been saved has none
    fields = {name: value for name, value in vars(running).items() if name not in apart} | {"affect": None}
    with Checkpoints(folder / "checkpoints", read_only=True) as checkpoints:
        step = checkpoints.latest
        saved = checkpoints.restore(step, {"state": state, "running": fields})
    assert int(saved["state"].step) == step
    assert {row["step"] for row in read_rows(folder)} >= set(range(4, step + 1, 4))
    return step


@pytest.mark.long
def test_whenever_the_power_goes_the_newest_checkpoint_is_whole(followed, program, tmp_path):
    disk, *_ = followed
    steps = [newest(put(left, tmp_path / str(number)), program) for number, left in enumerate(disk.left)]
    assert set(steps) == {0, 4, 8, 12, 16}
    assert len(steps) > 50


def test_what_a_cut_leaves_goes_on_to_the_same_bits(followed, program, tmp_path):
    disk, state, rows = followed
    begun = [left for left in disk.left if any(name == "config.json" for name, _ in left)]
    for number, left in enumerate(begun[:: len(begun) // 6]):
        folder = put(left, tmp_path / str(number))
        resumed, again = fit(LONGER, DATA, run_dir=folder, resume=True, program=program)
        chex.assert_trees_all_equal(on_host(resumed), state)
        assert without_clock(again) == rows


def test_without_syncing_a_cut_would_be_seen(program, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("jaxfer.runs.checkpoints._settle", lambda whole, final: whole.rename(final))
        disk, _ = follow(tmp_path / "run", program, patch)
    folders = (put(left, tmp_path / str(number)) for number, left in enumerate(disk.left))
    with pytest.raises(UserError, match="cannot be read"):
        list(map(partial(newest, program=program), folders))


@pytest.mark.torture
def test_whenever_the_power_goes_during_twenty_saves_the_newest_checkpoint_is_whole(tmp_path, record_property):
    config = dataclasses.replace(CONFIG, epochs=20)
    program = Program(config, DATA, model=MODEL)
    with pytest.MonkeyPatch.context() as patch:
        disk, _ = follow(tmp_path / "run", program, patch, config)
    steps = set()
    for left in disk.left:
        steps.add(newest(put(left, tmp_path / "left"), program, config))
        shutil.rmtree(tmp_path / "left")
    assert steps == set(range(0, 4 * config.epochs + 1, 4))
    record_property("states of a disk after a power cut", len(disk.left))
