"""What is kept of a sweep: its parts, trained apart, become one file, and nothing of it is written over."""

import json
import runpy
import sys
from pathlib import Path

import pytest
from made_runs import RATES_BY_EPOCHS, accuracy, write_sweep

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "grid.json"


@pytest.fixture
def collect(out, monkeypatch, capsys):
    """Return a function that runs the script on a sweep and returns its exit code and what it said of errors."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def run(sweep_dir):
        monkeypatch.setattr(sys, "argv", ["collect_sweep.py", str(sweep_dir), str(out)])
        try:
            runpy.run_path(str(BENCHMARKS / "collect_sweep.py"), run_name="__main__")
        except SystemExit as ended:
            return ended.code or 0, capsys.readouterr().err
        return 0, capsys.readouterr().err

    return run


@pytest.fixture
def begun(tmp_path, out, collect):
    """A grid of three learning rates, the second of which has not been trained."""
    code, errors = collect(write_sweep(tmp_path / "begun", RATES_BY_EPOCHS, accuracy, unfinished=[1]))
    assert code == 0, errors
    return json.loads(out.read_text())


def test_a_part_trained_apart_fills_the_cells_it_has(tmp_path, out, collect, begun):
    assert {row["status"] for row in begun["rows"]} == {"finished", "unfinished"}
    assert len(begun["runs"]) == 2
    missing = {**RATES_BY_EPOCHS, "optimizer.learning_rate": RATES_BY_EPOCHS["optimizer.learning_rate"][1:2]}
    part = write_sweep(tmp_path / "part", missing, accuracy)
    for _ in range(2):  # A part that is there already changes nothing.
        assert collect(part)[0] == 0
        whole = json.loads(out.read_text())
        assert {row["status"] for row in whole["rows"]} == {"finished"}
        assert set(whole["runs"]) == {row["run"] for row in whole["rows"]}
        assert [row["values"] for row in whole["rows"]] == [row["values"] for row in begun["rows"]]
        assert all(row["scores"]["accuracy"] == accuracy(row["values"], row["epoch"]) for row in whole["rows"])


def test_another_result_grid_or_experiment_is_refused(tmp_path, out, collect, begun):
    before = out.read_bytes()
    others = {
        "another result": (RATES_BY_EPOCHS, lambda values, epoch: 0.25),
        "no cell of": ({**RATES_BY_EPOCHS, "epochs": [7]}, accuracy),
    }
    for complaint, (fields, scored) in others.items():
        code, errors = collect(write_sweep(tmp_path / complaint, fields, scored))
        assert (code, before) == (2, out.read_bytes())
        assert complaint in errors
    out.write_text(json.dumps(begun | {"fingerprint": "of other faces"}))
    code, errors = collect(tmp_path / "begun")
    assert code == 2
    assert "is of another fingerprint" in errors
