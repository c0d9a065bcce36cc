"""What importing takes: no global state, and no library before it is needed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
HEAVY = {"numpy", "jax", "flax", "optax", "orbax", "matplotlib", "tensorflow_datasets", "grain", "PIL", "rich", "tyro"}
PYPLOT = "matplotlib.pyplot"  # which looks for a screen


def python(program: str) -> str:
    """Return what a program prints in a fresh process."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stdout


REPORT = """
import json, sys
def report(asked):
    print("\\n" + json.dumps([asked, sorted(sys.modules)]))
"""


def imported(program: str) -> dict[str, set[str]]:
    """Return which heavy libraries a program has imported by each of its calls of `report(asked)`."""
    lines = python(REPORT + program).splitlines()
    reports = [json.loads(line) for line in lines if line.startswith('["')]
    return {asked: set(modules) & (HEAVY | {PYPLOT}) for asked, modules in reports}


FOR_NETWORKS = {"optax", "orbax", "matplotlib", "tensorflow_datasets", "grain", "PIL", "tyro"}
NEVER = {
    "jaxfer": HEAVY,
    "jaxfer.config": HEAVY,
    "jaxfer.models": FOR_NETWORKS,
    "jaxfer.training": FOR_NETWORKS - {"optax"},
    "jaxfer.sweeps": FOR_NETWORKS - {"optax"},
    "jaxfer.evaluation.summary": FOR_NETWORKS - {"optax"},
    "jaxfer.evaluation": {"matplotlib"},
    "jaxfer.reports.run_page": {PYPLOT},
}
"""What a module must not import, nor any of those above it, since one process imports them in this order."""


def test_a_module_imports_only_what_it_needs():
    found = imported("".join(f"import {module}\nreport({module!r})\n" for module in NEVER))
    assert found.keys() == NEVER.keys()
    assert {module: found[module] & never for module, never in NEVER.items()} == {module: set() for module in NEVER}


CALLS = f"""
sys.path.insert(0, {str(ROOT / "examples")!r})
import jaxfer.cli.main, train_affectnet
from jaxfer.cli.program import run
verbs = "train", "sweep", "evaluate", "report", "demo", "data check"
command, example = jaxfer.cli.main.main, train_affectnet.main
calls = [(command, "--help"), *((command, verb + " --help") for verb in verbs)]
calls += [(example, "--help"), (example, "--learning-rate -1")]
for main, arguments in calls:
    sys.argv = ["jaxfer", *arguments.split()]
    try:
        run(main)
        ended = "returned"
    except SystemExit as exit:
        ended = f"exited with {{exit.code or 0}}"
    report(f"{{main.__module__}} {{arguments}}: {{ended}}")
"""


def test_the_first_answer_about_a_photograph_waits_for_nothing_that_trains(tmp_path):
    photograph = tmp_path / "face.png"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(photograph)
    program = f"""
import sys
from jaxfer.cli.main import main
sys.argv = ["jaxfer", "predict", {str(photograph)!r}, "--detector", "whole"]
main()
others = "scipy", "optax", "orbax", "matplotlib", "jaxfer.training"
print("imported:", *(name for name in others if name in sys.modules))
"""
    assert python(program).splitlines()[-1] == "imported:"


def test_neither_help_nor_a_wrong_flag_imports_jax():
    found = imported(CALLS)
    assert set(map(frozenset, found.values())) == {frozenset({"rich", "tyro"})}, found
    assert [asked.rpartition("exited with ")[2] for asked in found] == ["0"] * 8 + ["2"]


def test_importing_starts_no_backend_changes_no_setting_and_needs_no_library_for_annotations():
    names = sorted(str(path.relative_to(ROOT).with_suffix("")) for path in (ROOT / "jaxfer").rglob("*.py"))
    modules = [name.replace(os.sep, ".").removesuffix(".__init__") for name in names]
    program = f"""
import importlib, os, sys, warnings, jax
from jax._src import xla_bridge
sys.modules["jaxtyping"] = None  # importing it fails
def environment():
    # TensorFlow Datasets imports OpenCV, where that is installed, which names its libraries there.
    return {{name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}}
before = dict(jax.config.values), environment(), list(warnings.filters)
for name in {modules!r}:
    importlib.import_module(name)
changed = {{name for name, value in jax.config.values.items() if before[0].get(name, value) != value}}
print(changed or "same", environment() == before[1], xla_bridge.backends_are_initialized())
"""
    assert python(program).split() == ["same", "True", "False"]
