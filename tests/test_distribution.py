"""What is handed out: the wheel has all that runs and nothing else, the sdist what it is made and tested from."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from jaxfer.version import __version__

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


def files_of(folder: Path) -> set[str]:
    """Return the files of a folder of the sources, as paths from the root."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in paths}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the folder of the wheel, which is made from the sdist as installers do, and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return folder


def test_the_wheel_has_the_package_with_its_weights_and_pages_and_no_tests(built):
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"jaxfer-{__version__}-py3-none-any.whl"
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == files_of(ROOT / "jaxfer")
    assert {
        "jaxfer/py.typed",
        "jaxfer/inference/weights/small/model.safetensors",
        "jaxfer/inference/weights/small/README.md",
        "jaxfer/reports/templates/report.html.jinja",
    } <= names
    assert wheel.stat().st_size < 5 * 2**20


def test_the_sdist_has_what_it_is_built_tested_and_read_from(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert files_of(ROOT / "jaxfer") | files_of(ROOT / "tests") <= names
    assert {"README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md", "CITATION.cff"} <= names
    assert not {name for name in names if name.startswith((".venv", "build/", "runs/", ".git/"))}


def test_what_an_index_shows_of_them_is_sound(built):
    command = [sys.executable, "-m", "twine", "check", "--strict", *built.iterdir()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.count("PASSED") == 2
