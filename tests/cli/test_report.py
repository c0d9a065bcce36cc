"""`jaxfer report`, as the command is called."""

import contextlib
import hashlib
import io
import re
import shutil
import subprocess

import pytest
from commands import jaxfer
from made_runs import RATES_BY_EPOCHS, SUMMARY, accuracy, fifty_epochs, write_run, write_sweep
from PIL import Image

pytestmark = pytest.mark.usefixtures("blank_figures")

FIGURES = {
    "accuracy",
    "loss",
    "learning-rate",
    "speed",
    "confusion-counts",
    "confusion-shares",
    "classes",
    "calibration",
}


LINKS = ("run/report.html", "run/report.html.partial", "second/accuracy.png", "second/accuracy.svg")
"""Where links were before a report."""


@pytest.fixture
def run_dir(tmp_path):
    return write_run(tmp_path / "run", SUMMARY, fifty_epochs())


def test_the_page_of_a_run_is_made_anew_from_its_files(run_dir, capsys):
    (run_dir / "report.html").write_text("old")
    before = {path.name: path.read_bytes() for path in run_dir.iterdir()}
    assert jaxfer("report", run_dir) == 0
    assert f"Report: {run_dir / 'report.html'}" in capsys.readouterr().out
    assert "Validation accuracy" in (run_dir / "report.html").read_text()
    after = {path.name: path.read_bytes() for path in run_dir.iterdir()}
    assert after | {"report.html": b""} == before | {"report.html": b""}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Report a run twice, with figures in `first` and then in `second`, where links lead to the file `theirs`."""
    folder = tmp_path_factory.mktemp("drawn")
    run_dir = write_run(folder / "run", SUMMARY, fifty_epochs())
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert jaxfer("report", run_dir, "--figures", folder / "first") == 0
    assert "Figures: 16 files" in printed.getvalue()
    (folder / "theirs").write_text("theirs")
    (folder / "second").mkdir()
    (run_dir / "report.html").unlink()
    for link in LINKS:
        (folder / link).symlink_to(folder / "theirs")
    assert jaxfer("report", run_dir, "--figures", folder / "second") == 0
    return folder


@pytest.mark.long
def test_figures_and_pages_replace_a_link_and_do_not_follow_it(drawn):
    assert (drawn / "theirs").read_text() == "theirs"
    assert [(drawn / link).is_symlink() for link in LINKS] == [False, True, False, False]


@pytest.mark.long
def test_figures_are_one_column_wide_without_titles_and_the_same_each_time(drawn):
    digests = []
    for folder in (drawn / "first", drawn / "second"):
        files = sorted(folder.iterdir())
        assert {path.name for path in files} == {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    assert digests[0] == digests[1]
    for name in FIGURES:
        with Image.open(folder / f"{name}.png") as image:
            assert image.width == pytest.approx(3.35 * 300, abs=1)
            assert {round(dots) for dots in image.info["dpi"]} == {300}
            assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        svg = (folder / f"{name}.svg").read_text()
        assert float(re.search(r'width="([\d.]+)pt"', svg)[1]) == pytest.approx(3.35 * 72)
        assert "<text" not in svg, "letters are outlines, the same on every machine"
        assert "<dc:date>" not in svg


def test_a_sweep_has_a_page_and_a_figure_too(tmp_path, capsys):
    path = write_sweep(tmp_path / "sweep", RATES_BY_EPOCHS, accuracy, failed=[0])
    assert jaxfer("report", path, "--figures", tmp_path / "figures") == 0
    assert "Pick learning_rate 0.001, epochs 5" in (path / "report.html").read_text()
    assert {file.name for file in (tmp_path / "figures").iterdir()} == {"grid.png", "grid.svg"}
    assert "Figures: 2 files" in capsys.readouterr().out


def test_a_sweep_without_a_finished_cell_has_a_page_and_no_figure(tmp_path, capsys):
    path = write_sweep(tmp_path / "sweep", RATES_BY_EPOCHS, accuracy, unfinished=[0, 1, 2])
    assert jaxfer("report", path, "--figures", tmp_path / "figures") == 0
    assert "Figures: 0 files" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (
            "summary.json",
            "first; after `fit` in Python, `jaxfer.finish_run` ends it.",
        ),
        ("metrics.jsonl", "metrics.jsonl"),
        ("config.json", "pass the folder of a run that jaxfer trained"),
    ],
)
def test_an_incomplete_run_ends_in_a_sentence_and_leaves_the_old_page(run_dir, missing, words, capsys):
    (run_dir / "report.html").write_text("old")
    (run_dir / missing).unlink()
    assert jaxfer("report", run_dir, "--figures", run_dir / "figures") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in " ".join(error.split())
    assert (run_dir / "report.html").read_text() == "old"
    assert not (run_dir / "figures").exists()


def test_a_folder_of_runs_has_a_page_and_figures(tmp_path, capsys):
    folder = tmp_path / "runs"
    folder.mkdir()
    write_run(folder / "first", SUMMARY, fifty_epochs())
    write_sweep(folder / "grid", RATES_BY_EPOCHS, accuracy)
    assert jaxfer("report", folder, "--figures", tmp_path / "figures") == 0
    printed = capsys.readouterr().out
    assert f"Report: {folder / 'report.html'}" in printed
    assert "Figures: 8 files" in printed
    text = (folder / "report.html").read_text()
    assert "1 finished run, 1 sweep" in text.lower()
    scores = ("accuracy", "loss", "val-accuracy", "val-loss")
    found = {file.name for file in (tmp_path / "figures").iterdir()}
    assert found == {f"{score}.{kind}" for score in scores for kind in ("png", "svg")}


def test_a_folder_of_neither_runs_nor_sweeps_gets_no_page(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    assert jaxfer("report", tmp_path) == 2
    words = "is neither a run nor a sweep, and holds none: pass the folder of one, or of several"
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "report.html").exists()


def test_what_is_no_folder_and_where_nothing_can_be_written_is_said(run_dir, tmp_path, capsys):
    assert jaxfer("report", tmp_path / "nowhere") == 2
    assert "is no folder: pass that of a run, of a sweep, or of several runs" in capsys.readouterr().err
    assert jaxfer("report", run_dir, "--figures", run_dir / "config.json") == 2
    assert "choose another --figures" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["train"], ["sweep"], ["report"], ["data", "check"], ["data", "prepare"]])
def test_the_help_of_every_verb_has_an_example(verb, capsys):
    assert jaxfer(*verb, "--help") == 0
    assert f"\njaxfer {' '.join(verb)} " in capsys.readouterr().out


def test_the_help_of_the_command_names_its_verbs_and_exit_codes(capsys):
    assert jaxfer("--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    verbs = "{train,sweep,evaluate,report,predict,demo,export,card,data,doctor}"
    for words in (verbs, "0 done", "2 something you can fix", "130 and 143"):
        assert words in shown
    assert jaxfer("rapport") == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_command_writes_a_completion_script(shell, tmp_path):
    assert jaxfer("--tyro-write-completion", shell, tmp_path / "script") == 0
    script = (tmp_path / "script").read_text()
    assert "jaxfer" in script
    assert "--figures" in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("'rep'", "report"),
        ("report --fi", "--figures"),
        ("train --optimizer ''", "adam adamw sgd"),
        ("data ch", "check"),
    ],
)
def test_bash_completes_verbs_flags_and_values(words, offered, tmp_path):
    jaxfer("--tyro-write-completion", "bash", tmp_path / "script")
    program = f"""
source {tmp_path / "script"}
read -r _ _ function _ < <(complete -p jaxfer)
COMP_WORDS=(jaxfer {words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
$function
echo "${{COMPREPLY[@]}}"
"""
    found = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=600, check=True)
    assert found.stdout.split() == offered.split()
