"""The page about sweeps: every command of it is one, and its programs run."""

import re
from pathlib import Path
from unittest.mock import MagicMock

import pytest

import jaxfer.devices
from jaxfer.cli.main import parse
from jaxfer.models import MODELS, ResNetFER

PAGE = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text()
COMMANDS = re.findall(r"^jaxfer (.+)$", PAGE, re.MULTILINE)
PROGRAMS = re.findall(r"^```python\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("command", [command for command in COMMANDS if "--resume" not in command])
def test_every_command_says_a_search(command):
    assert parse(command.split())._search().cells


# Slow: the first of them trains two runs and ends them as sweeps do, with all scores and pages.
@pytest.mark.long
@pytest.mark.usefixtures("blank_figures")
@pytest.mark.parametrize("program", PROGRAMS, ids=["sweep", "optuna"])
def test_every_program_runs(program, tmp_path, monkeypatch, capsys):
    if "optuna" in program:
        pytest.importorskip("optuna")
    # Of the sizes of tests/examples, and of a network that compiles in a moment.
    sizes = "drawn_train=42, drawn_val=21, image_size=32), batch_size=21"
    smaller = program.replace("drawn_train=700, drawn_val=140)", sizes).replace("n_trials=10", "n_trials=3")
    assert sizes in smaller
    monkeypatch.setitem(MODELS, "published", lambda **fields: ResNetFER(width=8, stage_sizes=(), **fields))
    tuned = MagicMock()  # for JAX has started
    monkeypatch.setattr(jaxfer.devices, "tune_for_cpu", tuned)
    monkeypatch.chdir(tmp_path)
    exec(compile(smaller, "docs/sweeps.md", "exec"), {})
    tuned.assert_called_once_with()
    assert "learning_rate" in capsys.readouterr().out
