"""The end of a run."""

import json

import pytest
from made_runs import HISTORY, SUMMARY, write_run

from jaxfer.config import Config
from jaxfer.errors import UserError
from jaxfer.reports.finish import finish_run


def test_a_run_has_ended_once_its_page_is_there_too(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxfer.reports.finish.summarize", lambda *_, **__: SUMMARY)
    folder = write_run(tmp_path / "run")
    (folder / "summary.json").unlink()
    (folder / "report.html").mkdir()
    with pytest.raises(UserError, match=r"report\.html"):
        finish_run(folder, Config(), None, None, HISTORY)
    assert not (folder / "summary.json").exists()
    (folder / "report.html").rmdir()
    finish_run(folder, Config(), None, None, HISTORY, note="mended")
    assert json.loads((folder / "summary.json").read_text()) == SUMMARY | {"note": "mended"}
    assert "validation accuracy" in (folder / "report.html").read_text()


def test_a_run_ends_whatever_the_images_are_called(tmp_path, monkeypatch):
    name = "caf\udce9\x1b[2J\n.jpg"
    data = SUMMARY["data"] | {"source": name, "warnings": [name], "left_out": {name: 1}, "unreadable": [[name, name]]}
    monkeypatch.setattr("jaxfer.reports.finish.summarize", lambda *_, **__: SUMMARY | {"data": data})
    folder = write_run(tmp_path / "run")
    finish_run(folder, Config(), None, None, HISTORY)
    assert json.loads((folder / "summary.json").read_text())["data"] == data
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert r"caf\udce9\x1b[2J" in page
    assert "\x1b" not in page
