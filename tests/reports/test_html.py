"""Templates escape what they are given and miss nothing."""

import re
import subprocess
import sys
from importlib import resources

import numpy as np
import pytest
from jinja2 import UndefinedError
from made_runs import SUMMARY, write_run
from markupsafe import Markup

import jaxfer.reports
from jaxfer.reports import html, run_page
from jaxfer.reports.finished_run import read_run
from jaxfer.reports.words import Measures, between, where

TEMPLATES = sorted(file.name for file in resources.files("jaxfer.reports").joinpath("templates").iterdir())


def test_a_value_that_a_template_lacks_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(run_page, "_time", lambda summary: html._ENVIRONMENT.undefined("time"))
    with pytest.raises(UndefinedError):
        run_page.render(read_run(write_run(tmp_path / "run", SUMMARY)))
    with pytest.raises(UndefinedError, match="'name' is undefined"):
        html.render("sweep.html.jinja")


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name.endswith(".jinja")])
def test_no_template_takes_text_for_markup(name):
    text = resources.files("jaxfer.reports").joinpath("templates", name).read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe|autoescape|Markup", text)
    assert html._ENVIRONMENT.autoescape is True


def test_text_does_nothing_in_a_page_but_show_itself():
    text = html._ENVIRONMENT.from_string("{{ name }}\n{{ markup }}").render(
        name="<b>caf\udce9 \x1b[2J \u202egpj.exe\nöß 表", markup=Markup("<i>\u200d</i>")
    )
    assert text == "&lt;b&gt;caf\\udce9 \\x1b[2J \\u202egpj.exe\nöß 表\n<i>\u200d</i>"


def test_pictures_are_made_smaller_but_never_larger():
    large, small = (html.picture(np.zeros((side, side // 2, 3), np.uint8), 64) for side in (128, 32))
    assert large.startswith("data:image/jpeg;base64,")
    assert len(large) != len(small)


def test_a_score_without_a_measure_is_called_by_its_name():
    measures = Measures({})
    assert measures["votes_kl"].heading == "votes kl"
    assert measures.number("votes_kl", None) == "n/a"
    split = {"split": "val", "examples": 9, "votes_examples": 7, "votes_kl": 0.5, "per_class": {}, "own": True}
    assert measures.names(split, split) == ["votes_kl"]
    assert measures.names() == []
    assert where(split, "epoch 3", "votes").replace("\u00a0", " ") == "val, n = 7, epoch 3"
    assert where(split, "epoch 3").replace("\u00a0", " ") == "val, n = 9, epoch 3"
    assert between((None, 0.25)) == "n/a to 0.250"


def test_the_room_offers_its_pages_and_nothing_else():
    assert all(callable(getattr(jaxfer.reports, name)) for name in jaxfer.reports.__all__)
    with pytest.raises(AttributeError, match="no attribute 'write_pages'"):
        _ = jaxfer.reports.write_pages


def test_what_is_drawn_and_printed_of_data_needs_neither_jax_nor_matplotlib():
    code = "import sys; from jaxfer.reports import print_check, print_prepared, write_check; "
    code += "print(sorted({'jax', 'matplotlib', 'tensorflow_datasets'} & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stdout == "[]\n"
