"""The page that starts from the layout a person holds."""

from pathlib import Path

import pytest
from formats import FORMATS

from jaxfer.data.layouts import LAYOUTS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def make_affectnet(script):
    return script("make_affectnet")


def test_every_raw_layout_has_its_section(make_affectnet):
    shown = {section.format_name for section in make_affectnet.SECTIONS}
    assert {format_.layout for format_ in FORMATS if format_.name in shown} == {layout.name for layout in LAYOUTS} - {
        "prepared"
    }


def test_every_section_and_its_output_is_in_the_page(make_affectnet):
    page = (DOCS / "affectnet.md").read_text()
    for section in make_affectnet.SECTIONS:
        assert f"\n## {section.title}\n" in page
        assert f"(#{make_affectnet.anchor(section.title)})" in page
    assert (
        page.count("$ jaxfer data check DIR") == page.count("$ jaxfer data prepare DIR") == len(make_affectnet.SECTIONS)
    )


@pytest.mark.slow
def test_the_commands_print_what_the_page_says(make_affectnet):
    assert make_affectnet.page() == (DOCS / "affectnet.md").read_text()
