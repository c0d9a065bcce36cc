"""Four CPU devices for every test, and programs that compile fast and once, set before JAX starts."""

import gc
import os
import sys
from collections import Counter
from importlib.metadata import version

# ONNX Runtime would report its use, and reads this when it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# Level 0 compiles the step of a small network in a third of the time of level 2, random numbers to the same bits; in
# one part, with a quarter less of the processors' time than in many side by side. What fuses loops through MLIR takes
# twice as long as what it replaced, which jaxlib of jax 0.12 has no flag for any more: it ends at an unknown one.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
    + (" --xla_cpu_use_fusion_emitters=false" if version("jaxlib").startswith("0.10.") else ""),
)

import browser
import hypothesis
import jax
import pytest

from jaxfer.devices import compile_cache

# How long an example takes says nothing where other tests run beside it.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_numpy_rank_promotion", "raise")


def keep_bytecode() -> None:
    """Keep what Python compiles even where it is told not to, or each process that tests start compiles jaxfer anew."""
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def share_programs() -> None:
    """Keep compiled programs from run to run, unless the user says where, in a folder for each kind of processor.

    The environment, where the processes that tests start look too, says so; JAX itself tells its versions apart.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        programs = compile_cache._cache_home() / "jaxfer" / "tests"
        folder = programs / compile_cache._processor()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if "PYTEST_XDIST_WORKER" not in os.environ:  # whose programs are in use
            compile_cache._tidy(programs, folder / "last-start")
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.01")
    jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
    seconds = float(os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", seconds)


keep_bytecode()
share_programs()


SLOWEST = ("devices", "examples", "training", "docs", "tasks", "benchmarks", "sweeps")
"""The folders whose tests take longest: begun first, none of them keeps one process busy when all others have ended."""


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    # Imports and tracing make very many small objects, and for them Python would look through all again and again.
    gc.disable()
    collected = yield
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    gc.enable()
    return collected


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(items):
    cases = Counter()
    for item in items:
        few, one_of = item.get_closest_marker("few"), item.get_closest_marker("one_of")
        function = item.nodeid.partition("[")[0]
        cases[function] += 1
        if few and cases[function] > few.args[0]:
            item.add_marker(pytest.mark.long)
        if one_of and cases[function] % one_of.args[0] != 1:
            item.add_marker(pytest.mark.long)
    order = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: order.get(item.path.parent.name, len(order)))


def pytest_runtest_setup(item):
    # Raised here and not where each test is marked, so that pytest's summary has one line for all of them.
    if item.get_closest_marker("browser") and browser.PROGRAM is None:
        pytest.skip("no Chromium or Chrome: apt-get install chromium, or name one in CHROME")


@pytest.fixture
def blank_figures(request, monkeypatch):
    """Leave the figures of pages blank, for tests of what stands around them: they take most of a page's time."""
    if request.node.get_closest_marker("drawn"):
        return
    from jaxfer.reports import figures  # takes long to import

    monkeypatch.setattr(figures, "embed", lambda _: figures.Drawing("", ""))
