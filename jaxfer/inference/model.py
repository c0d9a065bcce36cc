"""The folder of a trained network that people share: weights, what to know about them, and a check that they are whole.

`model.safetensors` holds the variables, kernels as float16. `config.json` says which network they belong to, what it
sees and predicts, and has the digest of the weights. The folders in `weights` come with jaxfer.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np

from jaxfer.config import ModelConfig, Views, without_places
from jaxfer.devices.placement import OneDevice
from jaxfer.emotions import AFFECTNET_8, FER_PLUS
from jaxfer.errors import UserError
from jaxfer.files import read_bytes, write_folder
from jaxfer.inference import hub
from jaxfer.inference.compiled import Compiled
from jaxfer.inference.framing import Framing
from jaxfer.json_text import MOST_BYTES, check, read, read_text
from jaxfer.models import Network, check_range, count_classes, variable_shapes
from jaxfer.models.pretrained import SHIPPED, check_unchanged, digest_of, safetensors
from jaxfer.runs.folder import SUMMARY, read_config
from jaxfer.runs.folder import is_run as holds_run
from jaxfer.tasks import make_network
from jaxfer.version import __version__

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

    from jaxfer.runs import Trained

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
"""The names of the files in the folder."""

LARGEST = 2**32
"""Bytes that weights may have: so many are two billion numbers."""

FORMAT = 1
"""The form of `config.json`; a folder of a later form is refused."""

Answer = Literal["expression", "votes"]
"""What to ask a network for: the label that its training data would have, or the expression that people would see."""

_FIELDS = ("network", "class_names", "image_size", "temperature", "answer", "views", "notes", "sha256")


@dataclass(frozen=True)
class FaceModel:
    """A network that is ready to predict.

    Attributes:
        network: The network, a linen module.
        variables: `params` and `batch_stats`, float32, for `network.apply(variables, images, train=False, mask=None)`.
        class_names: What each logit of the expression stands for, c names.
        image_size: Height and width in pixels of the faces it was trained on.
        temperature: What the logits of the expression are divided by, so that its confidence is what to expect (Guo et
            al. 2017).
        config: The named network's config.
        notes: Whatever else is known of it, as JSON has it: data, scores, how it was made.
        answer: What `probabilities` returns unless asked for something else.
        views: What the network is shown of each image unless asked for something else, see `jaxfer.models.views`.
        framing: How its training images frame faces, by which `Predictor` cuts them out; None where it is not known.
    """

    network: Network
    variables: Mapping[str, Any] = field(repr=False)
    class_names: tuple[str, ...]
    image_size: int
    temperature: float
    config: ModelConfig
    notes: Mapping[str, Any] = field(repr=False)
    answer: Answer = "expression"
    views: Views = "one"
    framing: Framing | None = None

    @classmethod
    def of_run(
        cls, trained: Trained, class_names: tuple[str, ...] | None = None, notes: Mapping[str, Any] | None = None
    ) -> FaceModel:
        """Return the network of a run, which answers with what people would see where it has learnt that.

        It computes in float32, as its parameters are, whatever it was trained in: not every device computes fast in
        bfloat16, and the answers are to be the same on all.

        Where the run has classes of its own, by `classes` or `merge`, it answers with these.

        Args:
            trained: The network, as `jaxfer.load_run` returns it: by default that after the last step, whose scores are
                in the run's `summary.json`.
            class_names: The classes of the data that it was trained on, by default those of its config.
            notes: What is known of it besides how it was trained, which is noted here: the config without the places of
                files, the checkpoint, the temperature, and the fingerprint of the data.
        """
        temperature, names = trained.temperature, class_names or trained.class_names
        # The votes are for AffectNet's expressions, whatever classes there are.
        votes = "votes" in trained.config.model.heads and not trained.config.data.has_own_classes
        made = {
            "version": __version__,
            "config": without_places(trained.config),
            "checkpoint": trained.checkpoint,
            "data": trained.fingerprint,
            "temperature": temperature and {"split": temperature.split, "examples": temperature.examples},
        }
        shortened = trained.config.model.dtype != "float32" and hasattr(trained.model, "dtype")
        return cls(
            trained.model.clone(dtype=jnp.float32) if shortened else trained.model,
            trained.variables,
            names,
            trained.config.data.image_size,
            temperature.value if temperature else 1.0,
            dataclasses.replace(trained.config.model, dtype="float32", pretrained=None),
            {"made": made},
            "votes" if votes else "expression",
            framing=_framing(trained.run_dir),
        )

    def __getstate__(self) -> dict[str, Any]:
        # What is compiled belongs to this process; variables are read anywhere as arrays of NumPy.
        fields = {name: value for name, value in vars(self).items() if name != "_compiled"}
        return fields | {"variables": jax.device_get(self.variables)}

    @property
    def answers(self) -> tuple[Answer, ...]:
        """What `probabilities` can be asked for."""
        return ("expression", "votes") if "votes" in self.config.heads else ("expression",)

    def names(self, answer: Answer | None = None) -> tuple[str, ...]:
        """Return what the columns of `probabilities` stand for.

        Args:
            answer: As for `probabilities`.

        Raises:
            UserError: As for `probabilities`.
        """
        return AFFECTNET_8 if self._known(answer) == "votes" else self.class_names

    def probabilities(
        self, images: UInt8[np.ndarray, "b h w 3"], answer: Answer | None = None, views: Views | None = None
    ) -> Float[np.ndarray, "b c"]:
        """Return the probability of each class, float32 [b, c], the classes being `names(answer)`.

        Args:
            images: Faces as in training, [b, h, w, 3], h and w at best `image_size`: integers from 0 to 255, or
                floating point from 0 to 1. A gray network takes [b, h, w, 1] too.
            answer: `expression` is the label that the training data would have, after the temperature. `votes` is what
                people would see in the face: of the expressions alone, the answers that name none being left out. None
                is the network's own choice.
            views: What the network is shown of each image; its answers are averaged. None is the network's own choice.

        Raises:
            UserError: The network has no such answer, or the images have other shapes or values.
        """
        return self.shares(self.outputs(images, views), answer)

    def shares(self, outputs: Mapping[str, Any], answer: Answer | None = None) -> Float[np.ndarray, "b c"]:
        """Return what `probabilities` does, of what the heads say already.

        Args:
            outputs: As `outputs` returns them.
            answer: As for `probabilities`.

        Raises:
            UserError: The network has no such answer, or says what are no numbers.
        """
        head, columns = self.head(answer)
        logits = np.asarray(outputs[head], np.float64)[:, columns]
        if not np.isfinite(logits).all():
            raise UserError("the network's answers are no numbers, since its weights are too large: use another one")
        return _softmax(logits / (self.temperature if head == "logits" else 1))

    def head(self, answer: Answer | None = None) -> tuple[str, list[int]]:
        """Return which head of the network gives an answer, and which of its columns are `names(answer)`.

        Args:
            answer: As for `probabilities`.

        Raises:
            UserError: The network has no such answer.
        """
        if self._known(answer) == "votes":
            return "votes", [FER_PLUS.index(name) for name in AFFECTNET_8]
        return "logits", list(range(len(self.class_names)))

    def outputs(
        self, images: UInt8[np.ndarray, "b h w 3"], views: Views | None = None
    ) -> dict[str, Float[np.ndarray, "b ..."]]:
        """Return what each head says of faces, as the network returns it.

        Args:
            images: As for `probabilities`.
            views: As for `probabilities`.

        Raises:
            UserError: The images have other shapes or values.
        """
        return self._compiled(_checked(images), views or self.views)

    def _known(self, answer: Answer | None) -> Answer:
        answer = self.answer if answer is None else answer
        if answer not in self.answers:
            raise UserError(f"the network has no answer {answer!r}: ask for {' or '.join(self.answers)}")
        return answer

    @cached_property
    def _compiled(self) -> Compiled:
        return Compiled(self.network, self.variables, OneDevice().device.platform)


def _framing(run_dir: Path) -> Framing | None:
    """Return how the images of a run frame faces, where its end has measured that."""
    summary = run_dir / SUMMARY
    found = read(summary, dict).get("framing") if summary.is_file() else None
    return None if found is None else Framing.from_dict(found, f"{summary}: framing")


def _checked(images: Any) -> np.ndarray:
    """Return images on the host, where what they hold can be seen, in one of the two types that are compiled for."""
    images = np.asarray(images)
    if images.ndim != 4:
        raise UserError(f"images have the shape {list(images.shape)}: pass [b, h, w, 3], one image as image[None]")
    check_range(images)
    if images.dtype == np.uint16:  # whose range the network itself refuses
        return images
    return images.astype(np.uint8 if images.dtype.kind in "ui" else np.float32, copy=False)


def _softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def save_model(model: FaceModel, folder: Path | str, *, card: str = "") -> Path:
    """Write a network to a new folder, which appears whole or not at all.

    Kernels are rounded to float16; everything else keeps its float32.

    Args:
        model: The network. One that is not jaxfer's own has to be passed to `load_model` again.
        folder: The folder, which must not exist.
        card: What is to be said of it in `README.md`, in Markdown, such as `jaxfer.reports.model_card` of its run.

    Returns:
        The folder.

    Raises:
        UserError: There is something already; a value is not finite or too large for float16; what is said of the
            network cannot be; or the disk fails.
    """
    folder = Path(folder)
    weights = safetensors.encode({name: _stored(name, leaf) for name, leaf in _flat(model.variables).items()})
    said = {
        "library": "jaxfer",
        "version": __version__,
        "format": FORMAT,
        "network": dataclasses.asdict(model.config),
        "class_names": list(model.class_names),
        "image_size": model.image_size,
        "temperature": model.temperature,
        "answer": model.answer,
        "views": model.views,
        "framing": model.framing and model.framing.to_dict(),
        "notes": dict(model.notes),
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    images = jax.ShapeDtypeStruct((1, model.image_size, model.image_size, 3), np.float32)
    mistaken = _impossible(said)
    if not mistaken and count_classes(model.network, model.variables, images) != len(model.class_names):
        mistaken = "class_names, which are not as many as its network has classes,"
    if mistaken:
        raise UserError(f"nothing is saved, since the model's {mistaken} cannot be: make it with others")
    said["digest"] = digest_of(said)
    files: dict[str, str | bytes] = {WEIGHTS: weights, CONFIG: json.dumps(said, indent=2) + "\n"}
    return write_folder(files | ({CARD: card} if card else {}), folder)


def load_model(folder: Path | str, *, network: Network | None = None, revision: str | None = None) -> FaceModel:
    """Return the network of a folder that `save_model` wrote, or one that comes with jaxfer.

    JAX, Flax and NumPy suffice for it. Nothing of the folder is run, and nothing outside of it is read.

    Args:
        folder: The folder, or a name of `SHIPPED`. A folder of one's own of that name is `./small`, or a `Path`. With
            `jaxfer[hub]` also `hub:user/name`, which is fetched from Hugging Face's hub.
        network: The network, if it is not one of jaxfer's own.
        revision: On the hub: a branch, a tag or a commit; None for the newest.

    Raises:
        UserError: The folder holds no such network, or weights that are not whole, not those that were saved, or of
            another network; its config was changed; or the hub cannot be reached.
    """
    folder = _folder(folder, revision)
    said = _read_config(folder)
    try:
        weights = read_bytes(folder / WEIGHTS, LARGEST)
    except OSError as error:
        raise UserError(f"{folder / WEIGHTS} cannot be read ({error.strerror}): copy the model again") from error
    if hashlib.sha256(weights).hexdigest() != said["sha256"]:
        raise UserError(f"{folder / WEIGHTS} is not the file that {CONFIG} was written with: copy the model again")
    try:
        tuples = {name: tuple(value) for name, value in said["network"].items() if isinstance(value, list)}
        config = ModelConfig(**said["network"] | tuples)
        arrays = safetensors.decode(weights)
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f"{folder} holds no model that is understood ({error}): copy it again") from error
    network = make_network(config, len(said["class_names"])) if network is None else network
    variables = _fitted(arrays, network, said["image_size"], folder)
    names, size, temperature = tuple(said["class_names"]), said["image_size"], said["temperature"]
    framing = said.get("framing")  # a model of a release before has none
    model = FaceModel(
        *(network, variables, names, size, temperature, config, said["notes"], said["answer"], said["views"]),
        framing=None if framing is None else Framing.from_dict(framing, f"{folder / CONFIG}: framing"),
    )
    model.names()  # refuses an answer that there is not
    check_unchanged(said, folder / CONFIG)  # at last, since what was checked before says more
    return model


def push_model(folder: Path | str, place: str, *, network: Network | None = None) -> str:
    """Put the folder of a model, with its card, to Hugging Face's hub, and return the address there.

    Args:
        folder: The folder, which `load_model` has to read.
        place: `hub:user/name`, which is made unless it is there.
        network: The network, if it is not one of jaxfer's own.

    Raises:
        UserError: `load_model` refuses the folder; `jaxfer[hub]` is not installed; or the hub refuses, or cannot be
            reached.
    """
    load_model(folder, network=network)
    return hub.put(_folder(folder), place, (WEIGHTS, CONFIG, CARD))


def is_run(place: Path | str) -> bool:
    """Return whether a place, which may be a name of `SHIPPED`, is the folder of a run and not that of a model."""
    return not (isinstance(place, str) and place in SHIPPED) and holds_run(Path(place))


def called(place: Path | str) -> str:
    """Return what the network of a place is called: a name of `SHIPPED`, or that of its folder."""
    return place if isinstance(place, str) and place in SHIPPED else Path(place).resolve().name


def is_shipped(model: FaceModel) -> bool:
    """Return whether a network is one that comes with jaxfer, by how it was made, wherever it was read from."""
    return any(model.notes == _read_config(folder)["notes"] for folder in SHIPPED.values())


def class_names_of(place: Path | str) -> tuple[str, ...]:
    """Return what the logits of the expression stand for, of a run or of what `load_model` takes.

    Raises:
        UserError: There is none.
    """
    return (
        read_config(Path(place)).data.vocabulary
        if is_run(place)
        else tuple(_read_config(_folder(place))["class_names"])
    )


def card_of(folder: Path | str) -> str:
    """Return the card in a folder that `load_model` takes; empty where there is none.

    Raises:
        UserError: It cannot be read.
    """
    path = _folder(folder) / CARD
    return read_text(path, "copy the model again") if path.is_file() else ""


def _folder(place: Path | str, revision: str | None = None) -> Path:
    """Return the folder of what `load_model` takes."""
    if isinstance(place, str) and place.startswith(hub.PREFIX):
        return hub.fetch(place, revision, (WEIGHTS, CONFIG, CARD))
    if revision is not None:
        raise UserError(f"{place} has no revisions, which models on the hub have alone: leave revision out")
    return SHIPPED[place] if isinstance(place, str) and place in SHIPPED else Path(place)


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        said = json.loads(read_bytes(folder / CONFIG, MOST_BYTES).decode())
    except OSError as error:
        if not folder.exists():
            known = ", ".join(SHIPPED)
            raise UserError(f"{folder} does not exist: pass {known}, or the folder of a model or a run") from error
        raise UserError(
            f"{folder} holds no model: {CONFIG} cannot be read ({error.strerror}); pass the folder of a model"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{folder / CONFIG} is not JSON ({error}): copy the model again") from error
    wanted = f"{folder / CONFIG} does not describe a model of jaxfer"
    if not isinstance(said, dict) or said.get("library") != "jaxfer" or any(name not in said for name in _FIELDS):
        instead = "jaxfer.Predictor.load loads runs, and jaxfer export --format model makes one of it"
        raise UserError(f"{wanted}: {instead if holds_run(folder) else 'pass the folder of one'}")
    if said.get("format") != FORMAT:
        raise UserError(f"{folder} was written in the form {said.get('format')}: install a newer jaxfer")
    if mistaken := _impossible(said):
        raise UserError(f"{wanted}: its {mistaken} cannot be; copy the model again")
    if not isinstance(said["network"], dict) or not isinstance(said["notes"], dict):
        raise UserError(f"{wanted}: its network or notes are no objects; copy the model again")
    # A word in place of false would make it another network, of the same weights.
    switches = {name for name, kind in get_type_hints(ModelConfig).items() if kind is bool} & said["network"].keys()
    check(said["network"], dict.fromkeys(switches, bool), f"{folder / CONFIG}: network")
    return said


def _impossible(said: Mapping[str, Any]) -> str | None:
    """Return which fields of a model's config have values that no model has, in words; None where all can be."""
    names, side, temperature = said["class_names"], said["image_size"], said["temperature"]
    named = isinstance(names, list) and 2 <= len(set(map(str, names))) == len(names)
    sized = type(side) is int and 32 <= side <= 4096
    warm = type(temperature) in (int, float) and 1e-6 < temperature < 1e6
    if not (named and all(isinstance(name, str) for name in names) and sized and warm):
        return "class_names, image_size or temperature"
    if said["answer"] not in get_args(Answer) or said["views"] not in get_args(Views):
        return "answer or views"
    return None


def _flat(tree: Any) -> dict[str, Any]:
    """Return the arrays of a pytree by the words of their paths, joined by slashes."""
    leaves = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _stored(name: str, leaf: Any) -> np.ndarray:
    array = np.asarray(leaf, np.float32)
    # Biases, scales and statistics are few, and variances may be larger than float16 can say.
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        stored = array.astype(np.float16) if array.ndim > 1 else array
    if not np.isfinite(stored).all():
        raise UserError(f"{name} has values that are not finite or too large to be stored: train another network")
    return stored


def _fitted(arrays: dict[str, np.ndarray], network: Network, side: int, folder: Path) -> Any:
    """Return stored arrays as the variables of a network."""
    shapes = variable_shapes(network, side)
    wanted = _flat(shapes)
    other = sorted(wanted.keys() ^ arrays.keys())
    other += [name for name in wanted if name in arrays and wanted[name].shape != arrays[name].shape]
    if other:
        raise UserError(f"the weights in {folder} are of another network than {CONFIG} says: {other[0]} does not fit")

    def place(path: Any, _: Any) -> jax.Array:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        with np.errstate(over="ignore"):  # what is too large becomes infinite
            array = arrays[name].astype(np.float32)
        if not np.isfinite(array).all():
            raise UserError(f"the weights in {folder} are not finite: copy the model again, or train another")
        if name.endswith("/var") and (array < 0).any():
            raise UserError(f"the weights in {folder} have negative variances: copy the model again, or train another")
        return jnp.asarray(array)

    return jax.tree.map_with_path(place, shapes)
