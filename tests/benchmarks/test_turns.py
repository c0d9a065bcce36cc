"""The scripts that compare run, leave out who is not there, and compare the same work."""

import json
import runpy
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import drawn, logits

from jaxfer import export_model, load_model
from jaxfer.config import ModelConfig
from jaxfer.models import ResNetFER, make_model

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture
def compare(benchmarks, tmp_path, monkeypatch):
    """Return a function that runs a comparison here, whose contenders have processes of their own, and its runs."""
    import turns

    monkeypatch.setattr(turns, "TURN", 0.05)
    out = tmp_path / "out.json"

    def run(script, *flags):
        monkeypatch.setattr(sys, "argv", [script, str(out), "--network", "published", "--rounds", "2", *flags])
        runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
        return json.loads(out.read_text())["runs"]

    return run


# Whose contenders apply the network: they compile less than those that train it.
@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "batch"), [("inference.py", "1"), pytest.param("train_step.py", "32", marks=pytest.mark.slow)]
)
def test_contenders_take_turns_and_who_is_not_there_is_left_out(compare, script, batch):
    compare(script, "--batch", batch, "--contender", "jaxfer", "Flax", "ONNX Runtime")
    first, second = compare(script, "--batch", batch, "--append", "--contender", "jaxfer")
    (case,) = first["cases"]
    assert set(case["ms"]) == {"jaxfer", "Flax"}
    assert set(case["absent"]) == {"ONNX Runtime"}
    assert all(len(rounds) == 2 for rounds in case["ms"].values())
    assert set(case["ratio_to"]) == {"Flax"}
    assert {words["parameters"] for words in case["contenders"].values()} == {158_279}
    (again,) = second["cases"]
    assert set(again["ms"]) == {"jaxfer"}
    assert again["absent"] == {}


# One block a stage, where the others are built alike: the whole networks compile for long.
@pytest.mark.few(1)
@pytest.mark.usefixtures("benchmarks")
@pytest.mark.parametrize(
    ("variant", "blocks"),
    [
        ("published", (2,)),
        ("small", (1, 1, 1)),
        ("resnet18", (1, 1, 1, 1)),
        ("resnet50", (1, 1, 1, 1)),
        pytest.param("resnet18", (2, 2, 2, 2), marks=pytest.mark.slow),
        pytest.param("resnet50", (3, 4, 6, 3), marks=pytest.mark.slow),
    ],
)
def test_plain_flax_is_the_same_network(variant, blocks, monkeypatch):
    from contenders.case import Case
    from contenders.plain_flax import BLOCKS, Network

    images = Case("train", variant, 2).batches()[0][0]
    plain, ours = Network(variant, jnp.float32), make_model(ModelConfig(variant=variant), 7)

    def shapes(model):
        return jax.tree.map(lambda leaf: leaf.shape, jax.eval_shape(model.init, jax.random.key(0), images))

    assert BLOCKS[variant] == ours.stage_sizes
    assert shapes(plain) == shapes(ours)
    monkeypatch.setitem(BLOCKS, variant, blocks)
    variables = drawn(plain, images)
    found = logits(ours.clone(stage_sizes=blocks), variables, images)
    np.testing.assert_allclose(found, jax.jit(plain.apply)(variables, images), rtol=1e-4, atol=1e-4)


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
@pytest.mark.parametrize(("rotating", "order"), [(True, "abcbca"), (False, "abcabc")])
def test_ways_take_turns(rotating, order):
    from turns import in_turn

    taken = iter(range(6))
    found = in_turn({name: lambda name=name: (name, next(taken)) for name in "abc"}, 2, rotating=rotating)
    turns = sorted((turn for turns in found.values() for turn in turns), key=lambda turn: turn[1])
    assert "".join(name for name, _ in turns) == order
    assert list(found) == ["a", "b", "c"]


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
    small = operations(Case("infer", "small", 1))
    assert (small["stem"], small["head"]) == (2 * 24 * 24 * 64 * 3 * 3 * 3, 2 * 256 * 7)
    # In training each product has a gradient for either factor, but images need none.
    trained = {name: 4 * times * once[name] for name, times in {"stem": 2, "stage1": 3, "head": 3}.items()}
    assert operations(Case("train", "published", 4)) == trained


@pytest.mark.long
@pytest.mark.usefixtures("benchmarks")
def test_contenders_learn_and_images_on_the_device_are_the_same_steps(monkeypatch):
    from contender import warm_up
    from contenders import case, ours, plain_flax
    from turns import check_same_work

    monkeypatch.setattr(case, "SIDE", 32)
    monkeypatch.setitem(case.BLOCKS, "published", ())
    monkeypatch.setattr(ours, "PORTION", 2)
    monkeypatch.setattr(ours, "tune_for_cpu", lambda: None)  # JAX has started
    monkeypatch.setattr(ours, "make_model", lambda *_: ResNetFER(width=8, stage_sizes=()))
    training, losses = case.Case("train", "published", 1), []
    for module, way in ((ours, "host"), (ours, "resident"), (plain_flax, "")):
        contender = module.build(training, way)
        contender.run(1)
        losses.append(warm_up(contender))
        check_same_work(training, {way: {"losses": losses[-1], "parameters": contender.parameters}})
    np.testing.assert_allclose(*losses[:2], rtol=1e-3)


@pytest.mark.usefixtures("benchmarks")
def test_contenders_with_the_same_weights_have_to_say_the_same():
    from contenders.case import Case
    from turns import check_same_work

    def ready(apart):
        return {
            name: {"parameters": 1, "answers": [[0.5, 1 + shift]]}
            for name, shift in (("jaxfer", 0.0), ("other", apart))
        }

    case = Case("infer", "shipped", 1)
    check_same_work(case, ready(5e-6))
    with pytest.raises(ValueError, match="other gives other answers than jaxfer"):
        check_same_work(case, ready(5e-5))


@pytest.mark.usefixtures("benchmarks")
def test_onnx_runtime_takes_part_with_the_file_that_jaxfer_writes(tmp_path):
    from contenders import onnx_runtime
    from contenders.case import COMPARED, Case

    case = Case("infer", "shipped", 1)
    contender = onnx_runtime.build(case, str(export_model("small", tmp_path / "shipped.onnx", "onnx")))
    model = load_model("small")
    expected = model.probabilities(case.batches()[0][0][:COMPARED], "expression")
    np.testing.assert_allclose(contender.answers, expected, rtol=0, atol=1e-5)
    assert contender.parameters == sum(leaf.size for leaf in jax.tree.leaves(model.variables["params"]))
    assert contender.run(2)[0] > 0
