"""The page about sweeps: every command of it is one, and its programs run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from jaxfer.cli.main import parse

PAGE = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text()
COMMANDS = re.findall(r"^jaxfer (.+)$", PAGE, re.MULTILINE)
PROGRAMS = re.findall(r"^```python\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("command", [command for command in COMMANDS if "--resume" not in command])
def test_every_command_says_a_search(command):
    assert parse(command.split())._search().cells


# Slow: each trains several runs, in a process of its own, as a reader would.
@pytest.mark.parametrize("program", PROGRAMS, ids=["sweep", "optuna"])
def test_every_program_runs(program, tmp_path):
    if "optuna" in program:
        pytest.importorskip("optuna")
    # Of the sizes of tests/examples, which compile the same.
    sizes = "drawn_train=42, drawn_val=21, image_size=32), batch_size=21"
    smaller = program.replace("drawn_train=700, drawn_val=140)", sizes)
    assert smaller != program
    command = [sys.executable, "-c", smaller.replace("n_trials=10", "n_trials=3")]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "learning_rate" in ended.stdout
