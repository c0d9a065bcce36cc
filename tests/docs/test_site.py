"""The site: nothing public is left out, no page either, and links lead to where pages and files went."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from browser import Browser
from demo_page import FAINTEST

import jaxfer
from jaxfer.cli.main import VERBS, parse
from jaxfer.version import __version__

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
START = (DOCS / "index.md").read_text()


class Settings(yaml.SafeLoader):
    """Reads mkdocs.yml, in which one value names a function."""


Settings.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)


@pytest.fixture(scope="module")
def make_site(script):
    return script("make_site")


@pytest.fixture(scope="module")
def nav():
    """Return the pages that the navigation names."""
    return re.findall(r"[\w./]+\.md", json.dumps(yaml.load((ROOT / "mkdocs.yml").read_text(), Settings)["nav"]))


def test_every_page_is_in_the_navigation_once(make_site, nav):
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    pages |= {path.relative_to(DOCS).with_suffix(".md").as_posix() for path in make_site.notebooks()}
    pages |= {*make_site.ELSEWHERE.values(), *make_site.DESCRIBED.values()}
    pages |= {f"reference/{room}.md" for room in make_site.ROOMS}
    assert sorted(nav) == sorted(pages)


def test_the_reference_has_every_room_and_every_name_that_a_room_exports(make_site):
    assert set(jaxfer._ROOMS) <= set(make_site.ROOMS)
    for room in make_site.ROOMS:
        page = make_site.reference(room)
        exported = getattr(importlib.import_module(f"jaxfer.{room}"), "__all__", [])
        assert {f"::: jaxfer.{room}.{name}" for name in exported} <= set(page.splitlines())
    assert "::: jaxfer.config.Config" in make_site.reference("config")
    assert "_is_variant" not in make_site.reference("config")
    door = make_site.front_door()
    assert all(f"[`{name}`](" in door for name in set(jaxfer.__all__) - {"__version__"})


def test_every_verb_is_described(make_site):
    assert {command.split()[0] for command in make_site.COMMANDS if command} == set(VERBS)


def test_links_lead_to_where_pages_and_files_went(make_site, tmp_path, monkeypatch):
    monkeypatch.setattr(make_site, "PAGES", tmp_path)
    places = {DOCS / "data.md": Path("data.md"), ROOT / "CHANGELOG.md": Path("changes.md")}
    text = (
        "---\nlicense: x\n---\n\n[a](data.md#links) [b](../CHANGELOG.md) [c](../.ci/run) ![d](report.png) "
        "[e](../benchmarks/results) [f](https://x.org/a.md) [g](none.md)\n```\n[h](../.ci/run)\n```\n"
    )
    deeper = {DOCS / "tutorials/own.md": Path("tutorials/own.md")}
    assert make_site.linked(text, DOCS / "data.md", places) == (
        "[a](data.md#links) [b](changes.md) [c](files/.ci/run) ![d](report.png) "
        "[e](files/benchmarks/results/index.md) [f](https://x.org/a.md) [g](none.md)\n```\n[h](../.ci/run)\n```\n"
    )
    assert make_site.linked("[a](../data.md)", DOCS / "tutorials/own.md", places | deeper) == "[a](../data.md)"
    assert (tmp_path / "files/.ci/run").read_bytes() == (ROOT / ".ci/run").read_bytes()
    assert (tmp_path / "report.png").read_bytes() == (DOCS / "report.png").read_bytes()
    assert "[inference.json](inference.json)" in (tmp_path / "files/benchmarks/results/index.md").read_text()


def test_the_commands_of_the_first_page_are_ones():
    commands = re.findall(r"^```\njaxfer (.+)$", START, re.MULTILINE)
    assert {command.split()[0] for command in commands} == {"predict", "demo", "train"}
    assert all(parse(command.split()) for command in commands)


@pytest.mark.slow
def test_the_first_page_leads_from_a_drawn_photograph_to_its_faces(tmp_path):
    draw, predict = re.findall(r"```python\n(.*?)```", START, flags=re.DOTALL)
    for arguments in (["-c", draw], ["-m", "jaxfer", "predict", "photo.jpg", "--draw", "drawn"], ["-c", predict]):
        ended = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=True
        )
    assert [line.split()[0] for line in sorted(ended.stdout.splitlines())] == ["happy", "surprise"]
    assert list((tmp_path / "drawn").iterdir())


def test_the_readme_is_short_and_its_table_of_speed_is_what_the_measured_files_say(script):
    make_performance = script("make_performance")
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 130
    table = make_performance.in_short(make_performance.measurements())
    assert make_performance.BEGIN + table + make_performance.END in readme


def test_reports_of_faults_ask_for_what_the_doctor_says():
    for name in ("fault", "layout", "wish"):
        template = yaml.safe_load((ROOT / f".github/ISSUE_TEMPLATE/{name}.yml").read_text())
        assert {"name", "description", "body"} <= template.keys()
        (asked,) = (one for one in template["body"] if one.get("id") == "doctor")
        assert "jaxfer doctor" in asked["attributes"]["label"]
        assert asked.get("validations", {}).get("required", False) == (name != "wish")


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["license"] == "Apache-2.0"
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


@pytest.fixture(scope="module")
def site(make_site, tmp_path_factory):
    """Return the folder of the site, built as `make site` does."""
    mkdocs = pytest.importorskip("mkdocs.commands.build", reason="MkDocs is not installed: make site installs it")
    assert mkdocs
    make_site.main()
    built = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(built)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return built


@pytest.mark.slow
def test_nothing_of_the_site_comes_from_elsewhere(site):
    loads = re.compile(r"""<(?:script|img|iframe|source)[^>]*\ssrc="?(?:https?:)?//|<link[^>]*href="?(?:https?:)?//""")
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    assert [page for page in pages if loads.search(page.read_text())] == []
    assert not re.search(r"url\(\s*[\"']?(?:https?:)?//", "".join(css.read_text() for css in site.rglob("*.css")))


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_site_is_read_and_searched_from_the_disk(site, dark):
    with Browser() as browser:
        for name in ("index", "data", "reference/inference", "tutorials/train", "performance"):
            for width in (390, 1280):
                browser.open(site / f"{name}.html", width=width, dark=dark)
                assert browser.run("[innerWidth, document.documentElement.scrollWidth]") == [width, width], name
                assert browser.run("document.body.dataset.mdColorScheme") == ("slate" if dark else "default")
                assert browser.run(FAINTEST)[0] >= 4.5, browser.run(FAINTEST)
                assert browser.complaints == []
        browser.run("document.querySelector('[data-md-component=search-query]').focus()")
        browser._send("Input.insertText", text="temperature")
        found = "[...document.querySelectorAll('.md-search-result__item h1')].map(one => one.textContent)"
        script = f"new Promise(done => setInterval(() => {{ const f = {found}; if (f.length) done(f) }}, 100))"
        assert "What calibration means" in browser.run(script)
        assert browser.complaints == []
