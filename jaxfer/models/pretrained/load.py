"""Weights that a network starts from: read, compared with the network array by array, and put in its place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxfer.errors import UserError
from jaxfer.files import read_bytes
from jaxfer.json_text import check, read
from jaxfer.models.pretrained import archives, safetensors
from jaxfer.models.pretrained.origins import ORIGINS, Origin
from jaxfer.models.resnet import Network

LARGEST = 2**32
"""Bytes that a file of weights may have: so many are a billion numbers."""

SHIPPED = {"small": Path(__file__).parents[2] / "inference" / "weights" / "small"}
"""The folders of the networks that come with jaxfer, by their names; each has a card, its README.md."""

_SEEN = ("gray", "standardize", "squeeze", "pixel_mean", "pixel_std", "padding")
"""What is said of a network besides its arrays, by the names of its fields, without which they mean something else."""


@dataclass(frozen=True)
class Weights:
    """The arrays of a file, not yet those of a network.

    Attributes:
        source: What errors call it.
        arrays: The arrays by their keys; of jaxfer's own by paths such as `params/head/kernel`.
        digest: The SHA-256 of what was read.
        origin: Whose names the keys are; None for jaxfer's own.
        prefix: What comes before each key of that origin.
        fields: What the network must be besides its shapes, by the names of its fields, as far as that is known.
        class_names: What the logits of jaxfer's own networks stand for, as far as that is known.
    """

    source: str
    arrays: Mapping[str, np.ndarray] = field(repr=False)
    digest: str
    origin: Origin | None
    prefix: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """What became of the arrays of a file, and of those of a network.

    Attributes:
        source: The file or folder.
        kind: What is in it, in words.
        digest: The SHA-256 of what was read.
        loaded: The network's arrays that were replaced, by paths such as `params/stem_conv/kernel`.
        missing: Its arrays that stay as they were: those of its last layers, unless these are of the same classes.
        left_over: Keys of the file that the network has no place for, such as `fc.weight`.
    """

    source: str
    kind: str
    digest: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    left_over: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as a sentence."""
        kept = ", ".join(dict.fromkeys(path.split("/")[1] for path in self.missing)) or "nothing"
        over = _some(self.left_over) or "nothing"
        return f"{len(self.loaded)} arrays are from {self.source}, {self.kind}; new are {kept}; left over are {over}"

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON: `loaded` is a number, and counters of batches are not listed."""
        lists = {"missing": list(self.missing), "left_over": list(self.left_over)}
        return {"source": self.source, "origin": self.kind, "sha256": self.digest, "loaded": len(self.loaded)} | lists


def load_pretrained(
    model: Network, variables: Mapping[str, Any], source: Path | str | Weights, class_names: Sequence[str] = ()
) -> tuple[dict[str, Any], Loaded]:
    """Put the weights of a file in the place of a network's variables.

    The last layers stay as they are, unless the weights are jaxfer's own and tell the same classes apart, in the same
    order: whoever goes on with these goes on with all of the network.

    Args:
        model: The network. Where it has the fields `padding`, `pixel_mean` and so on, they must be as the weights
            expect them.
        variables: Its `params` and `batch_stats`, such as `model.init` returns them.
        source: A file of safetensors or of PyTorch's `torch.save`, of a ResNet as torchvision and timm name it or of an
            IR network as ArcFace and AdaFace do; a folder with such a `model.safetensors`; a folder of `save_model`, or
            the name of one that comes with jaxfer, such as `small`, where nothing of that name is there; or `Weights`,
            as `weights_of` makes them of the variables of a run.
        class_names: What the network's logits stand for; nothing has all of its last layers stay.

    Returns:
        The variables, float32, and a report of what was loaded.

    Raises:
        UserError: The file cannot be read, is not whole, or no such file; an array of it has no place in the network,
            or the network has one that it lacks or that has another shape; values are not finite; or the network is
            not what the weights expect.

    Example:
        >>> from jaxfer.models import ResNetFER
        >>> model = ResNetFER(width=8)
        >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
        >>> found, report = load_pretrained(model, variables, weights_of(variables, "another network", {}))
        >>> report.missing
        ('params/head/bias', 'params/head/kernel')
    """
    weights = source if isinstance(source, Weights) else read_weights(Path(source))
    _check_kind(model, weights)
    wanted = _flat(variables)
    new = _head_modules(model)
    if class_names and tuple(class_names) == weights.class_names:  # of further heads those that the weights have, too
        new &= {_module(path) for path in wanted if path not in weights.arrays}
    keys = {path: _key(model, weights, path) for path in wanted if _module(path) not in new}
    _check_keys(model, weights, keys)
    arrays = {path: _fitting(weights, path, key, wanted[path].shape) for path, key in keys.items()}
    _check_fields(model, weights)
    used = set(keys.values())
    over = tuple(key for key in weights.arrays if key not in used and not key.endswith("num_batches_tracked"))
    kind = weights.origin.title if weights.origin else "jaxfer's own"
    missing = tuple(path for path in wanted if path not in keys)
    report = Loaded(weights.source, kind, weights.digest, tuple(keys), missing, over)

    def place(path: Any, leaf: Any) -> Any:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return jnp.asarray(arrays[name]) if name in arrays else leaf

    return jax.tree.map_with_path(place, dict(variables)), report


def read_weights(path: Path) -> Weights:
    """Return the weights of a file, of a folder that has them in `model.safetensors`, or of a name of `SHIPPED`.

    Raises:
        UserError: It cannot be read, or holds no weights that are understood.
    """
    said: dict[str, Any] = {}
    shipped = str(path) if str(path) in SHIPPED and not path.exists() else ""
    path = SHIPPED[shipped] if shipped else path
    if path.is_dir():
        if not (path / "model.safetensors").is_file():
            raise UserError(f"{path} has no model.safetensors: pass a file of weights, a saved model, or a run")
        path = path / "model.safetensors"
    if path.name == "model.safetensors" and path.with_name("config.json").is_file():
        said = read(path.with_name("config.json"), dict)
    try:
        content = read_bytes(path, LARGEST)
    except OSError as error:
        raise UserError(f"the weights {path} cannot be read ({error.strerror}): pass a file of weights") from error
    digest = hashlib.sha256(content).hexdigest()
    if said.get("library") == "jaxfer":
        if digest != said.get("sha256"):
            raise UserError(f"{path} is not the file that its config.json was written with: copy the model again")
        check_unchanged(said, path.with_name("config.json"))
    # What a file of safetensors begins with is a length, which can look like anything; its header begins so always.
    headed = content[8:9] == b"{"
    try:
        arrays = safetensors.decode(content) if headed else archives.decode(content)
    except ValueError as error:
        raise UserError(f"{path} holds no weights that are understood: {error}") from error
    if said.get("library") == "jaxfer":
        check(said, {"network": dict, "class_names": list[str]}, str(path.with_name("config.json")))
        return weights_of(arrays, shipped or str(path), said["network"], digest, class_names=tuple(said["class_names"]))
    return _of_torch(arrays, str(path), digest, said)


def digest_of(said: Mapping[str, Any]) -> str:
    """Return what tells whether any word of the config of a saved model was changed, which it has as its `digest`."""
    whole = json.dumps({name: value for name, value in said.items() if name != "digest"}, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def check_unchanged(said: Mapping[str, Any], path: Path) -> None:
    """Refuse the config of a saved model unless it is as it was written.

    Args:
        said: The config.
        path: Its file.

    Raises:
        UserError: It was changed, or has no digest that could tell.
    """
    if said.get("digest") != digest_of(said):
        raise UserError(f"{path} was changed after the model was saved: copy the model again")


def weights_of(
    variables: Mapping[str, Any],
    source: str,
    network: Mapping[str, Any],
    digest: str | None = None,
    *,
    class_names: tuple[str, ...] = (),
) -> Weights:
    """Return the variables of one of jaxfer's networks as weights to start another one from.

    Args:
        variables: `params` and `batch_stats`, or their arrays by paths such as `params/head/kernel`.
        source: What reports and errors call them.
        network: The fields of its `ModelConfig`; an empty mapping where nothing is known of it.
        digest: Their hash; by default that of the arrays.
        class_names: What its logits stand for, where that is known.
    """
    arrays = {name: np.asarray(leaf) for name, leaf in _flat(variables).items()}
    if digest is None:
        hashed = hashlib.sha256()
        for name, array in sorted(arrays.items()):
            hashed.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        digest = hashed.hexdigest()
    # Networks of releases before said nothing of what there was not yet.
    before: dict[str, Any] = {"pixel_mean": (), "pixel_std": (), "padding": "same", "squeeze": None}
    known = {name: network.get(name, before.get(name, False)) for name in _SEEN} if network else {}
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
    return Weights(source, arrays, digest, None, fields=fields, class_names=class_names)


def _of_torch(arrays: Mapping[str, np.ndarray], source: str, digest: str, said: Mapping[str, Any]) -> Weights:
    found = [(origin, prefix) for origin in ORIGINS for prefix in origin.prefixes(arrays)]
    if not found:
        raise UserError(
            f"{source} holds weights of no network that is known (its keys are {_some(tuple(arrays))}): pass those of "
            f"{' or '.join(origin.title for origin in ORIGINS)}"
        )
    if len(found) > 1:
        names = " and ".join(repr(prefix) for _, prefix in found)
        raise UserError(f"{source} holds several networks, under {names}: save the one to start from alone")
    ((origin, prefix),) = found
    fields: dict[str, Any] = {"padding": "symmetric", "standardize": False}
    shown = said.get("pretrained_cfg")  # timm's
    if isinstance(shown, dict) and "mean" in shown and "std" in shown:
        for name in ("mean", "std"):
            numbers = shown[name] if isinstance(shown[name], list) else []
            if len(numbers) != 3 or any(type(number) not in (int, float) for number in numbers):
                raise UserError(
                    f"the config.json beside {source} says {name} {shown[name]!r}, and not three numbers for red, "
                    "green and blue: take other weights, or correct it"
                )
        fields |= {"pixel_mean": tuple(shown["mean"]), "pixel_std": tuple(shown["std"])}
    return replace(Weights(source, arrays, digest, origin, prefix), fields=fields)


def _check_kind(model: Network, weights: Weights) -> None:
    origin = weights.origin
    if origin is not None and not isinstance(model, origin.network):
        raise UserError(
            f"{weights.source} holds {origin.title}, and the network is {type(model).__name__}: choose "
            f"{origin.variants} (--variant)"
        )


def _key(model: Network, weights: Weights, path: str) -> str:
    if weights.origin is None:
        return path
    keys = {key.removeprefix(weights.prefix): None for key in weights.arrays if key.startswith(weights.prefix)}
    return weights.prefix + weights.origin.key(model, tuple(path.split("/")[1:]), keys)


def _check_keys(model: Network, weights: Weights, keys: Mapping[str, str]) -> None:
    for path, key in keys.items():
        if key not in weights.arrays:
            raise UserError(
                f"the network has {path}, and {weights.source} has no {key} for it: choose the network that these "
                "weights are of (--variant)"
            )
    used = set(keys.values())
    for key in weights.arrays:
        inner = key.removeprefix(weights.prefix)
        if weights.origin is None:
            trunk = key.split("/")[1:2] and key.split("/")[1] not in _head_modules(model, by_name=True)
        else:
            trunk = key.startswith(weights.prefix) and weights.origin.trunk.match(inner)
        if key not in used and trunk and not key.endswith("num_batches_tracked"):
            raise UserError(
                f"{weights.source} has {key}, and the network {type(model).__name__} has no place for it: choose the "
                "network that these weights are of (--variant)"
            )


def _fitting(weights: Weights, path: str, key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of a file as the array of a network, float32."""
    array = np.asarray(weights.arrays[key])
    own = array
    if weights.origin is not None and array.ndim == 4:
        array = array.transpose(2, 3, 1, 0)  # from OIHW to HWIO
    if array.shape != shape:
        raise UserError(
            f"{key} of {weights.source} is {list(own.shape)}, and {path} of the network is {list(shape)}"
            f"{' as [h, w, in, out]' if len(shape) == 4 else ''}: choose the network that these weights are "
            "of (--variant)"
        )
    if not jnp.issubdtype(array.dtype, jnp.floating):  # of fewer bits, whose scales are elsewhere
        raise UserError(f"{key} of {weights.source} has numbers of {array.dtype}: take weights of floating point")
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        array = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(array).all():
        raise UserError(f"{key} of {weights.source} has values that are not finite: take other weights")
    if path.endswith("/var") and (array < 0).any():
        raise UserError(f"{key} of {weights.source} has negative variances: take other weights")
    return array


def _check_fields(model: Network, weights: Weights) -> None:
    """Refuse a network that sees or computes something else than the weights expect, though all shapes fit."""
    for name, value in weights.fields.items():
        if hasattr(model, name) and not _same(getattr(model, name), value):
            flag = f"--{name.replace('_', '-')}"
            shown = " ".join(map(str, value)) if isinstance(value, tuple) else value
            how = f"pass {flag} {shown}" if shown != "" and not isinstance(value, bool) else f"leave out or pass {flag}"
            raise UserError(
                f"{weights.source} expects a network with {name} {value!r}, and this one has {getattr(model, name)!r}: "
                f"{how}"
            )
    undeclared = weights.origin is not None and "pixel_mean" not in weights.fields
    if undeclared and hasattr(model, "pixel_mean") and not model.pixel_mean:
        raise UserError(
            f"{weights.source} does not say by which mean and deviation its network was shown pixels: pass them, as "
            "--pixel-mean 0.485 0.456 0.406 --pixel-std 0.229 0.224 0.225 for ImageNet's, or 0.5 six times for faces"
        )


def _same(own: Any, expected: Any) -> bool:
    if isinstance(own, tuple) and isinstance(expected, tuple):
        return len(own) == len(expected) and np.allclose(own, expected, atol=1e-4)
    return own == expected


def _head_modules(model: Network, *, by_name: bool = False) -> frozenset[str]:
    """Return the names of a network's last layers: those that it says, or all that are called heads."""
    said = frozenset(model.layers()[-1]) if hasattr(model, "layers") else frozenset({"head"})
    # Weights may be of a network with further heads, which this one lacks.
    return said | {"head", "affect_head", "votes_head"} if by_name else said


def _module(path: str) -> str:
    """Return the first module in the path of an array, such as `head` of `params/head/kernel`."""
    return path.split("/")[1]


def _flat(tree: Any) -> dict[str, Any]:
    """Return the arrays of a pytree by the words of their paths, joined by slashes."""
    leaves = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown
