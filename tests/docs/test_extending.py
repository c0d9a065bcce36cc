"""The programs of docs/extending.md, one after another."""

import re
from pathlib import Path

import numpy as np

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text()


# Slow: each program has a network, a task, a transform or a gradient that nothing has compiled.
def test_its_programs_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    programs = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(programs) == 8
    names = {}
    for program in programs:
        exec(compile(program, "docs/extending.md", "exec"), names)
        assert np.isfinite(names["rows"][-1]["val_loss"])
    low, high = names["val"]["intervals"]["brightness_mae"]
    assert low <= names["val"]["brightness_mae"] <= high
    assert names["val"]["brightness_examples"] == 70
    assert 0 < names["best"].accuracy <= 1
    np.testing.assert_allclose(names["model"].probabilities(names["images"]).sum(1), 1, rtol=1e-5)
