"""What the documentation claims is what the measured files say."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"


@pytest.fixture(scope="module")
def make_results(script):
    return script("make_results")


@pytest.fixture(scope="module")
def measured():
    names = ("drawn-demo.json", "fer2013-seed.json", "fer2013-grid.json")
    return [json.loads((RESULTS / name).read_text()) for name in names]


def test_the_results_page_is_what_the_measured_file_says(make_results, measured):
    assert (ROOT / "docs" / "results.md").read_text() == make_results.page(
        *measured[1:], make_results.data_measurements()
    )


def test_the_table_in_the_readme_is_what_the_measured_files_say(make_results, measured):
    assert make_results.measured_runs(*measured[:2]) in (ROOT / "README.md").read_text()


def test_measured_files_name_no_path_of_the_machine_they_come_from():
    for file in RESULTS.glob("*.json"):
        assert not re.search(r"/(home|root|tmp|work)/", file.read_text())
        run = json.loads(file.read_text()).get("summary")
        assert run is None or run["config"]["data"]["data_dir"] is None


def test_links_between_pages_lead_somewhere():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert "://" in target or (page.parent / target).exists(), f"{page.name} links to {target}"
