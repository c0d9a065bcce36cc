"""Every JSON that jaxfer reads back, damaged or made to do damage: read as what it says, or refused in a sentence.

A case is a number: it decides which file is changed and how.
"""

import copy
import json
import random
import shutil

import pytest
from formats import fer2013
from programs.small_run import CONFIG, DATA, MODEL

from jaxfer.config import DataConfig, PrepareConfig
from jaxfer.data import load, prepare
from jaxfer.errors import UserError
from jaxfer.json_text import parse
from jaxfer.reports import figures, finish_run, write_sweep_report
from jaxfer.reports.finished_run import read_run
from jaxfer.reports.run_page import render
from jaxfer.runs import load_run
from jaxfer.sweeps import grid, sweep
from jaxfer.sweeps.results import read_sweep
from jaxfer.training import fit

VALUES = [
    None,
    True,
    -1,
    0,
    1.5,
    10**30,
    float("inf"),
    float("nan"),
    "x",
    "",
    "../../x",
    "\ud800",
    [],
    [1],
    {},
    {"a": 1},
]
TEXTS = [b"", b"[]", b"null", b"[" * 200_000, b'{"a":' * 50_000, b"1" * 5_000, b"\xff\xfe", b'"\\ud800"']


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folders with JSON in them, the files to change by folder, and what reads each."""
    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        # What is read back has no figures, which take most of the time.
        patch.setattr(figures, "embed", lambda _: figures.Drawing("", ""))
        state, rows = fit(CONFIG, DATA, run_dir=root / "run", model=MODEL)
        finish_run(root / "run", CONFIG, DATA, state, rows, model=MODEL)
        search = grid(CONFIG, {"learning_rate": (0.01, 0.02), "epochs": (1, 2)})
        sweep(search, root / "sweep", load=lambda _: DATA, model=MODEL)
    (root / "raw").mkdir()
    fer2013.npz(root / "raw", 4)
    prepared = prepare(root / "raw", root / "prepared", PrepareConfig(image_size=32)).path.relative_to(root)
    cell = next((root / "sweep" / "cells").iterdir()).relative_to(root)
    files = [f"run/{name}" for name in ("config.json", "metrics.jsonl", "summary.json")]
    files += ["sweep/sweep.json", *(f"{cell}/{name}" for name in ("config.json", "metrics.jsonl", "summary.json"))]
    files += [f"{prepared}/{name}" for name in ("metadata.json", "dataset_info.json", "features.json")]
    return root, files


READERS = {
    "run": [lambda folder: render(read_run(folder)), lambda folder: load_run(folder, "last", model=MODEL)],
    "sweep": [lambda folder: write_sweep_report(read_sweep(folder))],
    "prepared": [lambda folder: load(DataConfig(data_dir=folder, image_size=32)).train.images[[0]]],
}


def places(value, place=()):
    """Yield the keys that lead to each value inside of one; of a list to its first three."""
    yield place
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*place, key))
    elif isinstance(value, list):
        for index in range(min(len(value), 3)):
            yield from places(value[index], (*place, index))


def changed(value, chance):
    value = copy.deepcopy(value)
    *path, last = chance.choice(list(places(value))[1:])
    inside = value
    for key in path:
        inside = inside[key]
    if isinstance(inside, dict) and chance.random() < 0.3:
        moved = inside.pop(last)
        if chance.random() < 0.3:
            inside[f"{last}x"] = moved
    else:
        inside[last] = chance.choice(VALUES)
    return value


def damaged(text, chance, *, lines):
    if chance.random() < 0.25:
        cut, flipped = text.encode()[: chance.randrange(len(text))], bytearray(text.encode())
        flipped[chance.randrange(len(flipped))] = chance.randrange(256)
        return chance.choice([cut, bytes(flipped), *TEXTS])
    if not lines:
        return json.dumps(changed(json.loads(text), chance)).encode()
    rows = text.splitlines()
    row = chance.randrange(len(rows))
    rows[row] = json.dumps(changed(json.loads(rows[row]), chance))
    return "\n".join([*rows, ""]).encode()


def try_case(made, case, folder):
    """Change a file, and read it; what is raised but `UserError` names the case."""
    root, files = made
    chance, name = random.Random(case), files[case % len(files)]
    kind = name.partition("/")[0]
    shutil.copytree(root / kind, folder / kind)
    file = folder / name
    file.write_bytes(damaged(file.read_text(), chance, lines=name.endswith(".jsonl")))
    for read in READERS[kind]:
        try:
            read(folder / kind)
        except UserError:
            pass
        except Exception as error:
            raise AssertionError(f"case {case}: {name}: {file.read_bytes()[:300]!r}") from error


# Long, as all that read what `made` makes: a run and a sweep with all that stands in their files.
@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
def test_damaged_json_is_refused_in_a_sentence_or_read(made, tmp_path, part):
    for case in range(10 * part, 10 * part + 10):
        try_case(made, case, tmp_path / str(case))


@pytest.mark.long
@pytest.mark.parametrize("case", [1002, 1135, 1165, 1453])
def test_what_once_ended_in_a_traceback_is_refused_or_read(made, tmp_path, case):
    try_case(made, case, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "value"), [("top2_accuracy", [1]), ("kappa", "x"), ("unlabelled", 1.5), ("a_measure_of_ones_own", {})]
)
def test_a_score_that_is_none_is_named_in_either_split(made, tmp_path, name, value):
    shutil.copytree(made[0] / "run", tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    for damaged_split, other in (("train", "val"), ("val", "train")):
        changed = summary | {damaged_split: summary[damaged_split] | {name: value}}
        changed[other] = summary[other] | {name: 1}
        (tmp_path / "run" / "summary.json").write_text(json.dumps(changed))
        with pytest.raises(UserError, match=f"summary.json.*{name} is damaged: expected a value of type"):
            read_run(tmp_path / "run")


@pytest.mark.torture
@pytest.mark.parametrize("part", range(20))
def test_much_damaged_json_is_refused_in_a_sentence_or_read(made, tmp_path, part, record_property):
    record_property("damaged files of JSON", 50)
    for case in range(1000 + 50 * part, 1050 + 50 * part):
        try_case(made, case, tmp_path / str(case))
        shutil.rmtree(tmp_path / str(case))


def test_json_of_more_values_than_any_file_has_is_refused_before_it_fills_the_memory():
    with pytest.raises(UserError, match="more than 8,388,608 values"):
        parse("[" + "[]," * 2**22 + "[]]", "a file")
