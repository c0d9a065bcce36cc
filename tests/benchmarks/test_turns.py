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
    command = [sys.executable, BENCHMARKS / "train_step.py", out, "--network", "published"]
    command += ["--batch", "32", "--rounds", "2"]
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
@pytest.mark.parametrize("variant", ["published", "resnet18", "resnet50"])
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
    check_same_work(Case("train", "published", 32), {"jaxfer": learning, "Flax": learning})
    with pytest.raises(ValueError, match="not the same network"):
        check_same_work(Case("train", "published", 32), {"jaxfer": learning, "Flax": learning | {"parameters": 6}})
    with pytest.raises(ValueError, match="Flax does not learn"):
        check_same_work(Case("train", "published", 32), {"jaxfer": learning, "Flax": learning | {"losses": [1.9, 2.0]}})


@pytest.mark.usefixtures("benchmarks")
def test_ratios_are_of_the_same_rounds():
    from turns import ratios

    found = ratios({"jaxfer": [1.0, 10.0, 2.0], "Flax": [2.0, 30.0, 2.0]})
    assert found == {"Flax": {"median": 2.0, "low": 1.5, "high": 2.5}}


@pytest.mark.usefixtures("benchmarks")
def test_what_was_measured_is_kept_after_each_case_as_one_run(tmp_path):
    from command import keep, parser

    out = tmp_path / "out.json"
    for number in (1, 2):
        asked = parser("").parse_args([str(out), "--append"])
        keep(asked, {"cases": [1]})
        keep(asked, {"cases": [1, 2]})
        assert [run["cases"] for run in json.loads(out.read_text())["runs"]] == [[1, 2]] * number


@pytest.mark.usefixtures("benchmarks")
def test_a_network_asks_for_what_its_direct_convolutions_multiply():
    from arithmetic import operations
    from contenders.case import Case

    once = {"stem": 2 * 32 * 32 * 64 * 7 * 7 * 3, "stage1": 4 * 2 * 16 * 16 * 64 * 3 * 3 * 64, "head": 2 * 64 * 7}
    assert operations(Case("infer", "published", 1)) == once
    # In training each product has a gradient for either factor, but images need none.
    trained = {name: 4 * times * once[name] for name, times in {"stem": 2, "stage1": 3, "head": 3}.items()}
    assert operations(Case("train", "published", 4)) == trained


def test_images_on_the_device_are_the_same_steps():
    described = json.dumps({"work": "train", "network": "published", "batch": 1})
    losses = []
    for way in ("host", "resident"):
        command = [sys.executable, BENCHMARKS / "contender.py", "ours", way, described]
        done = subprocess.run(command, input="", capture_output=True, text=True, timeout=600, check=True)
        losses.append(json.loads(done.stdout)["losses"])
    np.testing.assert_allclose(*losses, rtol=1e-3)
