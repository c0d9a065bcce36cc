import base64
import json
import re
from functools import partial
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
from made_runs import (
    CHANCE,
    HISTORY,
    MEASURES,
    NAMES,
    SUMMARY,
    TRAIN,
    VAL,
    accuracy,
    epoch,
    scores,
    with_intervals,
    write_run,
    write_sweep,
)

from jaxfer.config import PRESETS, to_json
from jaxfer.errors import UserError
from jaxfer.evaluation.intervals import wilson_interval
from jaxfer.metrics import Metrics
from jaxfer.reports import figures, sweep_figures
from jaxfer.reports.run_page import write_report
from jaxfer.reports.sweep_figures import settings
from jaxfer.sweeps import read_sweep

VAL_LINE = "val, n = 211, epoch 4"


def between(low, high, percent=False):
    return f"{low:.1%} to {high:.1%}" if percent else f"{low:.3f} to {high:.3f}"


class Page(HTMLParser):
    """The tags and the text of a page; `inside` collects the text of every element of a few kinds."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags, self.open, self.words = [], [], []
        self.inside = {
            "h1": [],
            "caption": [],
            "figcaption": [],
            "small": [],
            "td": [],
            "th": [],
            "style": [],
            "dd": [],
        }
        self.feed(self.source)
        self.text = " ".join("".join(self.words).replace("\u00a0", " ").split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        for tag in {*self.open} & {*self.inside}:
            self.inside[tag][-1] += data.replace("\u00a0", " ")

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "first-try")


@pytest.fixture(scope="module")
def page(run_dir):
    return Page(write_report(run_dir))


def test_the_page_is_written_beside_the_run_and_nothing_else_is(run_dir, page):
    assert sorted(path.name for path in run_dir.iterdir()) == [
        "config.json",
        "metrics.jsonl",
        "report.html",
        "summary.json",
    ]
    assert page.open == []


def test_the_headline_is_the_validation_accuracy_with_split_size_and_epoch(page):
    assert page.inside["h1"] == [f"Validation accuracy {VAL['accuracy']:.1%}"]
    interval = between(*wilson_interval(VAL["accuracy"], 211), percent=True)
    headline = (
        f"95% interval {interval}. Measured on the 211 images of the split “val”, with the checkpoint of epoch 4 of 4 "
        "(step 240; chosen: last)"
    )
    assert headline in page.text
    before_headline_ends = page.text[: page.text.index(headline)]
    assert f"{TRAIN['accuracy']:.1%}" not in before_headline_ends
    assert f"Label set, 7 classes: {', '.join(NAMES)}." in page.text


def test_every_tile_and_every_table_of_scores_says_what_it_was_measured_on(page):
    tiles = page.inside["dd"]
    assert len(tiles) == 5
    assert all(VAL_LINE in tile for tile in tiles)
    for part in ("Each class on", "Counts: images of", "Percent of each row: images of", "Expected calibration error"):
        (caption,) = (text for text in page.inside["caption"] if text.startswith(part))
        assert VAL_LINE in caption
    for text in page.inside["figcaption"][:2]:
        assert "1,905 training images (“train”)" in text
        assert "211 validation images (“val”)" in text
    assert page.inside["figcaption"][2] == "Learning rate of the last step of each epoch."
    assert page.inside["figcaption"][3].startswith("1,905 training images (“train”) by the seconds of each epoch")
    for text in page.inside["figcaption"][4:]:
        assert VAL_LINE in text


def test_the_gap_to_training_says_what_it_is_between(page):
    gap = 100 * (TRAIN["accuracy"] - VAL["accuracy"])
    assert page.inside["dd"][-1] == f"{gap:+.1f}accuracy on train, n = 1,905, less that on {VAL_LINE}"


@pytest.mark.usefixtures("blank_figures")
def test_every_score_stands_beside_its_interval(tmp_path):
    page = Page(write_report(write_run(tmp_path / "run", with_intervals(SUMMARY))))
    for split in (VAL, TRAIN):
        for name in MEASURES:
            is_share = "accuracy" in name
            value = f"{split[name]:.1%}" if is_share else f"{split[name]:.3f}"
            assert value + between(split[name] - 0.031, split[name] + 0.032, is_share) in page.inside["td"]
    accuracy = between(VAL["accuracy"] - 0.031, VAL["accuracy"] + 0.032, percent=True)
    assert f"95% interval {accuracy}. Measured on" in page.text
    assert "bootstrap percentiles over its images" in page.text
    for index, tile in enumerate(page.inside["dd"][:3]):
        name = ("balanced_accuracy", "macro_f1", "cross_entropy")[index]
        assert f"95%: {between(VAL[name] - 0.031, VAL[name] + 0.032, index == 0)}" in tile


@pytest.mark.usefixtures("blank_figures")
def test_the_calibration_error_stands_beside_what_chance_gives(tmp_path):
    page = Page(write_report(write_run(tmp_path / "run", with_intervals(SUMMARY))))
    words = "by chance 0.052, 95% below 0.071"
    assert f"{VAL['ece']:.3f}{words}{VAL_LINE}" in page.inside["dd"][3]
    for split in (VAL, TRAIN):
        assert f"{split['ece']:.3f}{words}" in page.inside["td"]
    (caption,) = (text for text in page.inside["caption"] if text.startswith("Expected calibration error"))
    assert caption.endswith(f"on as many images with the same confidences: {words}.")
    assert "a network exactly as sure as it is right has by chance" in page.text


@pytest.mark.usefixtures("blank_figures")
def test_the_interval_that_releases_before_gave_the_calibration_error_is_read_and_not_shown(tmp_path):
    now = with_intervals(SUMMARY)
    val = {name: value for name, value in now["val"].items() if name != "ece_by_chance"}
    summary = now | {"val": val | {"intervals": val["intervals"] | {"ece": [0.777, 0.888]}}}
    page = Page(write_report(write_run(tmp_path / "run", summary)))
    assert f"{VAL['ece']:.3f}{VAL_LINE}" in page.inside["dd"][3]
    assert "0.777" not in page.text
    assert f"{VAL['r2'] - 0.031:.3f}" in page.text
    assert "by chance" not in page.text.replace("by chance 0.052", "")


@pytest.mark.parametrize("damage", [0.05, {"mean": 0.05}, {"mean": "low", "percentile_95": 0.07}])
def test_damaged_chance_is_named(tmp_path, damage):
    summary = SUMMARY | {"val": VAL | {"ece_by_chance": damage}}
    with pytest.raises(UserError, match=r"summary\.json: ece_by_chance.* is damaged"):
        write_report(write_run(tmp_path / "run", summary))


def test_summaries_without_intervals_say_so_where_counts_do_not_give_one(page):
    assert f"{VAL['accuracy']:.1%}{between(*wilson_interval(VAL['accuracy'], 211), percent=True)}" in page.inside["td"]
    assert f"{VAL['cross_entropy']:.3f}no interval" in page.inside["td"]
    assert "this run's summary holds no others" in page.text


def test_damaged_intervals_are_named(tmp_path):
    for damage in ([0.1, 0.2], {"accuracy": "wide"}, {"accuracy": [0.1]}):
        summary = SUMMARY | {"val": VAL | {"intervals": damage}}
        with pytest.raises(UserError, match=r"summary\.json: intervals of 'val'.* is damaged"):
            write_report(write_run(tmp_path / "run", summary))


def test_the_training_accuracy_is_given_as_such(page):
    assert (
        f"On the 1,905 images it was trained on (“train”) the same checkpoint has {TRAIN['accuracy']:.1%}" in page.text
    )
    assert f"{TRAIN['accuracy']:.1%}{between(*wilson_interval(TRAIN['accuracy'], 1905), percent=True)}" in page.text
    assert "Images (n)2111,905" in page.text


def test_classes_confusion_matrix_and_calibration_hold_the_numbers_of_the_validation_split(page):
    matrix = np.array(VAL["confusion_matrix"])
    for index, (name, of) in enumerate(VAL["per_class"].items()):
        precision = between(*wilson_interval(of["precision"], matrix[:, index].sum()))
        recall = between(*wilson_interval(of["recall"], of["support"]))
        assert f"{name}{of['precision']:.3f}{precision}{of['recall']:.3f}{recall}{of['f1']:.3f}" in page.text
    cells = [attrs for attrs in page.all("td") if "style" in attrs]
    counts, shaded = cells[:49], cells[49:]
    shares = matrix / matrix.sum(axis=1, keepdims=True)
    for found in (counts, shaded):
        shown = [float(attrs["style"].removeprefix("--share:")) for attrs in found]
        np.testing.assert_allclose(shown, shares.ravel(), atol=0.005)
    assert "".join(map(str, matrix[3])) in page.text
    assert "".join(f"{100 * share:.0f}" for share in shares[3]) in page.text
    assert [attrs["title"].split(":")[0] for attrs in counts if attrs.get("class") == "hit"] == [
        f"{name} taken for {name}" for name in NAMES
    ]
    assert f"Expected calibration error {VAL['ece']:.3f}" in page.text


def test_data_configuration_time_and_environment_are_on_the_page(page):
    for text in (
        "faces/12.jpgtruncated",
        "Left out: other class12",
        "Note 1train has 40 images",
        "AffectNet folder: faces",
        "schedulecosine",
    ):
        assert text in page.text
    for text in ("seed0", "jax0.10.2", "devices1", "Duration36.5 s", "Steps240", "Time per step152.1 ms"):
        assert text in page.text


def test_the_page_needs_no_network_and_no_script(page):
    for tag, attrs in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "base")
        assert not any(name.startswith("on") for name in attrs)
        for name in ("src", "srcset"):
            assert attrs.get(name, "data:image/svg+xml;base64,").startswith("data:image/svg+xml;base64,")
        assert attrs.get("href", "#").startswith("#")
    assert "url(" not in page.source
    assert "@import" not in page.source


def embedded(page):
    sources = [attrs["src"] for attrs in page.all("img")] + [attrs["srcset"] for attrs in page.all("source")]
    return [base64.b64decode(text.partition(",")[2]).decode() for text in sources]


def test_the_embedded_figures_refer_to_nothing_outside_themselves(page):
    assert len(embedded(page)) == 12
    for svg in embedded(page):
        assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', svg))
        assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", svg))
        assert "<script" not in svg


def test_every_figure_has_words_for_those_who_do_not_see_it(page):
    assert len(page.all("img")) == len(page.all("figure")) == len(page.inside["figcaption"]) == 6
    first, second, rate, speed, third, fourth = (attrs["alt"] for attrs in page.all("img"))
    assert "At epoch 4 training has 80.0%" in first
    assert "best at epoch 3, where validation has 40.0%" in first
    assert "validation has 1.500" in second
    assert rate == "Learning rate by epoch, 0.001 after the first and 0.001 after the last."
    assert speed == "Training images a second by epoch, from 212 to 212."
    assert f"neutral {VAL['per_class']['neutral']['f1']:.2f}" in third
    assert f"expected calibration error is {VAL['ece']:.3f}" in fourth


def test_every_table_has_a_caption(page):
    assert len(page.all("table")) == len(page.inside["caption"]) > 0
    assert all(page.inside["caption"])


def test_the_page_fits_phones_and_dark_rooms(page):
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert "@media (prefers-color-scheme: dark)" in page.inside["style"][0]
    assert [attrs["media"] for attrs in page.all("source")] == ["(prefers-color-scheme: dark)"] * 6
    light, dark = embedded(page)[0], embedded(page)[6]
    assert figures.LIGHT_INK in light
    assert figures.DARK_INK not in light
    assert figures.DARK_INK in dark


def test_a_figure_for_dark_pages_is_what_dark_ink_draws(tmp_path):
    fields = {"optimizer.learning_rate": [0.01, 0.001], "loss.l2": [0.0, 0.1], "seed": [0, 1], "epochs": [2, 3]}
    sweep = read_sweep(write_sweep(tmp_path / "sweep", fields, accuracy))
    found = settings(list(sweep.fields), sweep.rows)
    drawings = [partial(draw, VAL) for draw in (figures.confusion_matrix, figures.per_class, figures.reliability)]
    drawings += [partial(figures.curve, HISTORY, "accuracy"), partial(sweep_figures.grid, found, 211)]

    def alike(svg):  # Matplotlib's names of shapes go by their colours
        return re.sub(r"\b[a-zC]?[0-9a-f]{10}\b", "name", svg)

    for draw in drawings:
        dark = base64.b64decode(figures.embed(draw).dark.partition(",")[2]).decode()
        assert alike(dark) == alike(figures.to_svg(draw(figures.DARK_INK)))


LAGGING = [epoch(1, 0.16, accuracy=0.4), epoch(2, 0.19, accuracy=0.6), epoch(3, 0.5, accuracy=0.7)]


@pytest.mark.usefixtures("blank_figures")
def test_validation_at_chance_while_training_is_not_is_explained(tmp_path):
    page = Page(write_report(write_run(tmp_path / "run", SUMMARY, LAGGING)))
    most = max(of["support"] for of in VAL["per_class"].values()) / 211
    explained = (
        f"After 2 epochs, up to epoch 2, validation was at chance (always answering the commonest class: {most:.1%})"
    )
    assert explained in page.text
    assert "--statistics-images 4096" in page.text


@pytest.mark.usefixtures("blank_figures")
@pytest.mark.parametrize(
    ("history", "changes"),
    [
        (HISTORY[:3], {}),  # of which validation is above chance
        ([epoch(1, 0.16, accuracy=0.2)], {}),  # of which training is at chance too
        (LAGGING, {"optimizer": {"statistics_images": 4096}}),
        (LAGGING, {"model": {"variant": "networks:Convolutional"}}),  # of which nothing is known
    ],
)
def test_what_has_another_reason_is_not_explained_so(tmp_path, history, changes):
    config = json.loads(to_json(PRESETS["demo"]))
    config = {
        name: value | changes.get(name, {}) if isinstance(value, dict) else value for name, value in config.items()
    }
    page = Page(write_report(write_run(tmp_path / "run", SUMMARY, history, config)))
    assert "at chance" not in page.text


@pytest.mark.usefixtures("blank_figures")
def test_what_a_log_of_an_older_release_lacks_is_not_drawn(tmp_path):
    history = [
        {name: value for name, value in line.items() if name not in ("learning_rate", "seconds")} for line in HISTORY
    ]
    page = Page(write_report(write_run(tmp_path / "run", SUMMARY, history)))
    assert "Learning rate" not in page.text
    assert len(page.all("img")) == 4
    history[0]["seconds"] = HISTORY[0]["seconds"]
    assert "speed" not in Page(write_report(write_run(tmp_path / "run", SUMMARY, history))).text


def test_the_contents_are_the_headings_in_their_order(page):
    sections = [attrs["id"] for attrs in page.all("section")]
    links = [attrs["href"] for attrs in page.all("a")]
    assert links == [f"#{section}" for section in sections]
    assert sections == [
        "curves",
        "pace",
        "scores",
        "classes",
        "confusion",
        "calibration",
        "data",
        "configuration",
        "environment",
    ]


@pytest.mark.usefixtures("blank_figures")
def test_the_page_links_its_evaluations_its_sweep_and_the_page_of_all_runs(tmp_path):
    sweep = tmp_path / "my sweep"
    (sweep / "cells").mkdir(parents=True)
    (sweep / "sweep.json").touch()
    run = write_run(sweep / "cells" / "1-a")
    for name in ("val-epoch4-1a", "Öffentlich-2b"):
        (run / "evaluations" / name).mkdir(parents=True)
        (run / "evaluations" / name / "evaluation.html").touch()
    (run / "evaluations" / "unfinished").mkdir()
    (sweep / "report.html").touch()
    assert linked(write_report(run)) == {
        "val-epoch4-1a": run / "evaluations/val-epoch4-1a/evaluation.html",
        "Öffentlich-2b": run / "evaluations/Öffentlich-2b/evaluation.html",
        "my sweep": sweep / "report.html",
    }
    alone = write_run(tmp_path / "alone")
    assert linked(write_report(alone)) == {}
    (tmp_path / "report.html").touch()
    assert linked(write_report(alone)) == {tmp_path.name: tmp_path / "report.html"}


def linked(path):
    """Return where the links of a page to other pages lead, by their texts."""
    found = re.findall(r'<a href="([^"#]+)">([^<]*)</a>', path.read_text(encoding="utf-8"))
    return {text: (path.parent / unquote(address)).resolve() for address, text in found}


def test_the_same_run_gives_the_same_page(run_dir, page):
    assert write_report(run_dir).read_text(encoding="utf-8") == page.source


HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "$accuracy & ${name}", "</table>")


def test_hostile_names_and_paths_are_shown_as_text(tmp_path):
    summary = json.loads(json.dumps(SUMMARY))
    summary["val"] = scores(HOSTILE[1], 211, names=(*HOSTILE, "fear", "disgust", "anger"))
    summary["data"] |= {"source": HOSTILE[0], "left_out": {HOSTILE[1]: 3}, "unreadable": [list(HOSTILE[:2])]}
    summary["environment"][HOSTILE[3]] = HOSTILE[0]
    summary["checkpoint"]["chosen"] = HOSTILE[0]
    config = {"data": {"data_dir": HOSTILE[0]}, HOSTILE[3]: {HOSTILE[1]: [HOSTILE[2]]}}
    page = Page(write_report(write_run(tmp_path / "a & b <i>", summary, config=config)))
    assert page.open == []
    assert not page.all("script")
    assert not page.all("i")
    assert len(page.all("img")) == 6
    assert "report of the run a & b <i>" in page.text
    for text in HOSTILE:
        assert text in page.inside["th"]
    assert HOSTILE[0] in page.inside["td"]


@pytest.mark.usefixtures("blank_figures")
def test_a_hundred_thousand_unreadable_images_leave_the_page_small(tmp_path):
    summary = SUMMARY | {
        "data": SUMMARY["data"] | {"unreadable": [[f"{'x' * 90}/{i}.jpg", "empty"] for i in range(10**5)]}
    }
    history = [epoch(i, 0.4) for i in range(1, 301)]
    path = write_report(write_run(tmp_path / "run", summary, history))
    assert path.stat().st_size < 2_000_000
    assert "200 of 100,000 unreadable images" in Page(path).text


@pytest.mark.usefixtures("blank_figures")
def test_without_unreadable_images_none_are_listed(tmp_path):
    summary = SUMMARY | {"data": SUMMARY["data"] | {"left_out": {}, "unreadable": []}}
    assert "Unreadable images:" not in Page(write_report(write_run(tmp_path / "run", summary))).text


def test_scores_that_are_not_numbers_are_shown_as_missing(tmp_path):
    summary = SUMMARY | {"val": VAL | {"r2": None, "loss": float("nan")}}
    history = [epoch(1, None, loss=float("inf"), val_loss=None)]
    page = Page(write_report(write_run(tmp_path / "run", summary, history)))
    assert f"R²n/ano interval{TRAIN['r2']:.3f}" in page.text
    assert f"Loss (training objective)n/ano interval{TRAIN['loss']:.3f}" in page.text
    assert "At epoch 1 training has 50.0%, validation n/a." in page.all("img")[0]["alt"]


def test_a_summary_without_any_number_has_a_page(tmp_path):
    logits, labels = np.full((5, 7), np.nan, np.float32), np.arange(5, dtype=np.int32)
    nothing = Metrics.of_batch(logits, labels, np.full(5, True)).compute(NAMES).to_dict() | {"split": "val"}
    bounds = {"intervals": {name: [None, None] for name in MEASURES}, "ece_by_chance": dict.fromkeys(CHANCE)}
    page = Page(write_report(write_run(tmp_path / "run", SUMMARY | {"val": nothing | bounds})))
    assert page.inside["h1"] == ["Validation accuracy n/a"]
    assert "neutraln/ano intervaln/ano intervaln/ano interval1" in page.text


@pytest.mark.usefixtures("blank_figures")
def test_a_report_of_a_damaged_run_leaves_the_old_page_alone(tmp_path):
    folder = write_run(tmp_path / "run")
    before = write_report(folder).read_bytes()
    (folder / "summary.json").write_text('{"epochs": ')
    with pytest.raises(UserError):
        write_report(folder)
    assert (folder / "report.html").read_bytes() == before


@pytest.mark.usefixtures("blank_figures")
def test_a_page_that_cannot_be_written_is_named(tmp_path):
    (write_run(tmp_path / "run") / "report.html").mkdir()
    with pytest.raises(UserError, match=r"report\.html cannot be written"):
        write_report(tmp_path / "run")


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "summary.json"])
def test_a_missing_or_damaged_file_is_named(tmp_path, name):
    path = write_run(tmp_path / "run") / name
    for damage in (b'{"kind": "epo', b"\xff\xfe\x00", b"[1, 2]", b'"text"'):
        path.write_bytes(damage)
        with pytest.raises(UserError, match=rf"{name}.* is damaged"):
            write_report(tmp_path / "run")
    path.unlink()
    with pytest.raises(UserError, match=rf"{name}"):
        write_report(tmp_path / "run")


def test_a_run_that_has_not_ended_says_so(tmp_path):
    (write_run(tmp_path / "run") / "summary.json").unlink()
    with pytest.raises(UserError, match="the run has not ended"):
        write_report(tmp_path / "run")


def test_a_folder_that_is_no_run_says_so(tmp_path):
    with pytest.raises(UserError, match="pass the folder of a run"):
        write_report(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"val": {}}, "val is damaged: it lacks accuracy, balanced_accuracy"),
        ({"steps": "many"}, "steps is damaged: expected a value of type int, found 'many'"),
        ({"val": VAL | {"class_names": ["happy"]}}, "do not fit its class names"),
        ({"val": VAL | {"confusion_matrix": [[1, 2], [3]]}}, "do not fit its class names"),
        ({"data": SUMMARY["data"] | {"unreadable": [3]}}, r"unreadable\[0\] is damaged"),
    ],
)
def test_a_summary_without_something_says_what(tmp_path, change, message):
    with pytest.raises(UserError, match=r"summary\.json.*" + message):
        write_report(write_run(tmp_path / "run", SUMMARY | change))


def test_a_history_without_epochs_says_so(tmp_path):
    with pytest.raises(UserError, match=r"metrics\.jsonl holds no epochs"):
        write_report(write_run(tmp_path / "run", history=[{"kind": "step", "step": 1, "loss": 2.0}]))


def test_lines_of_other_kinds_are_ignored(tmp_path):
    other = [{"kind": "step", "step": 3, "loss": 1.0}, {"kind": "something new"}]
    expected = Page(write_report(write_run(tmp_path / "run")))
    assert Page(write_report(write_run(tmp_path / "run", history=[*other, *HISTORY, *other]))).source == expected.source


def test_the_curves_show_both_splits_and_mark_the_last_of_the_best_epochs():
    figure = figures.curves(HISTORY)
    for axes, measure in zip(figure.axes, ("accuracy", "loss"), strict=True):
        assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("epoch", measure, "")
        train, val, gap, line, best = axes.lines
        np.testing.assert_array_equal(train.get_ydata(), [epoch[measure] for epoch in HISTORY])
        np.testing.assert_array_equal(val.get_ydata(), [epoch[f"val_{measure}"] for epoch in HISTORY])
        assert list(line.get_xdata()) == [3, 3]
        assert list(best.get_xdata()) == [3]
        ends = HISTORY[-1][measure], HISTORY[-1][f"val_{measure}"]
        assert list(gap.get_ydata()) == list(ends)
        words = [text.get_text() for text in axes.texts]
        assert words == [f"gap\n{abs(ends[0] - ends[1]):.2f}", "best accuracy, epoch 3"]


def test_curves_of_one_epoch_or_without_finite_values_can_be_drawn():
    for history in ([epoch(1, 0.3)], [epoch(1, None, val_loss=None), epoch(2, float("nan"))]):
        assert "<svg" in figures.to_svg(figures.curves(history))
    assert figures.best_epoch([epoch(1, None)]) is None


def test_the_confusion_matrix_figure_shows_counts_shaded_by_row():
    figure = figures.confusion_matrix(VAL)
    (axes,) = figure.axes
    matrix = np.array(VAL["confusion_matrix"])
    assert [text.get_text() for text in axes.texts] == [f"{count:,}" for count in matrix.ravel()]
    np.testing.assert_allclose(axes.images[0].get_array(), matrix / matrix.sum(axis=1, keepdims=True))
    assert [label.get_text() for label in axes.get_yticklabels()] == list(NAMES)
    (axes,) = figures.confusion_matrix(VAL, shares=True).axes
    shares = matrix / matrix.sum(axis=1, keepdims=True)
    assert [text.get_text() for text in axes.texts] == [f"{share:.2f}" for share in shares.ravel()]


def test_the_bars_of_the_classes_are_their_f1_between_its_bounds():
    (axes,) = figures.per_class(VAL).axes
    errors, bars = axes.containers
    assert [bar.get_width() for bar in bars] == [of["f1"] for of in VAL["per_class"].values()]
    for (left, right), of in zip(errors.lines[2][0].get_segments(), VAL["per_class"].values(), strict=True):
        assert 0 <= left[0] <= of["f1"] <= right[0] <= 1
        assert left[0] < right[0]
    precision, recall = axes.lines
    np.testing.assert_array_equal(precision.get_xdata(), [of["precision"] for of in VAL["per_class"].values()])
    np.testing.assert_array_equal(recall.get_xdata(), [of["recall"] for of in VAL["per_class"].values()])
    assert [label.get_text() for label in axes.get_yticklabels()] == list(NAMES)


def test_bins_and_classes_without_examples_can_be_drawn():
    empty = {"examples": 0, "confidence": 0.0, "accuracy": 0.0}
    absent = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    nothing = VAL | {"calibration": [empty] * 15, "per_class": dict.fromkeys(NAMES, absent)}
    nothing |= {"confusion_matrix": [[0] * 7] * 7}
    for draw in (figures.reliability, figures.per_class, figures.confusion_matrix):
        assert "<svg" in figures.to_svg(draw(nothing))


def test_figures_are_transparent_and_their_letters_stay_text():
    svg = figures.to_svg(figures.confusion_matrix(VAL))
    assert figures.confusion_matrix(VAL).get_facecolor()[3] == 0
    assert ">surprise</text>" in svg
    assert "DejaVu" not in svg


@pytest.mark.usefixtures("blank_figures")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "still learned."),
        ({"augment": {"flip": True}}, "still learned, with augmentation."),
        ({"augment": {"mixup": 0.2}, "model": {"dropout": 0.1}}, "still learned, with augmentation and dropout."),
        ({"model": {"dropout": 0.1}}, "still learned, with dropout."),
        ({"augment": "damaged"}, "still learned."),
    ],
)
def test_captions_name_augmentation_and_dropout_where_there_was_some(tmp_path, changes, words):
    config = json.loads(to_json(PRESETS["demo"]))
    config |= {name: part if isinstance(part, str) else config[name] | part for name, part in changes.items()}
    caption = Page(write_report(write_run(tmp_path / "run", config=config))).inside["figcaption"][0]
    assert words in " ".join(caption.split())


@pytest.mark.usefixtures("blank_figures")
def test_the_table_of_classes_has_auc_and_average_precision_where_they_are_known(tmp_path):
    classes = {name: of | {"auc": 0.875, "average_precision": None} for name, of in VAL["per_class"].items()}
    summary = SUMMARY | {"val": VAL | {"per_class": classes}}
    old, new = (
        Page(write_report(write_run(tmp_path / name, one))) for name, one in (("old", SUMMARY), ("new", summary))
    )
    assert "Average precision" in new.text
    assert new.inside["td"].count("0.875") == 7
    assert "Average precision" not in old.text
    damaged = SUMMARY | {"val": VAL | {"per_class": {name: of | {"auc": "high"} for name, of in classes.items()}}}
    with pytest.raises(UserError, match=r"per_class: neutral: auc is damaged"):
        write_report(write_run(tmp_path / "damaged", damaged))
