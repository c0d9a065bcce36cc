"""`jaxfer doctor`: what is told of a machine, and what is not told of whose it is."""

import json
from pathlib import Path

import pytest
from commands import jaxfer
from formats import class_folders

from jaxfer.data.cache import FOLDER
from jaxfer.reports import doctor, examine
from jaxfer.reports.doctor import problems

PARTS = ("software", "libraries", "extras", "machine", "devices", "environment", "caches", "self_test")


@pytest.fixture(scope="module")
def found():
    return examine()


@pytest.fixture
def janes_home(tmp_path, monkeypatch):
    """Return the home folder of the user jane, with a folder of faces in it."""
    home = tmp_path / "home" / "jane"
    class_folders.words(home / "AffectNet", 1)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "jane")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "scratch" / "jane" / "programs"))
    monkeypatch.setattr(doctor, "_self_test", lambda: {"losses": [2.0, 1.0]})
    return home


@pytest.mark.long
def test_a_sound_installation_passes_its_self_test(found):
    assert tuple(found) == PARTS
    assert problems(found) == {}
    assert found["self_test"]["losses"][-1] < found["self_test"]["losses"][0]
    assert list(found["self_test"]["drawn_happy_face"]) == ["happy"]
    assert found["devices"] == {"cpu: cpu": 4}
    assert found["libraries"]["jax"]
    assert found["extras"]["parquet"]["pyarrow"]
    assert 0 < found["machine"]["cores_granted"] <= found["machine"]["cores"]
    assert found["machine"]["memory_granted"] > 2**28


@pytest.mark.long
def test_it_is_json_as_it_is(found):
    assert json.loads(json.dumps(found)) == found


def test_the_command_says_neither_the_user_nor_the_folders(janes_home, capsys):
    (janes_home / "AffectNet" / FOLDER).mkdir()
    (janes_home / "AffectNet" / FOLDER / "entry").write_bytes(b"123")
    assert jaxfer("doctor", janes_home / "AffectNet", "--json") == 0
    text = capsys.readouterr().out
    said = json.loads(text)
    assert "jane" not in text
    assert said["data"]["layout"] == "class folders"
    assert Path(said["data"]["place"]).parts[0] == "DATA"
    assert said["caches"]["decoded_images"] == {"folder": f"DATA/{FOLDER}", "files": 1, "bytes": 3}
    assert said["caches"]["compiled_programs"]["folder"].endswith("scratch/USER/programs")
    assert said["environment"]["JAX_COMPILATION_CACHE_DIR"].endswith("scratch/USER/programs")

    assert jaxfer("doctor", janes_home / "AffectNet") == 0
    text = capsys.readouterr().out
    assert "jane" not in text
    assert "  layout: class folders\n" in text
    assert "bytes 0.0 MiB" in text
    assert text.endswith("\nall is well\n")


def test_the_home_folder_is_shown_as_a_tilde(janes_home, monkeypatch, capsys):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(janes_home / "programs"))
    assert jaxfer("doctor") == 0
    assert "folder ~/programs, files 0" in capsys.readouterr().out


def test_what_is_broken_is_told_with_all_else(janes_home, monkeypatch, capsys):
    def fails():
        raise RuntimeError(f"no plugin in {janes_home}/jax\nand more")

    monkeypatch.setattr(doctor, "_devices", fails)
    assert jaxfer("doctor", janes_home / "nothing", "--json") == 2
    told = capsys.readouterr()
    said = json.loads(told.out)
    assert said["devices"] == {"problem": "RuntimeError: no plugin in ~/jax"}
    assert said["data"]["problem"].startswith("UserError: DATA does not exist")
    assert said["self_test"] == {"losses": [2.0, 1.0]}
    assert "devices: RuntimeError: no plugin in ~/jax; data: UserError: DATA does not exist" in " ".join(
        told.err.split()
    )


def test_a_network_that_does_not_learn_fails_the_self_test(monkeypatch):
    monkeypatch.setattr("jaxfer.training.create_state", lambda *_, **__: None)
    monkeypatch.setattr("jaxfer.training.make_train_step", lambda *_: lambda state, batch: (state, Stuck()))
    assert "did not fall" in doctor._self_test()["problem"]


class Stuck:
    loss, count = 16.0, 8


def test_a_path_is_replaced_whole_and_nothing_else_is():
    hide = lambda text: doctor._anonymous(text, Path("data"))  # noqa: E731
    assert hide("data/train of data, my-data and database") == "DATA/train of DATA, my-data and database"
