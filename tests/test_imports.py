"""What importing takes: no global state, and no library before it is needed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"jax", "flax", "optax", "orbax", "matplotlib", "tensorflow_datasets", "grain", "PIL", "rich", "tyro"}


def python(program: str, *arguments: str) -> str:
    """Return what a program prints in a fresh process."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stdout


def imported(program: str, *arguments: str) -> set[str]:
    """Return which heavy libraries a program imports."""
    end = "\nimport sys; print('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))"
    return set(python(program + end, *arguments).splitlines()[-1].split()) & HEAVY


def main_of(module: str) -> str:
    """Return a program that calls the `main` of a module and survives its exit."""
    return f"from {module} import main\ntry:\n    main()\nexcept SystemExit:\n    pass"


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("jaxfer", HEAVY),
        ("jaxfer.config", HEAVY),
        ("jaxfer.models", {"optax", "orbax", "matplotlib", "tensorflow_datasets", "grain", "PIL", "tyro"}),
        ("jaxfer.training", {"orbax", "matplotlib", "tensorflow_datasets", "grain", "PIL", "tyro"}),
        ("jaxfer.sweeps", {"orbax", "matplotlib", "tensorflow_datasets", "grain", "PIL", "tyro"}),
        ("jaxfer.evaluation.summary", {"orbax", "matplotlib", "tensorflow_datasets", "grain", "PIL", "tyro"}),
    ],
)
def test_a_module_imports_only_what_it_needs(module, never):
    assert not imported(f"import {module}") & never


@pytest.mark.parametrize(
    "arguments",
    [["--help"], *([verb, "--help"] for verb in ("train", "sweep", "evaluate", "report")), ["data", "check", "--help"]],
    ids=" ".join,
)
def test_the_help_of_the_command_imports_no_jax(arguments):
    assert imported(main_of("jaxfer.cli.main"), *arguments) == {"rich", "tyro"}


@pytest.mark.parametrize("arguments", [["--help"], ["--learning-rate", "-1"]])
def test_the_flags_of_the_training_example_import_no_jax(arguments):
    program = f"import sys; sys.path.insert(0, {str(ROOT / 'examples')!r})\n" + main_of("train_affectnet")
    assert imported(program, *arguments) == {"rich", "tyro"}


def test_importing_starts_no_backend_and_changes_no_setting():
    program = """
import os, warnings, jax
from jax._src import xla_bridge
before = dict(jax.config.values), dict(os.environ), list(warnings.filters)
import jaxfer, jaxfer.models, jaxfer.training, jaxfer.data, jaxfer.evaluation.summary
import jaxfer.runs.checkpoints, jaxfer.devices.compile_cache, jaxfer.cli.start, jaxfer.cli.sweep
changed = {name for name, value in jax.config.values.items() if before[0].get(name, value) != value}
print(changed or "same", dict(os.environ) == before[1], xla_bridge.backends_are_initialized())
"""
    assert python(program).split() == ["same", "True", "False"]
