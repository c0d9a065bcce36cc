"""The page about fine-tuning: its commands are ones, and its program runs."""

import re
import shlex
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

import jaxfer.models
from jaxfer.cli.main import parse
from jaxfer.models import BasicBlock, ResNetFER18

PAGE = (Path(__file__).parents[2] / "docs" / "finetuning.md").read_text()
COMMANDS = re.findall(r"^jaxfer ([^#\n]+)", PAGE, re.MULTILINE)
(PROGRAM,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one(command):
    assert parse(shlex.split(command))


def test_every_file_has_flags_that_are_some():
    rows = [cells.split("|")[2] for cells in re.findall(r"^\| .*", PAGE, re.MULTILINE)]
    flags = [flag for row in rows for flag in re.findall(r"`(--[^`]+)`", row) if "--variant" in flag]
    assert len(flags) == 4
    for flag in flags:
        assert parse(["train", "--preset", "finetune", "--pretrained", "weights.pth", *shlex.split(flag)])


def torchs(path, leaf):
    """Return the key and the array of an array of ResNet-18, as PyTorch has them."""
    words = {"stem_conv": "conv1", "stem_norm": "bn1", "kernel": "weight", "scale": "weight", "mean": "running_mean"}
    words |= {"var": "running_var", "shortcut_conv": "downsample.0", "shortcut_norm": "downsample.1"}
    words |= {f"norm{n}": f"bn{n}" for n in (1, 2)}
    found = [words.get(key.key, key.key) for key in path[1:]]
    key = re.sub(r"stage(\d)_block(\d)", lambda m: f"layer{m[1]}.{int(m[2]) - 1}", ".".join(found))
    return key, np.ascontiguousarray(leaf.transpose(3, 2, 0, 1) if leaf.ndim == 4 else leaf)


@pytest.mark.long
def test_the_program_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    small = partial(ResNetFER18, width=4, block=BasicBlock)
    monkeypatch.setattr(jaxfer.models, "ResNetFER18", small)
    shapes = jax.eval_shape(small().init, jax.random.key(0), np.zeros((1, 64, 64, 3), np.float32))
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    arrays = dict(torchs(path, leaf) for path, leaf in jax.tree.leaves_with_path(zeros) if path[1].key != "head")
    save_file(arrays | {"fc.weight": np.zeros((1000, 32), np.float32)}, tmp_path / "resnet18.safetensors")
    monkeypatch.chdir(tmp_path)
    exec(PROGRAM, {})
    assert PROGRAM.split("# ")[1].split(" ...")[0] in capsys.readouterr().out
