"""What a run that nobody watches says: one line before the first step, one for each epoch, and one a minute."""

import contextlib
import io
import math

from made_runs import epoch

from jaxfer.config import Config, ModelConfig, OptimizerConfig
from jaxfer.reports import ProgressBar, progress
from jaxfer.training import Begun


def test_without_a_terminal_there_is_a_line_at_the_start_and_one_for_each_minute(monkeypatch, capsys):
    clock = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock)
    bar = ProgressBar()
    bar.begin(Begun(Config(epochs=3), None, steps_per_epoch=1000, step=0, rows=[], seconds=0.0))
    assert capsys.readouterr().out == "compiling, then steps 1 to 3,000\n"
    said = []
    for second, step in ((30, 100), (59, 200), (61, 300), (62, 301), (122, 700)):
        clock = float(second)
        bar.step(step, 1.25)
        said.append(capsys.readouterr().out)
    assert said == ["", "", "step 300 of 3,000  loss 1.2500\n", "", "step 700 of 3,000  loss 1.2500\n"]
    clock = 170.0
    bar.epoch(epoch(1, 0.5))
    assert capsys.readouterr().out.startswith("epoch 1/3  train loss")
    clock = 200.0  # half a minute since a line, if no step's
    bar.step(1100, 1.0)
    bar.end()
    assert capsys.readouterr().out == ""


def said(config, *rows, chance=(0.15, 0.14)):
    """Return what a bar says besides the lines of these epochs."""
    console = io.StringIO()
    with contextlib.redirect_stdout(console):
        bar = ProgressBar()
        bar.begin(Begun(config, None, steps_per_epoch=10, step=0, rows=[], seconds=0.0, chance=chance))
        for row in rows:
            bar.epoch(row)
        bar.end()
    return [line for line in console.getvalue().splitlines()[1:] if not line.startswith("epoch")]


LEARNING = epoch(1, 0.15, accuracy=0.4)


def test_validation_at_chance_while_training_is_not_is_explained_once():
    (note,) = said(Config(), LEARNING, LEARNING)
    assert note.startswith(
        "note: validation is at chance (0.1500; always answering the commonest class: 0.1400) while training has 0.4000"
    )
    assert "--schedule cosine" in note
    assert "--statistics-images 4096" in note


def test_what_has_another_reason_is_not_explained_so():
    assert not said(Config(), epoch(1, 0.15, accuracy=0.2))
    assert not said(Config(), epoch(1, 0.3, accuracy=0.9))
    assert not said(Config(), epoch(1, math.nan, accuracy=0.9))
    # As where classes are as frequent in validation as they are not in training.
    assert not said(Config(), epoch(1, 0.15, accuracy=0.5), chance=(0.47, 0.14))
    assert not said(Config(optimizer=OptimizerConfig(statistics_images=64)), LEARNING)
    assert not said(Config(model=ModelConfig(variant="networks:Convolutional")), LEARNING)


def test_a_run_with_nothing_left_to_do_says_nothing_of_steps(capsys):
    bar = ProgressBar()
    bar.begin(Begun(Config(epochs=3), None, steps_per_epoch=10, step=30, rows=[], seconds=0.0))
    bar.end()
    assert capsys.readouterr().out == ""


def test_teachers_that_take_long_are_told_of(monkeypatch, capsys):
    clock = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock)
    bar = ProgressBar()
    bar.begin(Begun(Config(), None, steps_per_epoch=10, step=0, rows=[], seconds=0.0))
    bar.teach(0, 500)
    clock = 60.0
    bar.teach(200, 500)
    bar.end()
    assert capsys.readouterr().out.splitlines()[1:] == ["teachers: 200 of 500 images"]
