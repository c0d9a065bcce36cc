"""The fields of a config by name, as a sweep changes them."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import msgspec
import numpy as np

from jaxfer.config import Config, from_fields
from jaxfer.errors import UserError


def field_path(name: str) -> str:
    """Return the dotted path of a field from its path or, like a flag, its bare name.

    Raises:
        UserError: There is no such field.

    >>> field_path("learning-rate"), field_path("optimizer.learning_rate"), field_path("epochs")
    ('optimizer.learning_rate', 'optimizer.learning_rate', 'epochs')
    """
    wanted = name.strip().removeprefix("--").replace("-", "_")
    paths = {path: path for path in _leaves(dataclasses.asdict(Config()))}
    paths |= {path.rpartition(".")[2]: path for path in paths}
    if wanted not in paths:
        near = difflib.get_close_matches(wanted, paths, n=3)
        others = f"did you mean {' or '.join(near)}?" if near else f"the fields are {', '.join(paths)}"
        raise UserError(f"a config has no field {name!r}: {others}")
    return paths[wanted]


def value_at(config: Config, path: str) -> Any:
    """Return the value of the field at a dotted path."""
    value: Any = config
    for name in path.split("."):
        value = getattr(value, name)
    return value


def is_whole(path: str) -> bool:
    """Return whether the field at a dotted path holds whole numbers, whichever it has now.

    >>> is_whole("epochs"), is_whole("model.squeeze"), is_whole("data.num_classes"), is_whole("augment.rotate")
    (True, True, True, False)
    """
    kind: Any = Config
    for name in path.split("."):
        kind = get_type_hints(kind)[name]
    return kind is int or any(one is int or type(one) is int for one in get_args(kind))


def changed(base: Config, values: Mapping[str, Any]) -> Config:
    """Return `base` with other values at these dotted paths.

    Args:
        base: The config to change; it stays as it is.
        values: By dotted path, each of the field's type or as JSON has it.

    Raises:
        UserError: A value is not of the field's type, or a config refuses it.
    """
    fields = msgspec.to_builtins(base, enc_hook=str)
    for path, value in values.items():
        section, _, name = path.rpartition(".")
        (fields[section] if section else fields)[name] = msgspec.to_builtins(value, enc_hook=_plain)
    return from_fields(fields, describe(values))


def describe(values: Mapping[str, Any]) -> str:
    """Return fields and their values in words.

    >>> describe({"optimizer.learning_rate": 0.01, "epochs": 25})
    'learning_rate 0.01, epochs 25'
    """
    return ", ".join(f"{path.rpartition('.')[2]} {_as_text(value)}" for path, value in values.items())


def _leaves(fields: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name, value in fields.items():
        found += _leaves(value, f"{name}.") if isinstance(value, dict) else [prefix + name]
    return found


def _plain(value: Any) -> Any:
    """Return what JSON has in place of a number of NumPy, a path, or anything else."""
    return value.item() if isinstance(value, np.generic) else str(value)


def _as_text(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
