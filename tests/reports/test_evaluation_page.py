"""The page of an evaluation in a real browser, at the widths of a phone and of a desk."""

import re

import networks
import numpy as np
import pytest
from browser import Browser

from jaxfer.config import Config, DataConfig, ModelConfig
from jaxfer.data import load
from jaxfer.evaluation.evaluate import compare, evaluate
from jaxfer.reports.evaluation_page import write_evaluation
from jaxfer.runs.load import Trained

pytestmark = [pytest.mark.long, pytest.mark.browser]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Write the fullest page there is: groups, and two more runs beside it."""
    one_channel = ModelConfig(gray=True, standardize=True)  # of images that the page shows in colour
    config = Config(data=DataConfig(drawn_train=7, drawn_val=70), model=one_channel)
    model = networks.Convolutional()
    data = load(config.data)
    groups = {"valence": np.where(np.arange(70) < 9, "negative", "positive")}
    evaluations = []
    for seed, name in enumerate(("first-run-of-a-long-name", "second", "third")):
        variables = networks.drawn(model, data.val.images, seed)
        run_dir = tmp_path_factory.mktemp("runs") / name
        trained = Trained(run_dir, config, model, variables, 40, 2, True, "last", data.fingerprint)
        evaluations.append(evaluate(trained, data, by="valence", views="ten", more_groups=groups, without_copies=True))
    return write_evaluation(evaluations[0], compare(evaluations)) / "evaluation.html"


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_loads_without_complaint_fits_the_window_and_has_words_for_its_pictures(browser, page, width, dark):
    browser.open(page, width=width, dark=dark)
    assert browser.complaints == []
    assert browser.run("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
    assert width < 600 or browser.cut_off == []
    assert browser.run("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert browser.run("[...document.images].every(image => image.alt.length > 15)")
    assert browser.run("[...document.querySelectorAll('table')].every(table => table.caption.textContent)")
    assert page.stat().st_size < 2_000_000


def test_the_name_of_each_image_stands_below_it(browser, page):
    browser.open(page, width=1280)
    captions = browser.run("[...document.querySelectorAll('.sheet figcaption')].map(one => one.innerText)")
    assert len(captions) > 24
    assert all(
        re.fullmatch(r"drawn face \d+\n\w+, taken for \w+: [\d.]+% sure \(row \d+\)", text) for text in captions[:24]
    )
