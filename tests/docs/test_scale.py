"""The page about many hosts is what the measured files say, and its program runs."""

import re
from pathlib import Path

import pytest
from formats import encoded, face, put
from networks import Convolutional

from jaxfer.config import PrepareConfig
from jaxfer.data import prepare
from jaxfer.emotions import AFFECTNET_7
from jaxfer.models import ResNetFER

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


@pytest.fixture(scope="module")
def make_scale(script):
    return script("make_scale")


@pytest.fixture(scope="module")
def parts(make_scale):
    return make_scale.measured()


def test_the_page_is_what_the_measured_files_say(make_scale, parts):
    assert PAGE.read_text() == make_scale.page(parts)


def test_every_measured_part_names_a_file_that_is_there(make_scale):
    files = re.findall(r"`([\w-]+\.json)`", PAGE.read_text())
    assert len(set(files)) == 7
    assert all((make_scale.RESULTS / name).is_file() for name in files)


def test_a_ring_of_two_sends_everything_once_and_one_alone_nothing(make_scale):
    assert [make_scale.ring(12.0, count) for count in (1, 2, 4)] == [0, 12, 18]


def test_more_chips_take_longer_a_step_and_less_an_epoch(make_scale, parts):
    steps = [make_scale.step_s(parts, chips, resident=True) for chips in make_scale.CHIPS]
    assert parts.resident_s < steps[0] < steps[1] < steps[2] < 2 * parts.resident_s
    assert make_scale.is_resident(4_500_000)
    assert not make_scale.is_resident(4_600_000)


def test_an_amount_is_said_in_its_unit(make_scale):
    assert [make_scale.size(count) for count in (12, 12_288, 3.69e9, 12.3e12)] == [
        "0.012 kB",
        "12.3 kB",
        "3.69 GB",
        "12.3 TB",
    ]
    assert [make_scale.clock(seconds) for seconds in (0.0064, 119, 726, 7200)] == [
        "0.0064 s",
        "119 s",
        "12.1 min",
        "2 h",
    ]


@pytest.mark.parametrize("network", [Convolutional, pytest.param(ResNetFER, marks=pytest.mark.slow)])
def test_batches_of_grain_train(network, tmp_path, monkeypatch, capsys):
    for split, count in (("train", 4), ("val", 1)):
        for label in AFFECTNET_7:
            for number in range(count):
                put(tmp_path / "raw" / split / label / f"{number}.png", encoded(face(label, number), "PNG"))
    prepare(tmp_path / "raw", tmp_path / "prepared", PrepareConfig(leaks="keep"))
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    # The published network compiles for long.
    exec(program.replace("ResNetFER(), Sharded()", "network(), Sharded()"), {"network": network})
    assert capsys.readouterr().out == "2 16\n"
