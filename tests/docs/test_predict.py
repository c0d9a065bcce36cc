"""The page about prediction: its commands are ones, its program runs, and its figures are those that were measured."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from photographs import group_picture
from videos import write_video

from jaxfer.cli.main import parse

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "predict.md").read_text()
COMMANDS = re.findall(r"^jaxfer ([^#\n]+)", PAGE, re.MULTILINE)
PROGRAM, VIDEO_PROGRAM = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one(command):
    assert parse(shlex.split(command))


@pytest.mark.long
def test_the_program_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    group_picture(3, np.array([1, 1, 1], np.int32))[0].save("photo.jpg")
    exec(PROGRAM, {})
    assert capsys.readouterr().out.count("{'neutral':") == 3


@pytest.mark.long
def test_the_program_for_videos_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    picture = np.asarray(group_picture(3, np.array([1, 1, 1], np.int32))[0].resize((480, 320)))
    write_video(Path("clip.mp4"), [picture] * 6)
    exec(VIDEO_PROGRAM, {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        [time, frame, str(track)] for time, frame in (("0.0", "0"), ("0.5", "5")) for track in (1, 2, 3)
    ]


def test_the_figures_are_those_that_were_measured(script):
    for part in script("make_predict").parts().values():
        assert part in PAGE
