"""The programs of docs/extending.md, one after another."""

import re
import sys
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest

pytestmark = pytest.mark.long

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text()


# Slow: each program has a network, a task, a transform or a gradient that nothing has compiled.
def test_its_programs_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loggers = {name: MagicMock() for name in ("wandb", "mlflow")}  # which need not be installed
    for name, module in loggers.items():
        monkeypatch.setitem(sys.modules, name, module)
    programs = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(programs) == 13
    names = {}
    for program in programs:
        exec(compile(program, "docs/extending.md", "exec"), names)
        assert np.isfinite(names["rows"][-1]["val_loss"])
    low, high = names["val"]["intervals"]["brightness_mae"]
    assert low <= names["val"]["brightness_mae"] <= high
    assert names["val"]["brightness_examples"] == 56
    assert (names["maps"].shape, names["maps"].min() >= 0) == ((2, 16, 16), True)
    assert {"summary.json", "report.html"} <= {path.name for path in (tmp_path / "runs/bright").iterdir()}
    assert "brightness_mae" in names["found"].scores
    assert [row.status for row in names["swept"].rows] == ["finished", "finished"]
    assert 0 < names["best"].accuracy <= 1
    (logged,), at = loggers["wandb"].init.return_value.log.call_args
    assert (logged["val_accuracy"], at) == (logged["val_accuracy"], {"step": logged["step"]})
    assert all(isinstance(value, int | float) for value in logged.values())
    (measured,), at = loggers["mlflow"].log_metrics.call_args
    assert (measured.keys(), at["step"]) == (logged.keys(), measured["step"])
    loggers["wandb"].init.return_value.finish.assert_called_once_with()
    loggers["mlflow"].end_run.assert_called_once_with()
    np.testing.assert_allclose(names["model"].probabilities(names["images"]).sum(1), 1, rtol=1e-5)
