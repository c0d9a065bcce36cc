"""What works where Python lacks what only Linux and newer Macs have: on Windows, of which this is an imitation."""

import os
import subprocess
import sys
import textwrap

import pytest
from formats import class_folders

WINDOWS = """
import asyncio, contextlib, fcntl, importlib.abc, os, subprocess, sys, types  # those that ask for the system
with contextlib.suppress(ImportError):
    import filelock  # which asks, too, where something else has brought it

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

MISSING = {"fcntl", "array_record", "grain"}
unix, known = fcntl, {}
del sys.modules["fcntl"]
sys.meta_path.insert(0, Missing())

def locking(place, mode, count):
    # Windows refuses what it cannot lock at once with EACCES.
    assert (mode, count) == (2, 1)
    try:
        unix.flock(place, unix.LOCK_EX | unix.LOCK_NB)
    except BlockingIOError as error:
        raise PermissionError(13, "Permission denied") from error

sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=2, locking=locking)

flags = {name: getattr(os, name) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_DIRECTORY")}
for name in flags:
    delattr(os, name)
import jaxfer.files
for name, value in flags.items():  # for the libraries of Unix
    setattr(os, name, value)
import jaxfer.data.cache
jaxfer.data.cache._MOVES = False
"""
"""Begins a program that has neither fcntl, nor the flags of Unix, nor libraries without wheels for Windows."""


@pytest.fixture
def on_windows(tmp_path):
    """Return a function that runs a program there, and returns its exit code and what it printed."""

    def run(program):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", WINDOWS + textwrap.dedent(program)]
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        return ended.returncode, ended.stdout, ended.stderr

    return run


def jaxfer(*arguments):
    return f"from jaxfer.cli.main import main\nsys.argv = ['jaxfer', *{list(map(str, arguments))!r}]\nmain()\n"


@pytest.mark.long
def test_faces_in_folders_are_checked_and_trained_on_in_memory(on_windows, tmp_path):
    class_folders.words(tmp_path / "faces", 2)
    train = ["train", "--data-dir", "faces", "--image-size", 32, "--epochs", 1, "--batch-size", 8, "--l2", 0]
    train += ["--network", "networks:Convolutional", "--run-dir"]
    evaluation = jaxfer("evaluate", "runs/first", "--network", "networks:Convolutional")
    program = jaxfer("data", "check", "faces") + jaxfer(*train, "runs/first") + evaluation
    program += jaxfer(*train, "runs/second", "--stream")
    code, out, err = on_windows(program)
    assert code == 2
    assert (
        err.splitlines()[-1]
        == "error: --stream needs grain, which is not installed: pip install grain, or leave it out"
    )
    assert "48 usable images" in out
    assert "Report: " in out
    assert (tmp_path / "runs/first/report.html").is_file()
    assert any((tmp_path / "runs/first/checkpoints").iterdir())
    assert list((tmp_path / "runs/first/evaluations").glob("*/evaluation.html"))
    assert not (tmp_path / "faces/.jaxfer").exists()


def test_preparing_needs_a_library_that_is_named(on_windows, tmp_path):
    class_folders.words(tmp_path / "faces", 1)
    code, _, err = on_windows(jaxfer("data", "prepare", "faces", "--out", "prepared"))
    assert code == 2
    assert err.startswith("error: prepared data lies in files of array-record, a library that is not installed")
    assert not (tmp_path / "prepared").exists()


HELD = """
import pathlib
from jaxfer.errors import UserError
from jaxfer.files import hold

folder = pathlib.Path("held")
folder.mkdir()
with hold(folder):
    try:
        hold(folder).__enter__()
    except UserError as error:
        print(error)
with hold(folder):
    print("free again")
"""


def test_a_folder_is_held_by_one(on_windows):
    code, out, err = on_windows(HELD)
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith("held is in use by process ")
    assert second == "free again"


def test_a_system_without_any_locks_refuses_to_hold_a_folder(on_windows):
    code, out, err = on_windows(
        "MISSING.add('msvcrt'); del sys.modules['msvcrt']" + HELD.replace("with hold", "if 1:#")
    )
    assert (code, err) == (0, "")
    assert out.startswith("held cannot be kept from other processes, since this system knows no locks: train on Linux")


def test_folders_that_are_ours_are_gone_about_by_their_paths_and_links_are_refused(on_windows, tmp_path):
    (tmp_path / "theirs" / "1-1").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    program = """
    import pathlib, re
    from jaxfer.errors import UserError
    from jaxfer.files import opened, own, remove, sync_all
    names, ours = re.compile("[0-9]-[0-9]"), pathlib.Path("ours")
    own(ours, names)
    own(ours, names)
    (ours / "1-1").mkdir()
    (ours / "1-1" / "away").symlink_to(pathlib.Path("theirs").absolute())
    sync_all(ours)
    remove(ours, names.fullmatch)
    remove(pathlib.Path("link"), names.fullmatch)
    remove(pathlib.Path("theirs"), names.fullmatch)
    print(sorted(path.name for path in ours.iterdir()))
    for path in ("theirs", "nowhere"):
        try:
            opened(path)
        except OSError as error:
            print(error.strerror)
    try:
        own(pathlib.Path("link"), names)
    except UserError as error:
        print(error)
    """
    code, out, err = on_windows(program)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "['CACHEDIR.TAG']",
        "a folder, not a file",
        "No such file or directory",
        "link is a link, and jaxfer writes through none: move it away",
    ]
    assert (tmp_path / "theirs" / "1-1").is_dir()
