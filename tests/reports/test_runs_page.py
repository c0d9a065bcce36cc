"""The page of a folder of runs: a line and a row for each, whatever state it is in."""

import json
import math
import re

import pytest
from made_runs import HISTORY, RATES_BY_EPOCHS, SUMMARY, accuracy, epoch, write_run, write_sweep

from jaxfer.config import PRESETS, to_json
from jaxfer.reports import figures, read_runs, write_runs_report
from jaxfer.reports.runs_page import drawn
from jaxfer.reports.words import printable
from jaxfer.sweeps import read_sweep

pytestmark = pytest.mark.usefixtures("blank_figures")

CONFIG = json.loads(to_json(PRESETS["demo"])) | {"epochs": 4}
FOUND = {"role": "test", "split": "PrivateTest", "examples": 3589, "accuracy": 0.625}


@pytest.fixture
def folder(tmp_path):
    """A finished run with a page and an evaluation, one that goes on, one that is damaged, and folders of others."""
    root = tmp_path / "my runs"
    root.mkdir()
    first = write_run(root / "first & <best>", config=CONFIG)
    (first / "report.html").touch()
    (first / "evaluations" / "PrivateTest-1a").mkdir(parents=True)
    (first / "evaluations" / "PrivateTest-1a" / "evaluation.html").touch()
    found = json.dumps(FOUND | {"intervals": {"accuracy": [0.6, 0.65]}})
    (first / "evaluations" / "PrivateTest-1a" / "evaluation.json").write_text(found)
    going = write_run(root / "going", history=HISTORY[:2], config=CONFIG | {"seed": 7})
    (going / "summary.json").unlink()
    (root / "cut off").mkdir()
    (root / "cut off" / "config.json").write_text("{")
    for name in ("data", ".hidden"):
        (root / name).mkdir()
    return root


def rows(page, section):
    """Return the texts of the cells of each row of a section's table."""
    _, _, rest = page.partition(f'<section id="{section}">')
    table, _, _ = rest.partition("</section>")
    lines = re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.DOTALL)[1:]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.DOTALL) for line in lines]
    return [[" ".join(re.sub(r"<[^>]+>|\u00a0", " ", cell).split()) for cell in line] for line in cells]


def written(folder, sweeps=()):
    return write_runs_report(folder, read_runs(folder), sweeps).read_text(encoding="utf-8")


def test_each_run_has_a_row_whatever_state_it_is_in(folder):
    page = written(folder)
    damaged, first, going = rows(page, "runs")
    assert damaged[0].startswith("cut off config.json is damaged: it is not JSON")
    assert damaged[1:] == ["n/a"] * 7
    assert str(folder) not in page
    assert first[0] == "first &amp; &lt;best&gt; seed 0"
    assert re.fullmatch(r"\d+\.\d% \d+\.\d% to \d+\.\d%", first[1])
    assert first[2:] == ["40.0% epoch 3", "1.500", "4 of 4", "36.0 s", "val n = 211", "9f2c"]
    assert going == ["going seed 7", "40.0%", "40.0% epoch 2", "1.500", "2 of 4, not finished", "18.0 s", "n/a", "n/a"]
    assert "1 finished run, 1 not finished, 1 that cannot be read." in page
    assert "Passed over, being neither a run nor a sweep: data." in page


def test_links_lead_to_pages_that_are_there(folder):
    sweep = write_sweep(folder / "grid", RATES_BY_EPOCHS, accuracy)
    page = written(folder, [read_sweep(sweep)])
    first = "first%20%26%20%3Cbest%3E"
    links = re.findall(r'href="([^#"]+)"', page)
    assert links == [f"{first}/report.html", f"{first}/evaluations/PrivateTest-1a/evaluation.html"]
    assert rows(page, "evaluations") == [
        ["PrivateTest-1a", "first &amp; &lt;best&gt;", "62.5% 60.0% to 65.0%", "test", "PrivateTest n = 3,589"]
    ]
    ((name, best, cells, split),) = rows(page, "sweeps")
    assert name == "grid learning_rate 0.001, epochs 5"
    assert best.startswith("55.0% ")
    assert (cells, split) == ("9", "val n = 211")
    (sweep / "report.html").touch()
    assert 'href="grid/report.html"' in written(folder, [read_sweep(sweep)])


def test_runs_of_other_data_are_not_to_be_compared(folder):
    assert "“val” with n = 211." in written(folder)
    write_run(folder / "other", SUMMARY | {"data": SUMMARY["data"] | {"fingerprint": "77aa"}})
    page = written(folder)
    assert "They have 2 different data sets (“Data” below): compare only numbers of the same one." in page


def test_of_many_runs_the_best_are_drawn_in_lines_that_differ(tmp_path):
    for number in range(12):
        write_run(tmp_path / f"{number:02}", history=[epoch(1, number / 20), epoch(2, number / 20)])
    write_run(tmp_path / "nan", history=[epoch(1, math.nan)])
    runs = read_runs(tmp_path)
    histories = drawn(runs)
    assert list(histories) == [f"{number:02}" for number in range(2, 12)]
    assert len(set(figures.LINES)) == len(histories)
    page = written(tmp_path)
    assert re.search(r"10 runs of the highest validation accuracy after their last epoch, and not\s3 others", page)
    assert re.findall(r"<li><span [^>]*></span>(\d+)</li>", page) == list(histories)
    (axes,) = figures.over_each_other(histories, "val_accuracy").axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[n / 20] * 2 for n in range(2, 12)]
    assert axes.get_ylabel() == "validation accuracy"


def test_a_legend_for_a_paper_shows_every_name(tmp_path):
    histories = dict.fromkeys(("_hidden", "\u202ename"), HISTORY)
    figure = figures.over_each_other(histories, "loss", legend=True)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [" hidden", printable("\u202ename")]


@pytest.mark.drawn
def test_the_page_needs_no_network(folder):
    page = written(folder)
    assert not re.findall(r'(?:src|srcset)="(?!data:)', page)
    assert not re.findall(r"https?://", re.sub(r'"data:[^"]*"', "", page))
    assert "<best>" not in page
