"""What scripts are given on their command lines."""

import ast
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CHILDREN = {"arithmetic.py", "contender.py", "prepare_peer.py", "scaling_process.py"}
"""Scripts that others start."""


@pytest.fixture
def places(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.chdir(tmp_path)
    from places import places

    def given(arguments, *names):
        monkeypatch.setattr(sys, "argv", ["script.py", *arguments])
        return places("What it does.", *names)

    return given


def test_they_come_in_order_and_one_may_be_left_out(places):
    assert places(["run", "out.json"], "run_dir", "out", "first?") == [Path("run"), Path("out.json"), None]
    assert places(["run", "out.json", "b"], "run_dir", "out", "first?") == [Path("run"), Path("out.json"), Path("b")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the following arguments are required: run_dir, out"),
        (["run", "nowhere/out.json"], "argument out: the folder nowhere does not exist: make it"),
        (["run", "out.json", "more"], "unrecognized arguments: more"),
    ],
)
def test_what_is_wrong_ends_in_a_sentence(places, capsys, arguments, words):
    with pytest.raises(SystemExit, match="2"):
        places(arguments, "run_dir", "out")
    assert words in capsys.readouterr().err


def test_help_says_what_a_script_does_and_begins_nothing(places, capsys):
    with pytest.raises(SystemExit, match="0"):
        places(["--help"], "run_dir", "out")
    assert "What it does." in capsys.readouterr().out


def test_no_script_that_people_start_reads_its_arguments_in_another_way():
    for script in BENCHMARKS.glob("*.py"):
        nodes = ast.walk(ast.parse(script.read_text()))
        reads = any(isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.argv" for node in nodes)
        assert reads == (script.name in CHILDREN), script
