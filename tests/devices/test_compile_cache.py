"""Compiled programs on the disk: found again, with the same results, and never in the way."""

import os
import subprocess
import sys
import zlib

import pytest

from jaxfer.devices import compile_cache
from jaxfer.devices.compile_cache import keep_compiled_programs

PROGRAM = """
import jax, jax.monitoring, jax.numpy as jnp
from jaxfer.devices.compile_cache import keep_compiled_programs
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event) if event.endswith("cache_hits") else None)
keep_compiled_programs()
x = jnp.linspace(-3.0, 3.0, 1000).reshape(10, 100)
print(float(jax.jit(lambda x: jnp.sum(jnp.tanh(x @ x.T) * jnp.exp(x[:, :10])))(x)).hex(), bool(hits))
"""


def result(home, **environment):
    """Return what the program computes in a fresh process, and whether it found a compiled one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XDG_"))}
    kept |= {"XDG_CACHE_HOME": str(home), "PYTHONWARNINGS": "error"} | environment
    command = [sys.executable, "-c", PROGRAM]
    finished = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=600, check=False)
    assert finished.returncode == 0, finished.stderr
    assert not finished.stderr
    return tuple(finished.stdout.split())


@pytest.mark.long
def test_the_next_process_finds_what_this_one_compiled_and_gets_the_same_bits(tmp_path):
    without = result(tmp_path, JAX_ENABLE_COMPILATION_CACHE="false")
    assert not list(tmp_path.iterdir())
    first, second = result(tmp_path), result(tmp_path)
    assert (first[1], second[1]) == ("False", "True")
    assert without[0] == first[0] == second[0]


@pytest.mark.long
def test_programs_that_a_killed_process_left_unfinished_are_replaced_without_a_word(tmp_path):
    result(tmp_path)
    programs = list((tmp_path / "jaxfer" / "programs").glob("*/*-cache"))
    assert programs
    for program in programs:
        program.write_bytes(program.read_bytes()[:100])
    assert result(tmp_path)[1] == "False"
    assert result(tmp_path)[1] == "True"


def test_a_folder_that_cannot_be_made_changes_nothing(tmp_path):
    (tmp_path / "jaxfer").write_text("a file in the way")
    assert result(tmp_path)[1] == "False"


@pytest.mark.few(1)
@pytest.mark.parametrize("link", ["jaxfer", "jaxfer/programs"])
def test_nothing_is_written_or_removed_through_a_link(tmp_path, link):
    theirs = tmp_path / "theirs"
    for folder in (theirs, theirs / "programs"):
        (folder / "x86_64-0").mkdir(parents=True)
        (folder / "x86_64-0/damaged-cache").write_bytes(b"")
    (tmp_path / "home" / link).parent.mkdir(parents=True)
    (tmp_path / "home" / link).symlink_to(theirs)
    before = sorted(theirs.rglob("*"))
    assert result(tmp_path / "home")[1] == "False"
    assert sorted(theirs.rglob("*")) == before


def test_the_folder_that_a_user_chose_is_left_alone(tmp_path):
    assert keep_compiled_programs() is None  # the tests' own
    chosen = tmp_path / "chosen"
    result(tmp_path / "home", JAX_COMPILATION_CACHE_DIR=str(chosen), JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0")
    assert list(chosen.iterdir())
    assert not (tmp_path / "home").exists()


def test_the_least_used_programs_go_when_there_are_too_many(tmp_path, monkeypatch):
    folder = tmp_path / "x86_64-0"
    folder.mkdir()
    size = len(zlib.compress(b"program"))
    monkeypatch.setattr(compile_cache, "MOST_BYTES", 2 * size)
    for age, name in enumerate(["new", "used", "old"]):
        path = folder / f"{name}-cache"
        path.write_bytes(zlib.compress(b"program"))
        os.utime(path, (1e9 - age, 1e9))
    compile_cache._tidy(tmp_path, folder / "last-start")
    assert {path.name for path in folder.iterdir()} == {"new-cache", "used-cache", "last-start"}


@pytest.mark.parametrize("name", ["", "not/absolute"])
def test_a_cache_home_that_is_no_absolute_path_is_ignored(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", name)
    assert compile_cache._cache_home().parent in (tmp_path, tmp_path / "Library")
