"""Scores of further heads on the pages and in the terminal: reports name no head, and learn of each from its scores."""

import csv
import dataclasses
import re
from html import unescape

import numpy as np
import pytest
from made_runs import HISTORY, NAMES, SUMMARY, with_intervals, write_run

from jaxfer.config import Config, DataConfig
from jaxfer.data.dataset import Dataset, Split
from jaxfer.errors import UserError
from jaxfer.evaluation.evaluate import Evaluation
from jaxfer.evaluation.predict import Predictions
from jaxfer.metrics.scores import Measure
from jaxfer.reports import evaluation_faces, paper_figures, write_evaluation, write_report
from jaxfer.reports.finished_run import read_run
from jaxfer.reports.terminal import print_evaluation, print_summary
from jaxfer.runs.load import Trained
from jaxfer.tasks import MEASURES, Task

GAZE = {
    f"{of}_{name}": measure
    for of in ("yaw", "pitch")
    for name, measure in {
        "error": Measure("angular error", of=of, noun="error"),
        "hits": Measure("hits", of=of, percent=True, leading=False),
    }.items()
}


def summary():
    """Return a summary with the scores of two heads that jaxfer does not know."""
    found = with_intervals(SUMMARY)
    for split, error in (("val", 0.25), ("train", 0.125)):
        more = {"yaw_error": error, "yaw_hits": 0.75, "pitch_error": None, "pitch_hits": 0.5, "gait_kl": 1.5}
        counts = {"yaw_examples": 111, "pitch_examples": 99}
        bounds = found[split]["intervals"] | {"yaw_error": [error - 0.1, error + 0.1], "yaw_hits": [0.5, 0.875]}
        found[split] = found[split] | more | counts | {"intervals": bounds}
    return found


def history():
    more = ("yaw_error", "yaw_hits", "pitch_error", "pitch_hits", "gait_kl")
    return [row | {f"val_{name}": n / 8 for n, name in enumerate(more)} for row in HISTORY]


@pytest.fixture
def run_dir(tmp_path):
    return write_run(tmp_path / "run", summary(), history())


def text_of(page):
    """Return a page's text, and that of its pictures, on one line."""
    source = page.read_text(encoding="utf-8")
    shown = re.sub("<[^>]+>", " ", re.sub('<img src="data[^"]*" alt="([^"]*)">', r"\1", source))
    return " ".join(unescape(shown).split())


def test_a_report_has_every_score_with_its_title_interval_and_images(run_dir):
    text = text_of(write_report(run_dir, measures=MEASURES | GAZE))
    assert "Yaw, angular error 0.250 0.150 to 0.350 0.125 0.025 to 0.225" in text
    assert "Yaw, hits 75.0% 50.0% to 87.5% 75.0% 50.0% to 87.5%" in text
    assert "Pitch, angular error n/a no interval n/a no interval" in text
    assert "gait kl 1.500 no interval 1.500 no interval" in text
    assert "Images whose yaw is known (n) 111 111 Images whose pitch is known (n) 99 99" in text


def test_scores_without_a_table_are_called_by_their_names(run_dir):
    text = text_of(write_report(run_dir))
    assert "yaw error 0.250 0.150 to 0.350" in text
    assert "yaw hits 0.750 0.500 to 0.875" in text


def test_leading_scores_of_one_title_share_a_curve_and_its_table(run_dir):
    text = text_of(write_report(run_dir, measures=MEASURES | GAZE))
    assert "Error of yaw and pitch by epoch. At epoch 4: yaw 0.000, pitch 0.250." in text
    assert "Error (angular error) of predicted and actual yaw and pitch on 211 validation images (“val”)." in text
    assert "Gait kl by epoch. At epoch 4: gait kl 0.500." in text
    assert "Gait kl on 211 validation images (“val”)." in text
    headings = "Validation yaw, angular error Validation pitch, angular error Validation gait kl"
    assert f"Validation loss {headings} Learning rate Images a second 1 50.0%" in text
    drawings = paper_figures.of_run(read_run(run_dir), MEASURES | GAZE)
    assert list(drawings)[8:] == ["error", "gait-kl"]
    (axes,) = drawings["error"](ink="#000000").axes
    assert [line.get_label() for line in axes.lines] == ["yaw", "pitch"]
    assert axes.get_ylabel() == "angular error"


def test_the_table_at_the_end_of_training_has_the_leading_scores(capsys):
    print_summary(summary(), MEASURES | GAZE)
    rows = [line.split("│")[1:4] for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    found = {name.strip(): (train.strip(), val.strip()) for name, train, val in rows}
    assert list(found)[:2] == ["loss", "accuracy"]
    assert list(found)[7:] == ["yaw_error", "pitch_error", "gait_kl"]
    assert found["yaw_error"] == ("0.1250", "0.2500")
    assert found["pitch_error"] == ("not finite", "not finite")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"yaw_examples": "many"}, r"summary\.json: yaw_examples is damaged: expected a value of type int"),
        ({"examples": 2.5}, r"examples is damaged"),
    ],
)
def test_counts_that_are_none_are_damage(tmp_path, change, words):
    damaged = summary()
    with pytest.raises(UserError, match=words):
        write_report(write_run(tmp_path / "run", damaged | {"val": damaged["val"] | change}, history()))


def test_an_epoch_whose_score_is_no_number_is_damaged(tmp_path):
    rows = [*history()[:-1], history()[-1] | {"val_yaw_error": "small"}]
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 4: val_yaw_error is damaged"):
        write_report(write_run(tmp_path / "run", summary(), rows))


N = 40
HOSTILE = "<script>alert(1)</script> \"><img src=x onerror='alert(2)'> {{ 7 * 7 }} </table>"


@pytest.fixture
def evaluation(tmp_path, monkeypatch):
    """An evaluation of a head that jaxfer does not know, in which every text is hostile."""
    monkeypatch.setattr(evaluation_faces, "explained", lambda evaluation: ([], (4, 4)))
    random = np.random.default_rng(0)
    labels = (np.arange(N) % 7).astype(np.int32)
    logits = (random.normal(size=(N, 7)) + np.eye(7)[labels]).astype(np.float32)
    names = tuple(f"{HOSTILE}-{row}.png" for row in range(N))
    groups = {HOSTILE: np.where(np.arange(N) < 15, "<i>few</i>", "many")}
    images = random.integers(0, 255, (N, 32, 32, 3)).astype(np.uint8)
    split = Split(HOSTILE, images, labels, names=names, read_groups=lambda: groups)
    classes = ('"><i>$&{{ 7 * 7 }}', *NAMES[1:])  # figures have no room for more
    data = Dataset({"train": split, "val": split}, classes, HOSTILE, {HOSTILE: 3}, known_fingerprint="1")
    config = Config(data=DataConfig(image_size=32))
    trained = Trained(tmp_path / "a & b <i>", config, None, {"params": {}}, 6, 2, True, HOSTILE, "1")  # pyright: ignore
    return Evaluation(trained, data, split, "val", Predictions(logits, labels), by=HOSTILE)


def test_pairs_are_columns_of_the_predictions_and_figures_of_the_page(evaluation, capsys):
    actual = np.where(np.arange(N) < 10, np.nan, np.linspace(0, 10, N))
    pairs = {"yaw": (np.linspace(1, 9, N), actual), "pitch": (np.zeros(N), None)}

    class Gaze(Task):
        name, columns = "gaze", ("yaw",)
        measures = GAZE | {"eye_gap_error": Measure("error", of="eye_gap")}

        def pairs(self, outputs, batch):
            return pairs

        def terms(self, outputs, batch):
            return np.zeros((N, 1))

        def scores(self, sums):
            return {name: np.full(len(sums), 0.25) if sums.ndim > 1 else 0.25 for name in self.measures}

    predictions = evaluation.predictions
    predictions = Predictions(predictions.logits, predictions.labels, {}, {"yaw": actual}, (Gaze(),))
    evaluation = dataclasses.replace(evaluation, predictions=predictions, by=None)
    evaluation.scores.update({"yaw_error": 0.25, "yaw_examples": 30, "eye_gap_error": 0.5, "eye_gap_examples": 23})
    evaluation.scores["intervals"]["yaw_error"] = [0.125, 0.5]
    folder = write_evaluation(evaluation)
    with (folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[11:] == ["actual_yaw", "predicted_yaw", "predicted_pitch"]
    assert [row["actual_yaw"] == "" for row in rows] == [True] * 10 + [False] * 30
    np.testing.assert_allclose([float(row["predicted_yaw"]) for row in rows], pairs["yaw"][0], rtol=1e-5)
    text = text_of(folder / "evaluation.html")
    assert "Predicted by actual yaw of 30 images, whose error is 0.250." in text
    assert "n = 30, epoch 2): the darker, the more images." in text
    assert "Yaw, angular error 0.250 95%: 0.125 to 0.500" in text
    assert "n = 23, epoch 2" in text, "of a name with an underscore, too"
    assert "pitch" not in text
    print_evaluation(evaluation)
    assert "yaw is known of n = 30" in capsys.readouterr().out


def test_without_pairs_there_are_neither(evaluation):
    folder = write_evaluation(evaluation)
    assert "Predicted by actual" not in text_of(folder / "evaluation.html")
    assert (folder / "predictions.csv").read_text().count("predicted") == 1


def test_no_name_is_a_formula_a_line_or_no_text_in_a_csv(evaluation):
    rest = [f"{row}.png" for row in range(4, N)]
    names = ["=HYPERLINK(0)", "-1+1.png", "two\nlines\r.png", "caf\udce9 \u202egpj.exe", *rest]
    folder = write_evaluation(dataclasses.replace(evaluation, split=dataclasses.replace(evaluation.split, names=names)))
    lines = (folder / "predictions.csv").read_bytes().decode().split("\n")
    shown = ["'=HYPERLINK(0)", "'-1+1.png", r"two\nlines\r.png", r"caf\udce9 \u202egpj.exe", *rest]
    assert [row["image"] for row in csv.DictReader(lines)] == shown
    assert len(lines) == 1 + N + 1


def test_hostile_names_groups_and_reasons_are_shown_as_text(evaluation):
    beside = {
        "runs": [
            {"run": HOSTILE, "seed": 0, "checkpoint": {"epoch": 2, "chosen": HOSTILE}, "accuracy": 0.5}
            | {"interval": [0.25, None]}
        ],
        "over_runs": {"accuracy": {"mean": 0.5, "std": None}},
        "differences": [HOSTILE],
        "mcnemar": [],
    }
    folder = write_evaluation(evaluation, beside)
    source = (folder / "evaluation.html").read_text(encoding="utf-8")
    for tag in ("<script", "<img src=x", "<i>", "49 <"):
        assert tag not in source
    assert source.count("<table") == source.count("</table>")
    text = text_of(folder / "evaluation.html")
    assert text.count("{{ 7 * 7 }}") > 20
    assert "<i>few</i>" in text
    assert "evaluation of the run a & b <i>" in text
