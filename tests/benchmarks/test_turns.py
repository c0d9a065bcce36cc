"""The scripts that compare run, leave out who is not there, and compare the same work."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfer.config import ModelConfig
from jaxfer.models import make_model

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def compare(out, *flags):
    command = [sys.executable, BENCHMARKS / "train_step.py", out, "--network", "seed", "--batch", "32", "--rounds", "2"]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text())["runs"]


def test_contenders_take_turns_and_who_is_not_there_is_left_out(tmp_path):
    out = tmp_path / "train_step.json"
    compare(out, "--contender", "jaxfer", "Flax", "ONNX Runtime")
    first, second = compare(out, "--append", "--contender", "jaxfer", "Flax")
    (case,) = first["cases"]
    assert set(case["ms"]) == {"jaxfer", "Flax"}
    assert set(case["absent"]) == {"ONNX Runtime"}
    assert all(len(rounds) == 2 for rounds in case["ms"].values())
    assert set(case["ratio_to"]) == {"Flax"}
    assert {words["parameters"] for words in case["contenders"].values()} == {158_279}
    assert second["cases"][0]["absent"] == {}


@pytest.mark.usefixtures("benchmarks")
@pytest.mark.parametrize("variant", ["seed", "resnet18", "resnet50"])
def test_plain_flax_is_the_same_network(variant):
    from contenders.plain_flax import Network

    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    plain = Network(variant, jnp.float32)
    variables = jax.jit(plain.init)(jax.random.key(0), images)
    ours = make_model(ModelConfig(variant=variant), 7)
    np.testing.assert_allclose(ours.apply(variables, images), plain.apply(variables, images), rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("benchmarks")
def test_other_networks_and_networks_that_do_not_learn_are_refused():
    from contenders.case import Case
    from turns import check_same_work

    learning = {"parameters": 5, "losses": [2.0, 1.9]}
    check_same_work(Case("train", "seed", 32), {"jaxfer": learning, "Flax": learning})
    with pytest.raises(ValueError, match="not the same network"):
        check_same_work(Case("train", "seed", 32), {"jaxfer": learning, "Flax": learning | {"parameters": 6}})
    with pytest.raises(ValueError, match="Flax does not learn"):
        check_same_work(Case("train", "seed", 32), {"jaxfer": learning, "Flax": learning | {"losses": [1.9, 2.0]}})


@pytest.mark.usefixtures("benchmarks")
def test_ratios_are_of_the_same_rounds():
    from turns import ratios

    found = ratios({"jaxfer": [1.0, 10.0, 2.0], "Flax": [2.0, 30.0, 2.0]})
    assert found == {"Flax": {"median": 2.0, "low": 1.5, "high": 2.5}}
