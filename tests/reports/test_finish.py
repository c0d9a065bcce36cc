"""The end of a run."""

import json

import numpy as np
import pytest
from made_runs import HISTORY, SUMMARY, write_run

from jaxfer.config import Config, DataConfig
from jaxfer.data.dataset import Dataset, Split
from jaxfer.data.synthetic import drawn_dataset
from jaxfer.errors import UserError
from jaxfer.inference import Framing, faces
from jaxfer.reports.finish import finish_run

pytestmark = pytest.mark.usefixtures("blank_figures")

NOISE = np.random.default_rng(0).integers(0, 256, (30, 32, 32, 3)).astype(np.uint8)
WITHOUT_FACES = Dataset({"train": Split("train", NOISE, np.zeros(30, np.int32))}, ("neutral", "happy"), "noise", {})


def test_a_run_has_ended_once_its_page_is_there_too(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxfer.reports.finish.summarize", lambda *_, **__: SUMMARY)
    folder = write_run(tmp_path / "run")
    (folder / "summary.json").unlink()
    (folder / "report.html").mkdir()
    with pytest.raises(UserError, match=r"report\.html"):
        finish_run(folder, Config(), WITHOUT_FACES, None, HISTORY)
    assert not (folder / "summary.json").exists()
    (folder / "report.html").rmdir()
    # As a text, too, which `fit` takes as well.
    finish_run(str(folder), Config(), WITHOUT_FACES, None, HISTORY, note="mended")
    assert json.loads((folder / "summary.json").read_text()) == SUMMARY | {"note": "mended", "framing": None}
    assert "validation accuracy" in (folder / "report.html").read_text()


def test_a_run_ends_whatever_the_images_are_called(tmp_path, monkeypatch):
    name = "caf\udce9\x1b[2J\n.jpg"
    data = SUMMARY["data"] | {"source": name, "warnings": [name], "left_out": {name: 1}, "unreadable": [[name, name]]}
    monkeypatch.setattr("jaxfer.reports.finish.summarize", lambda *_, **__: SUMMARY | {"data": data})
    folder = write_run(tmp_path / "run")
    finish_run(folder, Config(), WITHOUT_FACES, None, HISTORY)
    assert json.loads((folder / "summary.json").read_text())["data"] == data
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert r"caf\udce9\x1b[2J" in page
    assert "\x1b" not in page


def test_a_run_keeps_and_shows_how_its_images_frame_faces(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxfer.reports.finish.summarize", lambda *_, **__: SUMMARY)
    folder = write_run(tmp_path / "run")
    data = drawn_dataset(DataConfig(drawn_train=40, drawn_val=10))
    found = finish_run(folder, Config(), data, None, HISTORY)["framing"]
    framing = Framing.from_dict(json.loads((folder / "summary.json").read_text())["framing"], "summary")
    assert framing.to_dict() == found
    assert framing.images == 40
    page = " ".join((folder / "report.html").read_text().split())
    assert f"in {framing.found} of 40 of them" in page
    assert "A square with the median box and landmarks" in page


def test_without_a_detector_a_run_ends_without_a_framing(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxfer.reports.finish.summarize", lambda *_, **__: SUMMARY)
    monkeypatch.setattr(faces.importlib.util, "find_spec", lambda name: None)
    folder = write_run(tmp_path / "run")
    finish_run(folder, Config(), None, None, HISTORY)
    assert json.loads((folder / "summary.json").read_text())["framing"] is None
    assert "How training images frame a face" not in (folder / "report.html").read_text()
