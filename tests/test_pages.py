"""The pages in a real browser, at the widths of a phone and of a desk, for light and for dark rooms."""

import json

import pytest
from browser import Browser
from formats import class_folders
from made_runs import RATES_BY_EPOCHS, SUMMARY, accuracy, fifty_epochs, with_intervals, write_run, write_sweep

from jaxfer.config import PRESETS, to_json
from jaxfer.data.checking import check
from jaxfer.reports import read_runs, write_check, write_report, write_runs_report, write_sweep_report
from jaxfer.sweeps import read_sweep

pytestmark = pytest.mark.browser

PHONE, DESK = 390, 1280
MOST_BYTES = 2_000_000


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    summary = with_intervals(SUMMARY) | {"epochs": 50}
    grids = {
        "two": RATES_BY_EPOCHS,
        "one": {"optimizer.learning_rate": [0.01, 0.001]},
        "three": RATES_BY_EPOCHS | {"augment.flip": [False, True], "model.variant": ["published", "resnet18"]},
    }
    sweeps = {name: write_sweep(folder / name, fields, accuracy, failed=[0]) for name, fields in grids.items()}
    run = write_report(write_run(folder / "run", summary, fifty_epochs()))
    class_folders.words(folder / "faces", 2)
    checked = folder / "check.html"
    write_check(check(folder / "faces"), checked)
    found = {"run": run, "check": checked} | {
        name: write_sweep_report(read_sweep(path)) for name, path in sweeps.items()
    }
    for seed in range(11):
        name = f"a-run-whose-name-says-much-of-its-settings-seed-{seed}"
        write_run(folder / name, summary, fifty_epochs(), json.loads(to_json(PRESETS["demo"])) | {"seed": seed})
    read = list(map(read_sweep, sweeps.values()))
    return found | {"runs": write_runs_report(folder, read_runs(folder), read)}


@pytest.mark.parametrize("name", ["run", "check", "two", "one", "three", "runs"])
@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_page_loads_without_complaint_and_fits_the_window(browser, pages, name, width, dark):
    browser.open(pages[name], width=width, dark=dark)
    assert browser.complaints == []
    assert browser.run("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
    assert width == PHONE or browser.cut_off == []
    loaded = browser.run("[...document.images].map(image => [image.complete, image.naturalWidth > 0])")
    assert loaded or name == "check"
    assert all(map(all, loaded))
    ground, ink = (_brightness(browser, name) for name in ("backgroundColor", "color"))
    assert (ground < 60 and ink > 200) if dark else (ground > 200 and ink < 60)


def _brightness(browser, name):
    """Return how bright the page's ground or its ink is, from 0 to 255."""
    colour = browser.run(f"getComputedStyle(document.body).{name}")
    return sum(map(float, colour[colour.index("(") + 1 : -1].split(",")[:3])) / 3


@pytest.mark.parametrize("name", ["run", "check", "two", "one", "three", "runs"])
def test_the_contents_lead_to_every_section(browser, pages, name):
    browser.open(pages[name], width=DESK)
    links = browser.run("[...document.querySelectorAll('.contents a')].map(a => [a.hash.slice(1), a.textContent])")
    assert links == browser.run("[...document.querySelectorAll('section')].map(s => [s.id, s.firstChild.textContent])")
    assert len({place for place, _ in links}) == len(links) > 1


@pytest.mark.parametrize("name", ["run", "two", "one", "three", "runs"])
def test_a_page_names_its_language_its_figures_and_its_tables(browser, pages, name):
    browser.open(pages[name], width=DESK)
    assert browser.run("document.documentElement.lang") == "en"
    assert browser.run("document.title")
    assert all(len(alt) > 40 for alt in browser.run("[...document.images].map(image => image.alt)"))
    assert browser.run("[...document.querySelectorAll('table')].every(table => table.caption.textContent)")
    assert browser.run("[...document.querySelectorAll('figure')].every(one => one.querySelector('figcaption'))")
    assert browser.run("document.querySelectorAll('h1').length") == 1


def test_a_report_of_fifty_epochs_is_light(pages):
    assert pages["run"].stat().st_size < MOST_BYTES


def test_dark_rooms_get_other_figures(browser, pages):
    sources = []
    for dark in (False, True):
        browser.open(pages["run"], width=DESK, dark=dark)
        sources.append(browser.run("[...document.images].map(image => image.currentSrc)"))
    assert all(light != dark for light, dark in zip(*sources, strict=True))


def column(browser, index):
    """Return what a column of the table of cells shows, from the top."""
    rows = "[...document.querySelectorAll('.sortable tbody tr')]"
    return browser.run(f"{rows}.map(row => row.cells[{index}].firstChild.textContent)")


def test_the_table_of_cells_sorts_by_a_press_and_by_a_key(browser, pages):
    browser.open(pages["two"], width=DESK)
    headings = browser.run("[...document.querySelectorAll('.sortable thead th')].map(one => one.textContent)")
    assert headings[:3] == ["learning_rate", "epochs", "Accuracy"]
    state = "[...document.querySelectorAll('.sortable thead th')].map(one => one.getAttribute('aria-sort'))"
    assert not any(browser.run(state))

    browser.run("document.querySelectorAll('.sortable thead button')[2].click()")
    assert browser.run(state) == [None, None, "ascending", *[None] * 6]
    shown = [float(text.rstrip("%")) for text in column(browser, 2)[:6]]
    assert shown == sorted(shown)
    assert column(browser, 2)[6:] == ["n/a"] * 3

    browser.run("document.querySelectorAll('.sortable thead button')[2].focus()")
    browser.press("Enter")
    assert browser.run(state)[2] == "descending"
    assert [float(text.rstrip("%")) for text in column(browser, 2)[:6]] == shown[::-1]
    assert column(browser, 2)[6:] == ["n/a"] * 3

    browser.run("document.querySelectorAll('.sortable thead button')[0].click()")
    assert browser.run(state)[:3] == ["ascending", None, None]
    assert column(browser, 0) == ["0.0001"] * 3 + ["0.001"] * 3 + ["0.01"] * 3
    assert browser.complaints == []


def test_words_sort_as_words(browser, pages):
    browser.open(pages["three"], width=PHONE)
    headings = browser.run("[...document.querySelectorAll('.sortable thead th')].map(one => one.textContent)")
    index = headings.index("variant")
    browser.run(f"document.querySelectorAll('.sortable thead button')[{index}].click()")
    assert column(browser, index) == ["published"] * 18 + ["resnet18"] * 18


def test_a_complaint_would_be_heard(browser, tmp_path):
    page = tmp_path / "broken.html"
    page.write_text("<!doctype html><script>console.error('no')</script><script>missing()</script><img src='no.png'>")
    browser.open(page, width=DESK)
    assert len(browser.complaints) == 3
