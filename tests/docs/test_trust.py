"""The page of promises is what was counted, by tests that are there."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def make_trust(script):
    return script("make_trust")


def test_the_page_is_what_was_counted(make_trust):
    assert (ROOT / "docs" / "trust.md").read_text() == make_trust.page(*map(make_trust.last, ("torture", "saving")))


def test_every_promise_is_counted_by_a_test(make_trust):
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert set(re.findall(r'record_property\("([^"]+)", ', tests)) == set(make_trust.PROMISES)


def test_counts_of_a_kind_are_added_up(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    specification = importlib.util.spec_from_file_location("torture", ROOT / "benchmarks" / "torture.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    recorded = [{"saves": 20}, {}, {"saves": 3, "killed processes": 2}]
    cases = ("".join(f'<property name="{kind}" value="{count}"/>' for kind, count in one.items()) for one in recorded)
    report = "".join(f"<testcase><properties>{case}</properties></testcase>" for case in cases)
    assert module.counted(f"<testsuite>{report}</testsuite>") == {"saves": 23, "killed processes": 2}
