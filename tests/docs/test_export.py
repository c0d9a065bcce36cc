"""The page about export: its commands are ones, its programs run as they stand, and its figures were measured."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from leaving import Hub
from PIL import Image

from jaxfer import export_model, load_model
from jaxfer.cli.main import parse
from jaxfer.data.synthetic import draw_faces

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
COMMANDS = re.findall(r"^jaxfer ([^#\n]+)", PAGE, re.MULTILINE)
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
NODE, CANVAS = re.findall(r"```javascript\n(.*?)```", PAGE, re.DOTALL)
PLACES = {"onnx": "faces.onnx", "litert": "faces.tflite", "stablehlo": "faces-stablehlo"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a face and the network that comes with jaxfer in each format."""
    folder = tmp_path_factory.mktemp("page")
    face = draw_faces(1, np.array([1]), image_size=48)[0]
    Image.fromarray(face).save(folder / "face.png")
    (folder / "face.png").rename(folder / "face.jpg")  # of a name that Pillow does not look at, and without loss
    (folder / "face.rgb").write_bytes(face.tobytes())
    for form, place in PLACES.items():
        export_model("small", folder / place, form)
    export_model("small", folder / "first", "model")
    return folder


@pytest.fixture(scope="module")
def answer(folder):
    """Return what the network says of the face, as the programs print it."""
    model = load_model("small")
    face = np.asarray(Image.open(folder / "face.jpg"))
    return dict(zip(model.names(), model.probabilities(face[None])[0].tolist(), strict=True))


def printed(lines, answer):
    said = {name: float(share) for name, share in (line.split() for line in lines)}
    assert said.keys() == answer.keys()
    np.testing.assert_allclose(list(said.values()), list(answer.values()), atol=6e-4)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one(command):
    assert parse(shlex.split(command))


@pytest.mark.long
@pytest.mark.parametrize(("program", "form"), list(zip(PYTHON, PLACES, strict=False)))
def test_a_program_prints_what_the_network_says(program, form, folder, answer, monkeypatch, capsys):
    assert PLACES[form] in program
    assert len(program.splitlines()) <= 20
    monkeypatch.chdir(folder)
    exec(program, {})
    printed(capsys.readouterr().out.splitlines(), answer)


@pytest.mark.long
def test_the_program_for_a_model_runs(folder, answer, monkeypatch):
    monkeypatch.chdir(folder)
    names = {}
    exec(PYTHON[3], names)
    face = np.asarray(Image.open("face.jpg"))
    [shares] = names["predictor"].classify(face[None])
    np.testing.assert_allclose(shares, list(answer.values()), atol=1e-6)


@pytest.mark.long
def test_the_program_for_the_hub_runs(folder, answer, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub(tmp_path))
    monkeypatch.chdir(folder)
    names = {}
    exec(f"import jaxfer\n{PYTHON[4]}", names)
    assert names["model"].names() == tuple(answer)


# Slow: it installs 150 MB.
@pytest.mark.slow
def test_the_program_in_javascript_prints_what_the_network_says(folder, answer):
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
    if subprocess.run([*install, "onnxruntime-web@1"], capture_output=True, timeout=300).returncode:
        pytest.skip("npm cannot install onnxruntime-web")
    (folder / "faces.mjs").write_text(NODE)
    ran = subprocess.run(["node", "faces.mjs"], cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    printed(ran.stdout.splitlines(), answer)
    data = "{ data: Uint8ClampedArray.of(1, 2, 3, 9, 4, 5, 6, 9) }"
    canvas = f"const side = 48, canvas = {{ getContext: () => ({{ getImageData: () => ({data}) }}) }};\n"
    program = canvas + CANVAS + "console.log(pixels.join());"
    ran = subprocess.run(["node", "-e", program], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "1,2,3,4,5,6\n"


def test_the_figures_are_those_that_were_measured(script):
    assert script("make_export").part() in PAGE
