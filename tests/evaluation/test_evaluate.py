"""`jaxfer evaluate`, from runs on small files of FER2013 to numbers, predictions and pages."""

import csv
import dataclasses
import errno
import importlib
import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import jax
import networks
import numpy as np
import pytest
import sklearn.metrics
from formats import fer2013

from jaxfer.cli.evaluate import Evaluate
from jaxfer.config import DataConfig
from jaxfer.data import load
from jaxfer.errors import UserError
from jaxfer.evaluation.ensemble import ensemble
from jaxfer.evaluation.evaluate import compare, evaluate
from jaxfer.reports.evaluation_faces import most_confident, overlay
from jaxfer.reports.evaluation_page import place_of_evaluations, write_evaluation
from jaxfer.runs.load import load_run

pytestmark = pytest.mark.usefixtures("blank_figures")

NETWORK = networks.Convolutional()
SPLITS = {"train": ("Training", "training"), "val": ("PublicTest", "validation"), "test": ("PrivateTest", "test")}


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.tags, self.words, self.headings = [], [], []
        self._open = []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join("".join(self.words).replace("\u00a0", " ").split())
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "source", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.words.append(data)
        if self._open and self._open[-1] == "h2":
            self.headings.append(data)


def only_evaluation(run_dir):
    (folder,) = (run_dir / "evaluations").iterdir()
    return folder


@pytest.mark.parametrize("use", SPLITS)
def test_numbers_are_labelled_with_what_they_were_measured_on(runs, jaxfer, use):
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    name, role = SPLITS[use]
    code, printed, errors = jaxfer(runs / "seed-0", "--split", name)
    assert code == 0, errors
    folder = only_evaluation(runs / "seed-0")
    found, page = json.loads((folder / "evaluation.json").read_text()), Page(folder / "evaluation.html")
    assert (found["run"], found["split"], found["role"], found["examples"]) == ("seed-0", name, role, 35)
    assert found["checkpoint"] == {"epoch": 2, "step": 6, "ends_epoch": True, "chosen": "last"}
    assert page.text.startswith(f"seed-0: {role} accuracy {found['accuracy']:.1%} on {name} ")
    assert f"{role.capitalize()} accuracy {found['accuracy']:.1%}" in page.text
    assert f"the 35 images of the {role} split “{name}”, with the checkpoint after epoch 2" in page.text
    assert "Label set, 7 classes: neutral, happy" in page.text
    others = [other for _, other in SPLITS.values() if other != role]
    assert not any(f"{other.capitalize()} accuracy" in page.text for other in others)
    assert f"{role} split {name}, n = 35, 7 classes, epoch 2 (last)" in " ".join(printed.split())
    notes = {"train": "The network has learnt from these images", "val": None, "test": "choose nothing by it"}
    assert [notes[use] in note for note in found["notes"]] == [True] if notes[use] else found["notes"] == []
    assert {path: path.read_bytes() for path in before} == before


def test_predictions_are_every_image_once_and_have_scikit_learns_scores(runs, trained_runs, jaxfer):
    assert jaxfer(runs / "seed-0", "--split", "test", "--views", "flip")[0] == 0
    folder = only_evaluation(runs / "seed-0")
    found = json.loads((folder / "evaluation.json").read_text())
    with (folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    data = load(DataConfig(data_dir=trained_runs / "faces", image_size=32))
    assert [row["image"] for row in rows] == list(data.split("test").names)
    assert [int(row["row"]) for row in rows] == list(range(35))
    shares = np.array([[float(row[f"p_{name}"]) for name in data.class_names] for row in rows])
    network = load_run(runs / "seed-0", "last", model=NETWORK)
    images = data.split("test").images
    both = [
        np.asarray(networks.logits(network.model, network.variables, x), np.float64)
        for x in (images, images[:, :, ::-1])
    ]
    softmax = [np.exp(x - x.max(1, keepdims=True)) for x in both]
    expected = sum(x / x.sum(1, keepdims=True) for x in softmax) / 2
    np.testing.assert_allclose(shares, expected, rtol=1e-3, atol=1e-6)
    actual, predicted = ([row[which] for row in rows] for which in ("actual", "predicted"))
    assert found["accuracy"] == sklearn.metrics.accuracy_score(actual, predicted)
    assert found["kappa"] == pytest.approx(sklearn.metrics.cohen_kappa_score(actual, predicted))
    with (folder / "confusion_matrix.csv").open(newline="") as file:
        first, *lines = csv.reader(file)
    assert first == ["actual", *(f"predicted_{name}" for name in data.class_names)]
    counted = sklearn.metrics.confusion_matrix(actual, predicted, labels=data.class_names)
    assert lines == [[name, *map(str, row)] for name, row in zip(data.class_names, counted, strict=True)]
    assert found["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(actual, predicted, average="macro"))
    low, high = found["intervals"]["accuracy"]
    assert low <= found["accuracy"] <= high


def test_the_calibration_error_stands_beside_what_chance_gives(runs, jaxfer):
    code, printed, errors = jaxfer(runs / "seed-0")
    assert code == 0, errors
    folder = only_evaluation(runs / "seed-0")
    found = json.loads((folder / "evaluation.json").read_text())
    assert "ece" not in found["intervals"]
    mean, most = found["ece_by_chance"]["mean"], found["ece_by_chance"]["percentile_95"]
    assert 0 < mean < most < 1
    assert ["ece", f"{found['ece']:.4f}"] in [line.replace("│", " ").split() for line in printed.splitlines()]
    words = f"ece by chance {mean:.4f}, 95% below {most:.4f}: that of a network exactly as sure as it is right"
    assert words in printed
    page = Page(folder / "evaluation.html")
    assert f"Calibration error{found['ece']:.3f}by chance {mean:.3f}, 95% below {most:.3f}PublicTest" in page.text


def test_a_network_without_a_number_has_no_score_anywhere(trained_runs, runs):
    trained = load_run(runs / "seed-0", "last", model=NETWORK)
    broken = dataclasses.replace(trained, variables=jax.tree.map(lambda x: x * np.nan, trained.variables))
    data = load(trained.config.data)
    signs = np.where(np.arange(35) % 3 == 0, "negative", "positive")
    options = {"by": "valence", "more_groups": {"valence": signs}, "without_copies": True}
    evaluations = [evaluate(one, data, **options) for one in (broken, trained)]
    for together in (evaluations[0], ensemble(evaluations)):
        found = together.to_dict()
        parts = (found, found["without_copies"], *found["by"]["groups"].values())
        for part in parts:
            assert [part[name] for name in together.measures] == [None] * len(together.measures)
            assert set(map(tuple, part["intervals"].values())) == {(None, None)}
            assert set(part["ece_by_chance"].values()) == {None}
        assert found["per_class"]["happy"]["f1"] is None
    comparison = compare(evaluations)
    assert comparison["mcnemar"] == ensemble(evaluations).comparison["mcnemar"] == []
    assert comparison["over_runs"]["accuracy"] == {"mean": None, "std": None, "runs": 2}
    page = Page(write_evaluation(evaluations[0], comparison) / "evaluation.html")
    assert page.text.startswith("seed-0: validation accuracy n/a on PublicTest")


def test_two_seeds_have_a_mean_and_a_test_on_every_page_and_as_json(runs, jaxfer):
    code, printed, _ = jaxfer(runs / "seed-0", runs / "seed-1", "--json")
    assert code == 0
    found = json.loads(printed)
    accuracies = [one["accuracy"] for one in found["evaluations"]]
    over = found["comparison"]["over_runs"]["accuracy"]
    assert over == {
        "mean": pytest.approx(np.mean(accuracies)),
        "std": pytest.approx(np.std(accuracies, ddof=1)),
        "runs": 2,
    }
    assert found["comparison"]["differences"] == []
    (pair,) = found["comparison"]["mcnemar"]
    assert pair["difference"] == pytest.approx(accuracies[0] - accuracies[1])
    for run in ("seed-0", "seed-1"):
        page = Page(only_evaluation(runs / run) / "evaluation.html")
        assert "Beside other runs" in page.headings
        assert "McNemar's test of each pair on the validation split “PublicTest”, n = 35" in page.text


def test_an_evaluation_is_replaced_by_itself_alone(runs, jaxfer):
    for flags in ([], ["--views", "flip"], ["--epoch", "best"], ["--images", "3"], [runs / "seed-1"]):
        assert jaxfer(runs / "seed-0", *flags)[0] == 0
    folders = sorted((runs / "seed-0" / "evaluations").iterdir())
    assert len(folders) == 5
    contents = {path: path.read_bytes() for folder in folders for path in folder.iterdir()}
    assert jaxfer(runs / "seed-0", "--views", "flip")[0] == 0
    assert {path: path.read_bytes() for path in contents} == contents
    assert sorted((runs / "seed-0" / "evaluations").iterdir()) == folders
    flipped = next(folder for folder in folders if "flip" in folder.name)
    (flipped / "evaluation.json").write_text('{"inputs": "something else"}')
    code, _, errors = jaxfer(runs / "seed-0", "--views", "flip")
    assert code == 2
    assert "holds something else than this evaluation: move it away" in errors
    assert (flipped / "evaluation.json").read_text() == '{"inputs": "something else"}'


def test_an_evaluation_goes_where_out_says_and_leaves_the_runs_as_they_are(runs, jaxfer, tmp_path):
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    out = tmp_path / "mine" / "evaluations"
    code, printed, errors = jaxfer(runs / "seed-0", runs / "seed-1", "--ensemble", "--out", out)
    assert code == 0, errors
    folders = sorted(out.iterdir())
    assert [folder.name.rpartition("-")[0] for folder in folders] == [
        *("seed-0-PublicTest-ensemble2", "seed-0-PublicTest-epoch2", "seed-1-PublicTest-epoch2")
    ]
    for folder in folders:
        names = {"evaluation.html", "evaluation.json", "predictions.csv", "confusion_matrix.csv"}
        assert {path.name for path in folder.iterdir()} == names
        assert f"Page: {folder / 'evaluation.html'}" in printed
    after = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file() and not path.is_relative_to(out)}
    assert after == before


def read_only(monkeypatch, run_dir):
    def refuse(dir):  # noqa: A002 - as the function that it stands for
        assert dir == run_dir
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("jaxfer.files.TemporaryFile", refuse)


@pytest.mark.parametrize(
    "place", ["read-only run", "read-only disk", "a file", "below a file", "a link", "a link in the run"]
)
def test_where_nothing_can_be_written_that_is_said_before_the_work(runs, jaxfer, tmp_path, monkeypatch, place):
    run_dir, out, why = runs / "seed-0", tmp_path / "out", "cannot be written"
    if place == "read-only run":
        read_only(monkeypatch, run_dir)
        out, why = run_dir / "evaluations", "cannot be written (Read-only file system): pass a folder"
    elif place == "read-only disk":
        out = Path("/proc/evaluations")
    elif "file" in place:
        out.write_text("kept")
        out /= "deeper" if "below" in place else ""
        why = "cannot be written (Not a directory): pass a folder for the evaluation as out (--out)"
    else:
        out = run_dir / "evaluations" if "run" in place else out
        out.symlink_to(tmp_path)
        why = "is a link, and jaxfer writes through none: move it away"
    monkeypatch.setattr("jaxfer.data.load", lambda *_, **__: pytest.fail("the data was read"))
    before = sorted(tmp_path.rglob("*"))
    code, _, errors = jaxfer(run_dir, *([] if out.parent == run_dir else ["--out", out]))
    assert code == 2
    (line,) = errors.strip().splitlines()
    assert line.startswith(f"error: {out} {why}")
    assert sorted(tmp_path.rglob("*")) == before


def test_python_writes_elsewhere_too_and_refuses_first(trained_runs, runs, tmp_path):
    evaluation = evaluate(
        load_run(runs / "seed-0", "last", model=NETWORK),
        load(DataConfig(data_dir=trained_runs / "faces", image_size=32)),
    )
    out = tmp_path / "out"
    assert place_of_evaluations(runs / "seed-0", out) == out
    assert not out.exists()
    assert write_evaluation(evaluation, out=out).parent == out
    assert not (runs / "seed-0" / "evaluations").exists()
    (tmp_path / "file").write_text("kept")
    for refuse in (
        lambda: place_of_evaluations(runs / "seed-0", tmp_path / "file"),
        lambda: write_evaluation(evaluation, out=tmp_path / "file"),
    ):
        with pytest.raises(UserError, match=r"file cannot be written \(Not a directory\)"):
            refuse()


@pytest.mark.drawn
def test_the_page_shows_errors_and_explanations_and_needs_no_network(runs, jaxfer):
    assert jaxfer(runs / "seed-0", "--images", "4", "0")[0] == 0
    page = Page(only_evaluation(runs / "seed-0") / "evaluation.html")
    for tag, attrs in page.tags:
        assert tag not in ("script", "link", "iframe")
        for name in ("src", "srcset", "href"):
            # The contents lead to parts of the page, and links to pages beside it that were there when it was written.
            inside = attrs.get(name, "data:image/").startswith(("data:image/", "#"))
            assert inside or (tag == "a" and not re.match(r"\w+:|/", attrs[name]))
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert all(attrs["alt"] for attrs in images)
    assert sum("the image of" in attrs["alt"] for attrs in images) == 2
    assert sum("what speaks for" in attrs["alt"] for attrs in images) in (2, 3, 4)
    for heading in ("Classes", "Confusion matrix", "Calibration", "Most confident errors", "What the network looks at"):
        assert heading in page.headings


def test_groups_of_a_column_add_up_to_the_whole(trained_runs, runs):
    trained = load_run(runs / "seed-0", "last", model=NETWORK)
    data = load(trained.config.data)
    signs = np.where(np.arange(35) % 3 == 0, "negative", "positive")
    evaluation = evaluate(trained, data, by="valence", more_groups={"valence": signs})
    groups = evaluation.groups
    assert list(groups) == ["negative", "positive"]
    assert [group["examples"] for group in groups.values()] == [12, 23]
    right = sum(group["examples"] * group["accuracy"] for group in groups.values())
    assert right / 35 == pytest.approx(evaluation.scores["accuracy"])
    page = Page(write_evaluation(evaluation) / "evaluation.html")
    assert "By valence" in page.headings
    assert "Scores of each group by valence on the validation split (PublicTest, n = 35, epoch 2)" in page.text


def test_the_surest_errors_come_first_and_overlays_keep_the_size(runs):
    trained = load_run(runs / "seed-0", "last", model=NETWORK)
    evaluation = evaluate(trained, load(trained.config.data))
    rows = most_confident(evaluation, correct=False, count=5)
    confidence = evaluation.predictions.confidence
    assert not evaluation.predictions.correct[rows].any()
    assert list(confidence[rows]) == sorted(confidence[~evaluation.predictions.correct], reverse=True)[:5]
    image = np.full((32, 32, 3), 100, np.uint8)
    strength = np.zeros((4, 4))
    strength[0, 3] = 2.0
    drawn = overlay(image, strength)
    assert (drawn.shape, drawn.dtype) == ((32, 32, 3), np.uint8)
    assert drawn[2, 29].sum() > drawn[29, 2].sum()
    assert np.ptp(overlay(image, np.zeros((4, 4)))) <= 3, "no evidence, no colour"


def test_a_csv_of_columns_divides_any_data(runs, trained_runs, jaxfer, monkeypatch):
    names = load(DataConfig(data_dir=trained_runs / "faces", image_size=32)).val.names
    for half in (10, 20):  # The same column of other values is another evaluation.
        people = [f"{name},{'young' if place < half else 'old'},{place}" for place, name in enumerate(names)]
        (runs / "people.csv").write_text("\n".join(["image,age,number", *people]))
        code, printed, errors = jaxfer(runs / "seed-0", "--columns", runs / "people.csv", "--by", "age", "--json")
        assert code == 0, errors
        (found,) = json.loads(printed)["evaluations"]
        sizes = {name: group["examples"] for name, group in found["by"]["groups"].items()}
        assert sizes == {"old": 35 - half, "young": half}
    assert len(list((runs / "seed-0" / "evaluations").iterdir())) == 2
    monkeypatch.setattr(importlib.import_module("jaxfer.evaluation.evaluate"), "MOST_GROUPS", 34)
    code, _, errors = jaxfer(runs / "seed-0", "--columns", runs / "people.csv", "--by", "number")
    assert code == 2
    assert "'number' divides the faces into 35 groups, too many to tell apart" in " ".join(errors.split())


def test_other_data_is_said_to_be_other_data(runs, trained_runs, jaxfer, tmp_path):
    (tmp_path / "moved").mkdir()
    shutil.copy(trained_runs / "faces/fer2013.npz", tmp_path / "moved")
    assert jaxfer(runs / "seed-0", "--data", tmp_path / "moved")[0] == 0
    assert json.loads((only_evaluation(runs / "seed-0") / "evaluation.json").read_text())["data"]["own"] is True
    (tmp_path / "other").mkdir()
    fer2013.npz(tmp_path / "other", 3)
    assert jaxfer(runs / "seed-1", "--data", tmp_path / "other")[0] == 0
    found = json.loads((only_evaluation(runs / "seed-1") / "evaluation.json").read_text())
    assert found["data"]["own"] is False
    assert "The data are not those of the run" in found["notes"][0]


def test_data_that_has_moved_is_found_for_all_that_needs_it(runs, trained_runs, jaxfer, tmp_path):
    moved = shutil.copytree(trained_runs / "faces", tmp_path / "moved")
    config = json.loads((runs / "seed-0/config.json").read_text())
    config["data"] |= {"data_dir": str(tmp_path / "gone")}
    (runs / "seed-0/config.json").write_text(json.dumps(config))
    code, _, errors = jaxfer(runs / "seed-0", "--data", moved, "--without-copies")
    assert code == 0, errors
    found = json.loads((only_evaluation(runs / "seed-0") / "evaluation.json").read_text())
    assert found["without_copies"]["examples"] == 35
    (tmp_path / "other").mkdir()
    fer2013.npz(tmp_path / "other", 3)
    code, _, errors = jaxfer(runs / "seed-0", "--data", tmp_path / "other", "--without-copies")
    assert code == 2
    assert "are not those that seed-0 was trained on" in " ".join(errors.split())


def test_a_table_with_columns_of_its_own_moves_with_its_data(runs):
    verb = Evaluate(runs=(runs / "seed-0",), data=runs / "moved")
    data = DataConfig(
        data_dir=runs / "faces", table=runs / "faces" / "labels.csv", image_column="bild", label_column="gefuehl"
    )
    assert verb._elsewhere(data)["table"] is None
    (runs / "moved").mkdir()
    (runs / "moved" / "labels.csv").touch()
    found = dataclasses.replace(data, **verb._elsewhere(data))
    assert found == dataclasses.replace(data, data_dir=runs / "moved", table=runs / "moved" / "labels.csv")


def test_networks_of_one_config_have_evaluations_of_their_own(trained_runs, runs, tmp_path):
    trained = load_run(runs / "seed-0", "last", model=NETWORK)
    other = {"params": jax.tree.map(lambda leaf: leaf + 1, trained.variables["params"])}
    data = load(DataConfig(data_dir=trained_runs / "faces", image_size=32))
    found = [
        evaluate(one, data) for one in (trained, dataclasses.replace(trained, variables=trained.variables | other))
    ]
    assert len({write_evaluation(one, out=tmp_path / "out") for one in found}) == 2
    assert len({write_evaluation(one, out=tmp_path / "out") for one in (found[0], evaluate(trained, data))}) == 1


@pytest.mark.few(1)
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_data_that_a_run_names_are_read_and_never_written_to(runs, trained_runs, jaxfer, monkeypatch, split):
    monkeypatch.setattr("jaxfer.data.loading.WORTH_KEEPING", 1)
    theirs = runs / "theirs"
    shutil.copytree(trained_runs / "faces", theirs)
    config = json.loads((runs / "seed-0/config.json").read_text())
    data = config["data"] | {"data_dir": str(theirs)}
    (runs / "seed-0/config.json").write_text(json.dumps(config | {"data": data}))
    before = {path: path.stat() for path in (theirs, *theirs.rglob("*"))}
    assert jaxfer(runs / "seed-0", "--split", split)[0] == 0
    after = {path: path.stat() for path in (theirs, *theirs.rglob("*"))}
    assert {path: facts.st_mtime_ns for path, facts in after.items()} == {
        path: facts.st_mtime_ns for path, facts in before.items()
    }
    assert jaxfer(runs / "seed-0", "--split", split, "--data", theirs)[0] == 0
    assert (theirs / ".jaxfer").exists() == (split != "test"), "data that the user names has its cache"


@pytest.mark.parametrize("deep", [False, True])
def test_an_evaluation_is_not_written_through_a_link(runs, jaxfer, deep):
    assert jaxfer(runs / "seed-0")[0] == 0
    place = only_evaluation(runs / "seed-0") if deep else runs / "seed-0/evaluations"
    place.rename(runs / "theirs")
    place.symlink_to(runs / "theirs")
    before = {path: path.stat().st_mtime_ns for path in (runs / "theirs").rglob("*")}
    code, _, errors = jaxfer(runs / "seed-0")
    assert code == 2
    assert f"{place.name} is a link, and jaxfer writes through none" in " ".join(errors.split())
    assert {path: path.stat().st_mtime_ns for path in (runs / "theirs").rglob("*")} == before


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["{root}/nowhere"], "holds no run (no config.json): pass the folder of one"),
        (["{root}/seed-0", "{root}/seed-0"], "a run is named twice"),
        (["{root}/seed-0", "--split", "Test"], "no split 'Test': pass one of Training, PublicTest, PrivateTest"),
        (["{root}/seed-0", "--epoch", "7"], "keeps no checkpoint of epoch 7"),
        (["{root}/seed-0", "--by", "age"], "no column 'age'"),
        (["{root}/seed-0", "--images"], "no row is named to explain: pass rows (--images), or leave them out"),
        (["{root}/seed-0", "--images", "35"], "there is no row 35 in 'PublicTest': pass rows from 0 to 34"),
        (["{root}/seed-0", "--data", "{root}/missing"], "does not exist"),
        (["{root}/seed-0", "{root}/larger"], "cannot be compared"),
        (["{root}/unstarted"], "has no checkpoint yet"),
        (["{root}/seed-0", "--epoch", "first"], "--epoch"),
    ],
)
def test_what_cannot_be_evaluated_ends_in_a_sentence_and_leaves_nothing(runs, jaxfer, flags, words):
    config = json.loads((runs / "seed-0/config.json").read_text())
    shutil.copytree(runs / "seed-0", runs / "larger")
    (runs / "larger/config.json").write_text(json.dumps(config | {"data": config["data"] | {"image_size": 40}}))
    (runs / "unstarted").mkdir()
    (runs / "unstarted/config.json").write_text(json.dumps(config))
    code, _, errors = jaxfer(*(flag.format(root=runs) for flag in flags))
    assert code == 2
    assert words in " ".join(errors.replace("│", " ").split())
    assert "--resume" not in errors
    assert words != "cannot be compared" or "evaluating" not in errors
    assert not list(runs.glob("*/evaluations"))
