"""What each part of the recipe is worth: runs are compared on the same images, and those of unlike conditions never."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jaxfer import UserError

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ablation.py"


@pytest.fixture
def ablation(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    return runpy.run_path(str(SCRIPT))


def row(name, right):
    return {"name": name, "correct": np.packbits(right).tobytes().hex()}


def test_a_run_is_held_against_the_whole_recipe_image_by_image(ablation):
    whole = np.array([True] * 6 + [False] * 5)
    other = np.array([True] * 3 + [False] * 7 + [True])  # 11 images, which fill no byte
    rows = [row("without", other), row(ablation["WHOLE"], whole)]
    ablation["compared"](rows, 11)
    compared = rows[0]["compared"]
    assert (compared["only_first"], compared["only_second"], compared["examples"]) == (1, 3, 11)
    assert compared["difference"] == pytest.approx(-2 / 11)
    assert compared["p_value"] == pytest.approx(0.625)
    assert "compared" not in rows[1]


def test_each_run_differs_from_the_recipe_in_one_thing(ablation):
    recipe = ablation["RUNS"].pop(ablation["WHOLE"])
    for name, config in ablation["RUNS"].items():
        differ = [part for part in vars(recipe) if getattr(config, part) != getattr(recipe, part)]
        assert len(differ) == 1, name
        assert config == replace(recipe, **{differ[0]: getattr(config, differ[0])})


def test_runs_of_other_conditions_are_not_mixed(tmp_path, ablation):
    file = tmp_path / "ablation.json"
    same = {"epochs": 3, "fingerprint": "a"}
    assert ablation["begun"](file, same) == same | {"rows": []}
    file.write_text(json.dumps(same | {"rows": [{"name": "first"}]}))
    assert ablation["begun"](file, same)["rows"] == [{"name": "first"}]
    for other, name in (({"epochs": 4, "fingerprint": "a"}, "epochs"), ({"epochs": 3, "fingerprint": "b"}, "finger")):
        with pytest.raises(UserError, match=rf"ablation.json has runs with other {name}\S*: name another file"):
            ablation["begun"](file, other)
