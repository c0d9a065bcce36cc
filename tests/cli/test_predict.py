"""`jaxfer predict`: photographs in, lines, tables and drawings out; nothing is overwritten."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import drawn
from photographs import group_picture
from PIL import Image

from jaxfer.cli.main import parse
from jaxfer.config import ModelConfig
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError
from jaxfer.inference import FaceModel, load_model, save_model
from jaxfer.tasks import make_network

LABELS = np.array([0, 1, 2, 3, 4, 6], np.int32)


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    folder = tmp_path_factory.mktemp("album")
    picture, _ = group_picture(3, LABELS)
    picture.save(folder / "group.jpg", quality=95)
    (folder / "more").mkdir()
    picture.crop((0, 0, 320, 320)).save(folder / "more" / "one.png")
    Image.new("RGB", (200, 100), "gray").save(folder / "wall.png")
    (folder / "=damaged.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "notes.txt").write_text("no picture")
    (folder / "away.jpg").symlink_to("/etc/hostname")
    return folder


def predict(capsys, *arguments) -> tuple[str, str]:
    parse(["predict", *map(str, arguments)]).run()
    return tuple(capsys.readouterr())


def test_a_photograph_is_answered_in_lines(album, capsys):
    out, err = predict(capsys, album / "group.jpg", "--top", 2)
    first, *lines = out.splitlines()
    assert first == f"{album}/group.jpg: 6 faces in 960 x 640 pixels"
    assert len(lines) == 6
    for number, line in enumerate(lines, 1):
        words = line.split()
        assert words[0] == f"{number}:"
        assert {words[1], words[3]} < set(AFFECTNET_8)
        assert float(words[2].strip("%,")) >= float(words[4].strip("%,"))
    assert err.splitlines() == [
        "6 faces in 1 photograph",
        "Expressions as people would name them; they do not tell what a person feels.",
    ]


def test_a_folder_gives_a_table_and_json_of_the_same(album, capsys, tmp_path):
    out, err = predict(capsys, album, "--csv", tmp_path / "faces.csv", "--json", tmp_path / "faces.jsonl")
    assert out == ""
    summary, unreadable, _ = err.splitlines()
    assert summary == "7 faces in 3 photographs; 1 cannot be read"
    assert unreadable.startswith(f"{album}/=damaged.jpg cannot be read (")
    with (tmp_path / "faces.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = [json.loads(line) for line in (tmp_path / "faces.jsonl").read_text().splitlines()]
    assert [Path(one["image"]).name for one in found] == ["=damaged.jpg", "group.jpg", "wall.png", "one.png"]
    assert [len(one.get("faces", [])) for one in found] == [0, 6, 0, 1]
    assert "problem" in found[0]
    assert found[1]["size"] == [960, 640]
    by_face = [(one["image"], face) for one in found for face in one.get("faces", [])]
    told = [row for row in rows if row["label"]]
    assert len(told) == len(by_face) == 7
    for row, (image, face) in zip(told, by_face, strict=True):
        assert row["image"] == image
        assert row["label"] == face["label"]
        assert {name: float(row[name]) for name in AFFECTNET_8} == face["probabilities"]
        assert float(row["left"]) == pytest.approx(face["box"][0], abs=0.01)
    assert [row["problem"] for row in rows if not row["label"]] == [found[0]["problem"], "no face"]


def test_no_spreadsheet_runs_a_name(album, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(album)
    out, _ = predict(capsys, "=damaged.jpg", "wall.png", "--csv", "-")
    rows = list(csv.reader(io.StringIO(out)))
    assert rows[1][0] == "'=damaged.jpg"


def test_drawings_are_pictures_of_the_same_size_with_faces_marked(album, capsys, tmp_path):
    drawn = tmp_path / "new" / "drawn"
    again = album / "more" / "group.jpg"
    again.write_bytes((album / "group.jpg").read_bytes())
    predict(capsys, album / "group.jpg", again, album / "more" / "one.png", "--draw", drawn, "--explain")
    again.unlink()
    assert sorted(path.name for path in drawn.iterdir()) == [
        *("group-2-explained.png", "group-2.jpg", "group-explained.png", "group.jpg"),
        *("one-explained.png", "one.png"),
    ]
    with Image.open(drawn / "group.jpg") as marked, Image.open(album / "group.jpg") as own:
        assert marked.size == own.size
        assert np.abs(np.asarray(marked, int) - np.asarray(own, int)).mean() > 1
    with Image.open(drawn / "group-explained.png") as explained:
        assert explained.width > 6 * 192


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing was named"),
        (["nothing.jpg"], "nothing.jpg does not exist"),
        (["https://faces.org/1.jpg"], "is an address, and nothing is fetched"),
        (["wall.png", "--model", "smal"], "smal does not exist: pass small, or the folder of a model or a run"),
        (["notes.txt", "there.csv", "--csv", "new"], "none of them can be read"),
        (["notes.txt", "--json", "new", "--draw", "none"], "notes.txt cannot be read"),
        (["empty"], "no photograph and no video was found"),
        (["wall.png", "--csv", "there.csv"], r"there.csv exists, and nothing is overwritten"),
        (["wall.png", "--json", "there.csv"], r"there.csv exists, and nothing is overwritten"),
        (["wall.png", "--json", "link.json"], r"link.json exists, and nothing is overwritten"),
        (["wall.png", "--csv", "none/faces.csv"], r"none/faces.csv cannot be written .* make its folder first"),
        (["wall.png", "--csv", "-", "--json", "-"], "--csv and --json name one place"),
        (["wall.png", "--csv", "new", "--json", "new"], "--csv and --json name one place"),
        (["wall.png", "--csv", "new", "--model", "empty"], "empty holds no model"),
        (["empty", "--csv", "new"], "no photograph and no video was found"),
        ([""], "one of the paths is empty"),
        (["wall.png", "-"], "- is given beside other paths"),
        (["wall.png", "--draw", "full"], "full is not empty"),
        (["wall.png", "--explain"], "--explain needs a folder"),
        (["wall.png", "--top", "0"], "--top is 0"),
        (["wall.png", "--margin", "-1"], "margin is -1.0"),
        (["wall.png", "--model", "empty"], "empty holds no model"),
        (["notes.txt"], r"notes.txt cannot be read \(not an image of a known format\)"),
        (["notes.txt", "there.csv"], "none of them can be read"),
    ],
)
def test_mistakes_end_in_a_sentence_and_nothing_is_overwritten(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (200, 100), "gray").save("wall.png")
    for folder in ("empty", "full"):
        (tmp_path / folder).mkdir()
    for file in ("there.csv", "full/drawn.jpg", "notes.txt"):
        (tmp_path / file).write_text("mine")
    (tmp_path / "link.json").symlink_to("there.csv")
    with pytest.raises(UserError, match=words):
        parse(["predict", *arguments]).run()
    assert all((tmp_path / file).read_text() == "mine" for file in ("there.csv", "full/drawn.jpg", "notes.txt"))
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "new").exists()  # where it would be in the way of the next try


def test_what_is_installed_after_a_first_try_is_not_in_the_way_of_itself(album, tmp_path, monkeypatch, capsys):
    asked = album / "group.jpg", "--csv", tmp_path / "faces.csv", "--draw", tmp_path / "drawn"
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "cv2", None)
        with pytest.raises(UserError, match=r"OpenCV, which is not installed: pip install 'jaxfer\[faces\]'"):
            predict(capsys, *asked)
    assert list(tmp_path.iterdir()) == []
    predict(capsys, *asked)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drawn", "faces.csv"]


def test_photographs_of_a_telephone_are_named_and_told_how_to_convert(tmp_path, capsys):
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x24ftypheic" + bytes(24))
    Image.new("RGB", (200, 100), "gray").save(tmp_path / "wall.png")
    out, err = predict(capsys, tmp_path)
    assert f"{tmp_path}/IMG_1.HEIC: cannot be read (a HEIC image: convert it to JPEG)" in out
    assert err.startswith("0 faces in 1 photograph; 1 cannot be read")


@pytest.mark.long
def test_a_list_on_standard_input_is_read_in_a_process_of_its_own(album):
    names = f"{album}/wall.png\n\n{album}/none.jpg\n{album}/more/one.png\n"
    command = [sys.executable, "-m", "jaxfer", "predict", "-", "--json", "-"]
    done = subprocess.run(command, input=names, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(one.get("faces", [])) for one in found] == [0, 0, 1]
    assert found[1]["problem"] == "No such file or directory"
    assert "Traceback" not in done.stderr


def test_drawings_and_what_explains_them_have_names_of_their_own(album, capsys, tmp_path):
    (tmp_path / "in").mkdir()
    one = (album / "more" / "one.png").read_bytes()
    for name in ("a.png", "a-explained.png", "B.png", "b.png", f"{'x' * 248}.png"):
        (tmp_path / "in" / name).write_bytes(one)
    _, err = predict(
        capsys, tmp_path / "in", "--draw", tmp_path / "drawn", "--csv", tmp_path / "drawn" / "faces.csv", "--explain"
    )
    assert err.startswith("5 faces in 5 photographs")
    names = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert len({name.casefold() for name in names}) == 11
    assert len((tmp_path / "drawn" / "faces.csv").read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (b"one.png\0two.png\0", "is no list of paths: pass one a line"),
        ("wall.png".encode("utf-16"), "is no list of paths"),
        (b"x" * 10000, "is no list of paths"),
        (b"\n\n", "no photograph and no video was found"),
    ],
)
def test_a_list_that_is_none(monkeypatch, given, words):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8"))
    with pytest.raises(UserError, match=words):
        parse(["predict", "-"]).run()


def test_names_in_a_list_need_not_be_text(album, tmp_path, monkeypatch, capsys):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    path.write_bytes((album / "wall.png").read_bytes())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(os.fsencode(path)), "utf-8"))
    out, _ = predict(capsys, "-")
    assert out.endswith("caf\\udce9.png: no face in 200 x 100 pixels\n")


def test_without_standard_input_or_output(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UserError, match="standard input is closed"):
        parse(["predict", "-"]).run()
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(UserError, match="standard output is closed"):
        parse(["predict", "-", "--csv", "-"]).run()


def test_names_of_classes_do_nothing_but_show_themselves(album, capsys, tmp_path):
    config = ModelConfig(variant="published", gray=True, heads=("affect",))
    network = make_network(config, 3)
    framing = load_model("small").framing
    variables = drawn(network, np.zeros((1, 32, 32, 3), np.uint8))
    names = "=1+1", "\x1b[31mred\n", "b\nb"
    save_model(FaceModel(network, variables, names, 32, 1.0, config, {}, framing=framing), tmp_path / "model")
    options = ["--model", tmp_path / "model", "--draw", tmp_path / "drawn", "--explain", "--top", 3]
    out, _ = predict(capsys, album / "more" / "one.png", *options)
    assert len(out.splitlines()) == 2
    assert "\x1b" not in out
    assert "\\x1b[31mred\\n" in out
    assert ", valence " in out
    assert ", arousal " in out
    assert len(list((tmp_path / "drawn").iterdir())) == 2


def test_patterns_that_no_shell_has_expanded_are(album, capsys):
    out, _ = predict(capsys, str(album / "**" / "*.png"))
    assert [line.rpartition("/")[2].partition(":")[0] for line in out.splitlines() if not line.startswith(" ")] == [
        "one.png",
        "wall.png",
    ]
