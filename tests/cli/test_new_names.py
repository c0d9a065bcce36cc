"""The words of the release before, as they are still taken."""

import pytest

from jaxfer.cli.flags import TrainingFlags
from jaxfer.cli.main import parse
from jaxfer.cli.new_names import with_new_names
from jaxfer.config import PRESETS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("train --preset seed --seed 3", "train --preset published --seed 3"),
        ("train --preset=seed", "train --preset=published"),
        ("train --variant seed --epochs 3", "train --variant published --epochs 3"),
        ("train --valence-arousal --epochs 3", "train --heads affect --epochs 3"),
        ("train --valence_arousal", "train --heads affect"),
        ("train --no-valence-arousal --epochs 3", "train --heads --epochs 3"),
        ("train --affect-weight 0.5", "train --head-weight 0.5"),
        ("train --affect_weight=0.5", "train --head-weight=0.5"),
        ("evaluate runs/a --flip --json", "evaluate runs/a --views flip --json"),
        ("evaluate --no-flip runs/a", "evaluate --views one runs/a"),
        ("sweep --over variant=seed,resnet18", "sweep --over variant=published,resnet18"),
        ("sweep --over=model.variant=resnet18,seed", "sweep --over=model.variant=resnet18,published"),
        ("sweep --over affect-weight=1,2", "sweep --over head_weight=1,2"),
        ("sweep --over loss.affect_weight=1,2", "sweep --over head_weight=1,2"),
        ("sweep --over valence_arousal=True,false", 'sweep --over heads=["affect"],[]'),
    ],
)
def test_old_words_become_new_ones_with_one_note_each(old, new, capsys):
    assert with_new_names(old.split()) == new.split()
    notes = capsys.readouterr()
    assert notes.out == ""
    (line,) = notes.err.splitlines()
    assert line.startswith("note: ")
    assert "now; the next release knows no other" in line
    assert with_new_names(new.split()) == new.split()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "arguments",
    [
        "train --flip --epochs 3",
        "sweep --over seed=1,2 --draw-seed 3",
        "train --run-dir seed --preset",
        "sweep --over variant=seed:Net",
        "--over",
    ],
)
def test_what_was_never_called_otherwise_keeps_its_name(arguments, capsys):
    assert with_new_names(arguments.split()) == arguments.split()
    assert capsys.readouterr().err == ""


def test_commands_and_programs_take_old_words(capsys):
    flags = parse(["train", "--preset", "seed", "--valence-arousal", "--affect-weight", "2"])
    assert flags.config.epochs == PRESETS["published"].epochs
    assert flags.config.model.heads == ("affect",)
    assert flags.config.loss.head_weight == 2
    assert TrainingFlags.parse(["--preset", "seed"]).config == PRESETS["published"]
    assert len(capsys.readouterr().err.splitlines()) == 4
    cells = parse(["sweep", "--over", "valence_arousal=true,false", "--over", "variant=seed,resnet18"])._search().cells
    assert [(cell.config.model.heads, cell.config.model.variant) for cell in cells] == [
        (("affect",), "published"),
        (("affect",), "resnet18"),
        ((), "published"),
        ((), "resnet18"),
    ]
