"""What a report of a fault needs to say of a machine: versions, devices, what is granted, caches, and a self-test.

It is written to be pasted where everybody reads it. Paths of the home folder begin with ~, the name of the user is
replaced wherever it is part of a path, and of a data set only what lies inside of its folder is named.
"""

import getpass
import importlib.metadata
import math
import os
import platform
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxfer.data.cache import FOLDER
from jaxfer.data.reading.folder import readable
from jaxfer.devices import compile_cache
from jaxfer.devices.cpu import cpu_cores, granted_memory
from jaxfer.reports.words import printable
from jaxfer.version import __version__

Section = dict[str, Any]
"""What one part of the examination found, as JSON has it; `problem` says in words what does not work."""

DATA = "DATA"
"""What stands for the folder of the data that was passed."""

PROMPT = ("JAX_", "XLA_", "LIBTPU_")
CHOICES = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "TF_GPU_ALLOCATOR", "XDG_CACHE_HOME", "OMP_NUM_THREADS")
"""Variables of the environment that change what JAX does: those that begin so, and these."""

RELATED = re.compile("jax.*(plugin|pjrt)|libtpu.*")
"""Packages beside those that jaxfer requires whose versions decide which devices there are."""

STEPS, FACES = 4, 14
"""Of the self-test: training steps on one batch, and the drawn faces in it."""


def examine(data_dir: Path | None = None) -> dict[str, Section]:
    """Look at this installation and this machine, and try a training step and a prediction.

    Whatever is broken, the other parts are looked at: a part that fails is `{"problem": ...}`. It takes some seconds,
    most of them to compile the two programs of the self-test where they are not kept from before.

    Args:
        data_dir: A folder or file of labelled faces, whose layout is to be told; None looks at no data.

    Returns:
        By name: `software`, `libraries`, `extras`, `machine`, `devices`, `environment`, `caches`, `data` where it was
        passed, and `self_test`.
    """
    parts: dict[str, Callable[[], Section]] = {
        "software": _software,
        "libraries": _libraries,
        "extras": _extras,
        "machine": _machine,
        "devices": _devices,
        "environment": _environment,
        "caches": lambda: _caches(data_dir),
    }
    if data_dir is not None:
        parts["data"] = lambda: _data(data_dir)
    parts["self_test"] = _self_test
    return {name: _anonymous(_attempt(look), data_dir) for name, look in parts.items()}


def problems(found: dict[str, Section]) -> dict[str, str]:
    """Return what does not work, by the name of its part."""
    return {name: section["problem"] for name, section in found.items() if "problem" in section}


def print_examination(found: dict[str, Section]) -> None:
    """Print what `examine` found, a line for each fact, as a report of a fault takes it."""
    for name, section in found.items():
        print(f"{name.replace('_', ' ')}")
        for key, value in section.items() or {"": "none"}.items():
            print(printable(f"  {key}: {_shown(key, value)}" if key else f"  {value}"))


def _attempt(look: Callable[[], Section]) -> Section:
    try:
        return look()
    except Exception as error:  # of a broken installation anything may fail, and the rest is to be told all the same
        said = (str(error).splitlines() or [""])[0]
        return {"problem": f"{type(error).__name__}: {said}"}


def _software() -> Section:
    return {"jaxfer": __version__, "python": platform.python_version(), "system": platform.platform()}


def _requirements() -> list[tuple[str, str]]:
    """Return what jaxfer requires, by the names of packages, with the extra that asks for it or ""."""
    found = []
    for line in importlib.metadata.requires("jaxfer") or []:
        name, extra = re.match(r"[\w.-]+", line), re.search(r"""extra == ['"](\w+)['"]""", line)
        if name:
            found.append((name[0], extra[1] if extra else ""))
    return found


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _libraries() -> Section:
    names = [name for name, extra in _requirements() if not extra]
    there = {one.name for one in importlib.metadata.distributions() if RELATED.fullmatch(one.name or "")}
    return {name: _version(name) for name in (*names, "jaxlib", *sorted(there))}


def _extras() -> Section:
    extras: dict[str, dict[str, str | None]] = {}
    for name, extra in _requirements():
        if extra:
            extras.setdefault(extra, {})[name] = _version(name)
    return extras


def _machine() -> Section:
    return {
        "processor": compile_cache.processor_name(),
        "cores": os.cpu_count(),
        "cores_granted": cpu_cores(),
        "memory_granted": granted_memory(),
    }


def _devices() -> Section:
    import jax

    kinds = Counter(f"{device.platform}: {device.device_kind}" for device in jax.devices())
    limits = {}
    for device in jax.local_devices():
        limit = (device.memory_stats() or {}).get("bytes_limit")
        if limit:
            limits["memory_of_each"] = limit
    return dict(kinds) | limits


def _environment() -> Section:
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(PROMPT) or name in CHOICES}


def _caches(data_dir: Path | None) -> Section:
    programs = Path(os.environ.get("JAX_COMPILATION_CACHE_DIR") or compile_cache.programs_folder())
    found = {"compiled_programs": _size(programs)}
    if data_dir is not None:
        found["decoded_images"] = _size((data_dir if data_dir.is_dir() else data_dir.parent) / FOLDER)
    return found


def _size(folder: Path) -> Section:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()] if folder.is_dir() else []
    return {"folder": str(folder), "files": len(files), "bytes": sum(path.lstat().st_size for path in files)}


def _data(data_dir: Path) -> Section:
    from jaxfer.data.layouts import detect

    with readable(data_dir):
        layout, match = detect(data_dir)
    return {"layout": layout.name, "place": str(match.place), "evidence": match.evidence, "notes": list(match.notes)}


def _self_test() -> Section:
    """Train a small network for some steps on one batch, and have the network that ships name a drawn face."""
    import jax.numpy as jnp
    import numpy as np
    import optax

    from jaxfer.data.synthetic import draw_faces
    from jaxfer.emotions import AFFECTNET_8
    from jaxfer.inference import Predictor, faces
    from jaxfer.models import ResNetFER
    from jaxfer.training import Objective, create_state, make_train_step

    begun = time.perf_counter()
    model, optimizer = ResNetFER(width=8, stage_sizes=(1,)), optax.adam(0.01)
    step = make_train_step(model, optimizer, Objective())
    labels = np.arange(FACES, dtype=np.int32) % 7
    images = draw_faces(1, labels)  # of which the network that ships knows the happy one well
    state = create_state(model, optimizer, seed=0, image_size=images.shape[1])
    batch = {"image": images, "label": labels, "mask": jnp.ones(FACES, bool)}
    losses = []
    for _ in range(STEPS):
        state, metrics = step(state, batch)
        losses.append(float(metrics.loss / metrics.count))
    trained = time.perf_counter()

    predictor = Predictor.load(detector="yunet" if faces.is_installed() else "whole")
    found = predictor(images[AFFECTNET_8.index("happy")])
    result: Section = {
        "losses": losses,
        "training_seconds": trained - begun,
        "detector": "yunet" if faces.is_installed() else "none (pip install 'jaxfer[faces]')",
        "drawn_happy_face": {face.label: face.confidence for face in found},
        "prediction_seconds": time.perf_counter() - trained,
    }
    if not (all(map(math.isfinite, losses)) and losses[-1] < losses[0]):
        result["problem"] = f"the loss of a small network did not fall in {STEPS} steps"
    elif [face.label for face in found] != ["happy"]:
        result["problem"] = "the network that comes with jaxfer did not see one happy face in a drawing of one"
    return result


def _anonymous(value: Any, data_dir: Path | None) -> Any:
    """Return what was found with paths that say nothing of whose they are."""
    if isinstance(value, dict):
        return {_anonymous(key, data_dir): _anonymous(inner, data_dir) for key, inner in value.items()}
    if isinstance(value, list):
        return [_anonymous(inner, data_dir) for inner in value]
    if not isinstance(value, str):
        return value
    if data_dir is not None:
        for path in (data_dir.resolve(), data_dir.absolute(), data_dir):
            if path != Path():  # the current folder, as a relative path, is a full stop
                value = re.sub(rf"(?<![\w./~-]){re.escape(str(path))}(?![\w-])", DATA, value)
    for home in {Path.home(), Path.home().resolve()}:
        if home != Path(home.anchor):
            value = value.replace(str(home), "~")
    return re.sub(rf"(?<=[\\/]){re.escape(getpass.getuser())}(?=[\\/]|$)", "USER", value)


def _shown(key: str, value: Any) -> str:
    """Return a fact in words."""
    if isinstance(value, dict):
        return ", ".join(f"{inner} {_shown(inner, found)}" for inner, found in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_shown(key, inner) for inner in value) or "none"
    if value is None:
        return "not there"
    if key == "bytes" or key.startswith("memory"):
        return f"{value / 2**20:,.1f} MiB" if value < 2**30 else f"{value / 2**30:,.1f} GiB"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
