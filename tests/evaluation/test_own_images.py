"""What an evaluation asks of the images that the run was trained on: copies of them, and statistics over them."""

import dataclasses
import json
import shutil

import jax
import networks
import numpy as np
import pytest
from formats import fer2013

from jaxfer.config import Config, DataConfig, LossConfig
from jaxfer.data import load
from jaxfer.errors import UserError
from jaxfer.evaluation import evaluate, with_measured_statistics
from jaxfer.runs import load_run
from jaxfer.training import fit, measure_statistics

pytestmark = pytest.mark.usefixtures("blank_figures")

NETWORK = networks.Convolutional()
COPIED = {"PublicTest": 4, "PrivateTest": 6}
"""How many images of each split are copies of training images."""


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    """A run on data some of whose validation and test images are training images too, one under another label."""
    root = tmp_path_factory.mktemp("leaky")
    (root / "faces").mkdir()
    fer2013.npz(root / "faces", 5)
    file = root / "faces/fer2013.npz"
    arrays = dict(np.load(file))
    train, val, test = (np.flatnonzero((arrays["usage"] == code) & (arrays["labels"] < 7)) for code in range(3))
    arrays["images"][val[:4]] = arrays["images"][train[[7, 7, 20, 3]]]
    arrays["images"][val[4]] = arrays["images"][train[5]][:, ::-1]  # a mirror image is no copy
    arrays["images"][test[-6:]] = arrays["images"][train[:6]]
    np.savez_compressed(file, **arrays)
    config = Config(
        data=DataConfig(data_dir=root / "faces", image_size=32, sampling="balanced"),
        loss=LossConfig(l2=0.0),
        epochs=1,
        batch_size=16,
    )
    fit(config, load(config.data), run_dir=root / "run", model=NETWORK)
    return root


@pytest.fixture
def run(leaky, tmp_path):
    """The folder of that run, in a new place."""
    shutil.copytree(leaky / "run", tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.few(1)
@pytest.mark.parametrize("split", COPIED)
def test_the_images_without_a_copy_are_scored_apart(run, leaky, jaxfer, split):
    before = {path: path.stat().st_mtime_ns for path in (leaky / "faces").rglob("*")}
    code, printed, errors = jaxfer(run, "--split", split, "--without-copies", "--json")
    assert code == 0, errors
    (found,) = json.loads(printed)["evaluations"]
    trained = load_run(run, "last", model=NETWORK)
    data = load(trained.config.data)
    predictions = evaluate(trained, data, split).predictions
    learnt = {image.tobytes() for image in np.asarray(data.train.images)}
    clean = np.array([image.tobytes() not in learnt for image in np.asarray(data.split(split).images)])
    apart = found["without_copies"]
    assert (found["examples"], apart["examples"], apart["copies"]) == (35, 35 - COPIED[split], COPIED[split])
    assert apart["accuracy"] == pytest.approx(predictions.correct[clean].mean())
    assert apart["cross_entropy"] == pytest.approx(
        -predictions.log_probabilities[clean, predictions.labels[clean]].mean(), rel=1e-5
    )
    low, high = apart["intervals"]["accuracy"]
    assert low <= apart["accuracy"] <= high
    (folder,) = (run / "evaluations").iterdir()
    page = " ".join((folder / "evaluation.html").read_text().split())
    assert "Without copies of training images" in page
    assert f"with and without the {COPIED[split]} images that have an exact copy" in page
    _, printed, _ = jaxfer(run, "--split", split, "--without-copies")
    words = f"without the {COPIED[split]} images that have an exact copy in the training split"
    assert words in " ".join(printed.split())
    assert {path: path.stat().st_mtime_ns for path in (leaky / "faces").rglob("*")} == before
    _, printed, _ = jaxfer(run, "--split", split, "--json")
    assert json.loads(printed)["evaluations"][0]["without_copies"] is None
    assert len(list((run / "evaluations").iterdir())) == 2


def test_copies_of_the_runs_images_are_found_in_other_data(run, leaky, jaxfer, tmp_path):
    (tmp_path / "other").mkdir()
    arrays = dict(np.load(leaky / "faces/fer2013.npz"))
    usage = np.where(arrays["usage"] == 1, 0, np.where(arrays["usage"] == 0, 1, arrays["usage"]))
    np.savez_compressed(tmp_path / "other/fer2013.npz", **arrays | {"usage": usage})
    code, printed, errors = jaxfer(run, "--data", tmp_path / "other", "--without-copies", "--json")
    assert code == 0, errors
    (found,) = json.loads(printed)["evaluations"]
    assert found["split"] == "PublicTest"
    assert found["without_copies"] == {
        "copies": 35,
        "examples": 0,
        **dict.fromkeys((*found["intervals"], "ece")),
        "intervals": {name: [None, None] for name in found["intervals"]},
        "ece_by_chance": {"mean": None, "percentile_95": None},
    }
    assert any("Every image has an exact copy" in note for note in found["notes"])


@pytest.mark.few(1)
@pytest.mark.parametrize("flags", [[], ["--split", "test"], ["--views", "ten"]])
def test_statistics_are_measured_anew_on_the_runs_own_images(run, jaxfer, flags):
    code, printed, errors = jaxfer(run, "--statistics-images", "20", "--json", *flags)
    assert code == 0, errors
    (found,) = json.loads(printed)["evaluations"]
    trained = load_run(run, "last", model=NETWORK)
    data = load(trained.config.data)
    measured = measure_statistics(NETWORK, trained.variables, data.train, images=20, batch_size=16)
    again = dataclasses.replace(trained, variables=trained.variables | {"batch_stats": measured})
    split, views = ("test" if "test" in flags else "val"), ("ten" if "ten" in flags else "one")
    expected = evaluate(again, data, split, views=views).scores
    assert found["statistics_images"] == 20
    assert found["cross_entropy"] == pytest.approx(expected["cross_entropy"], rel=1e-4)
    before = evaluate(trained, data, split, views=views).scores
    assert abs(found["cross_entropy"] - before["cross_entropy"]) > 0.01
    (folder,) = (run / "evaluations").iterdir()
    page = " ".join((folder / "evaluation.html").read_text().split())
    assert "the statistics of batch normalisation measured anew on 20 training images" in page
    assert "epoch 1, " + ("views: ten, " if "ten" in flags else "") + "statistics measured anew)" in page
    _, printed, _ = jaxfer(run, "--statistics-images", "20", *flags)
    assert "statistics measured anew on 20 training images" in " ".join(printed.split())


def test_measured_statistics_are_in_python_too_and_of_at_most_all_images(run):
    trained = load_run(run, "last", model=NETWORK)
    data = load(trained.config.data)
    found = with_measured_statistics(trained, data, 1000)
    assert found.statistics_images == 35
    every = measure_statistics(NETWORK, trained.variables, data.train, images=35, batch_size=16)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found.variables["batch_stats"], every)
    assert trained.statistics_images == 0
    assert evaluate(trained, data, statistics_images=35).trained.statistics_images == 35


def test_a_temperature_that_was_fitted_with_other_statistics_is_left_out(run):
    trained = dataclasses.replace(load_run(run, "last", model=NETWORK), temperature="fitted")
    assert with_measured_statistics(trained, load(trained.config.data), 5).temperature is None


def test_what_cannot_be_asked_of_the_training_images_is_refused(run, leaky, jaxfer, tmp_path):
    code, _, errors = jaxfer(run, "--statistics-images", "-5")
    assert code == 2
    assert "--statistics-images) is -5: pass a number of images, at least 1" in " ".join(errors.split())
    assert not (run / "evaluations").exists()
    trained = load_run(run, "last", model=NETWORK)
    alone = load(trained.config.data, only="test")
    for asked in ({"statistics_images": 5}, {"without_copies": True}):
        with pytest.raises(
            UserError, match=r"the training split of run is needed, .* pass the run's whole data as `own`"
        ):
            evaluate(trained, alone, "test", **asked)
        with pytest.raises(UserError, match="are not those that run was trained on"):
            evaluate(dataclasses.replace(trained, fingerprint="other"), load(trained.config.data), **asked)
    plain = dataclasses.replace(trained, variables=trained.variables | {"batch_stats": {}})
    with pytest.raises(UserError, match="has no statistics of batch normalisation to measure anew"):
        evaluate(plain, load(trained.config.data), statistics_images=5)
