"""What the documentation claims is what the measured files say."""

import json
import re
from pathlib import Path

import pytest

from jaxfer.inference.model import SHIPPED

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"


@pytest.fixture(scope="module")
def make_results(script):
    return script("make_results")


@pytest.fixture(scope="module")
def measured():
    names = ("drawn-demo.json", "fer2013-published.json", "weights-small.json", "fer2013-grid.json")
    return [json.loads((RESULTS / name).read_text()) for name in names]


def test_the_results_page_is_what_the_measured_file_says(make_results, measured):
    _, faces, weights, grid = measured
    taught = json.loads((RESULTS / "weights-small-taught.json").read_text())
    made = make_results.page(faces, grid, make_results.data_measurements(), weights, taught)
    assert (ROOT / "docs" / "results.md").read_text() == made


def test_the_card_of_a_network_that_ships_is_what_its_measured_file_says(script):
    make_card = script("make_card")
    for name, folder in SHIPPED.items():
        assert (folder / "README.md").read_text() == make_card.card(name, make_card.measured(name))


def test_the_published_network_computes_what_the_page_says(make_results, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from arithmetic import operations
    from contenders.case import Case

    assert sum(operations(Case("infer", "published", 1)).values()) // 2 == make_results.PUBLISHED_MULTIPLY_ADDS


def test_the_table_in_the_readme_is_what_the_measured_files_say(make_results, measured):
    assert make_results.measured_runs(*measured[:3]) in (ROOT / "README.md").read_text()


def test_the_calibration_errors_are_what_the_measured_files_say(make_results, measured):
    assert make_results.calibration_errors(*measured[1:3]) in (ROOT / "docs" / "calibration.md").read_text()


def test_what_chose_a_network_and_how_it_was_made_otherwise_is_said(script):
    words = script("training_of_weights")
    best = {"epoch": 23, "of": 24, "chosen": "best"}
    runs = [
        {"epochs": 30, "dtype": "bfloat16", "drawn_anew": [], "teachers": [], "scores": {"accuracy": 0.68}},
        {"epochs": 24, "dtype": "float32", "drawn_anew": ["head"], "teachers": [], "scores": {"accuracy": 0.69}},
        {"epochs": 20, "dtype": "float32", "drawn_anew": [], "teachers": [best], "scores": {"accuracy": 0.7}},
    ]
    found = {"runs": runs, "views": {"one": {"split": "PublicTest"}}, "made": {"config": {"seed": 2}}}
    assert words.command(found).endswith("--epochs 30 --then 24 --then-taught 20 --seed 2")
    assert words.unlike_the_command(found) == (
        "run 1 computed in bfloat16; run 2 drew its last layers anew (head); "
        "run 3 was taught by epoch 23 of 24, the best on PublicTest, in place of the last"
    )
    chosen = words.selection(found)
    assert "It chose the epoch of the teacher, 23 of 24." in chosen
    assert "had been scored on PublicTest (0.6800, 0.6900), so that the number is a little optimistic" in chosen
    alone = found | {"runs": [runs[0] | {"dtype": "bfloat16"}]}
    assert words.command(alone).endswith("--epochs 30 --seed 2 --dtype bfloat16")
    assert words.unlike_the_command(alone) == ""
    assert words.selection(alone).endswith("whose last one is scored.")


def test_measured_files_name_no_path_of_the_machine_they_come_from():
    for file in RESULTS.glob("*.json"):
        assert not re.search(r"/(home|root|tmp|work)/", file.read_text())
        run = json.loads(file.read_text()).get("summary")
        assert run is None or run["config"]["data"]["data_dir"] is None


def test_links_between_pages_lead_somewhere():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert "://" in target or (page.parent / target).exists(), f"{page.name} links to {target}"
