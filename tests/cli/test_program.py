"""Exit codes, and the sentence at the end of what went wrong."""

import errno
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import commands
import jax
import pytest

import jaxfer
from jaxfer.cli.program import run
from jaxfer.errors import Interrupted, UserError


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (UserError("the folder [bold]x[/bold] is empty: pass another"), 2, "error: the folder [bold]x[/bold] is empty"),
        (Interrupted(7, signal.SIGTERM), 143, "stopped by SIGTERM after step 7, all of it saved."),
        (Interrupted(7, signal.SIGINT), 130, "stopped by SIGINT after step 7, all of it saved."),
        (KeyboardInterrupt(), 130, "stopped"),
        (MemoryError(), 2, "error: memory ran out: to train, lower batch_size (--batch-size)"),
        (OSError(errno.ENOMEM, "no memory"), 2, "error: memory ran out ([Errno 12] no memory): "),
        (
            jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 33 bytes."),
            2,
            "error: memory ran out (Out of memory allocating 33 bytes): to train",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/a/b"),
            2,
            "error: /a/b cannot be reached (Permission denied): ",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            2,
            "error: a file cannot be reached (No space left on device): ",
        ),
        (UserError("\x1b]0;x\x07\u202egpj.exe"), 2, r"error: \x1b]0;x\x07\u202egpj.exe"),
    ],
)
def test_a_program_ends_with_one_sentence_and_its_code(raised, code, words, capsys):
    def main():
        raise raised

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == code
    assert capsys.readouterr().err.startswith(words)


@pytest.mark.parametrize("lines", [1, 100_000], ids=["at the end", "meanwhile"])
def test_whoever_reads_the_output_may_stop(lines):
    program = f"from jaxfer.cli.program import run\nrun(lambda: [print('x' * 50) for _ in range({lines})])"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (128 + signal.SIGPIPE, "")


def test_pipes_that_are_not_the_output_keep_their_traceback():
    def main():
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run(main)


def test_errors_of_our_own_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 // 0)
    with pytest.raises(FileNotFoundError):
        run(Path("none").stat)


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "NAME"],
        ["data", "check", "NAME"],
        ["data", "prepare", "NAME", "--out", "out"],
    ],
    ids=" ".join,
)
def test_a_path_longer_than_any_disk_has_is_a_sentence(arguments, capsys):
    code = commands.jaxfer(*(one.replace("NAME", "x" * 5000) for one in arguments))
    said = capsys.readouterr().err
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith("error: x")
    assert "(File name too long)" in said


def test_a_device_without_memory_is_told_in_a_sentence(tmp_path):
    """A hundred gigabytes, which no machine of the tests has, stand in for what fills an accelerator."""
    program = (
        "from jaxfer.cli.program import run\nimport jax, jax.numpy as jnp\n"
        "run(lambda: jax.jit(lambda x: jnp.zeros((2**24, 2**24)) + x)(1.0).block_until_ready())"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("error: memory ran out (Out of memory"), found.stderr


@pytest.fixture
def quiet(monkeypatch):
    """Have a program come to its end, and put back what it has changed."""
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    for logger in loggers:
        monkeypatch.setattr(logger, "filters", list(logger.filters))
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    run(lambda: None)


def record(logger, path, message):
    return logging.getLogger(logger).makeRecord(logger, logging.ERROR, path, 1, message, (), None)


@pytest.mark.usefixtures("quiet")
def test_orbaxs_own_tracebacks_are_not_printed_and_those_of_others_are():
    path = "/site-packages/orbax/checkpoint/futures.py"
    task = "Task exception was never retrieved: coro=<save() at /site-packages/orbax/x.py>"
    for logger, place, message, shown in [
        ("absl", path, "failed", False),
        ("absl", "/site-packages/etils/epath.py", "failed", True),
        ("asyncio", "/asyncio/base_events.py", task, False),
        ("asyncio", "/asyncio/base_events.py", "Task was destroyed but it is pending", True),
    ]:
        assert bool(logging.getLogger(logger).filter(record(logger, place, message))) == shown


@pytest.mark.usefixtures("quiet")
def test_what_cannot_be_raised_is_shown_unless_a_task_outlives_its_loop(capsys):
    class Failing:
        def __init__(self, message):
            self.message = message

        def __del__(self):
            raise RuntimeError(self.message)

    for message in ("Event loop is closed", "the disk fell off"):
        Failing(message)
    error = capsys.readouterr().err
    assert "RuntimeError: the disk fell off" in error
    assert "Event loop" not in error


CHANGES_ITS_MIND = """
import sys
from pathlib import Path
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "tyro":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
sys.argv = ["jaxfer", "--help"]
from jaxfer.__main__ import main
main()
"""


PRINTS_A_NAME = """
from jaxfer.cli import main
from jaxfer.cli.program import run
run(lambda: print("caf\\udce9 \\u8868"))
"""


@pytest.mark.parametrize(
    ("command", "code", "out", "errors"),
    [
        (["-c", CHANGES_ITS_MIND], 130, "", "stopped\n"),
        (["-m", "jaxfer", "--version"], 0, f"jaxfer {jaxfer.__version__}\n", ""),
        (["-m", "jaxfer", "trian"], 2, "", "train"),
        (["-c", PRINTS_A_NAME], 0, "caf\\udce9 \\u8868\n", ""),
    ],
    ids=["Ctrl-C while importing", "version", "a mistyped verb", "a terminal without the name's characters"],
)
def test_the_command_as_a_process(command, code, out, errors):
    ended = subprocess.run(
        [sys.executable, *command],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (code, out), ended.stderr
    assert errors in ended.stderr
    assert "Traceback" not in ended.stderr
