"""The configuration of a run: frozen dataclasses, validation, JSON in and out.

One `Config` describes one run completely: the same config and seed give the same numbers. It is stored beside
every checkpoint, and evaluation reads it back from there.
"""

import dataclasses
import json
import math
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jaxfer.errors import UserError

VARIANTS = ("published", "resnet18", "resnet34", "resnet50")
"""The networks that jaxfer has; `jaxfer.models.MODELS` holds them."""

LabelOrder = Literal["affectnet", "alphabetical", "fer2013", "raf-db"]
"""The keys of `jaxfer.emotions.LABEL_ORDERS`."""


def _check(holds: bool, name: str, value: object, wanted: str) -> None:
    if not holds:
        raise UserError(f"{name} is {value!r}: pass {wanted}")


def _check_choices(config: object) -> None:
    """Refuse a value that is none of those its field's `Literal` allows."""
    for name, hint in typing.get_type_hints(type(config)).items():
        kinds = (hint, *typing.get_args(hint))
        choices = next((typing.get_args(kind) for kind in kinds if typing.get_origin(kind) is Literal), None)
        value = getattr(config, name)
        if choices is not None and not (value is None and type(None) in kinds):
            allowed = any(type(value) is type(choice) and value == choice for choice in choices)
            _check(allowed, name, value, f"one of {', '.join(map(str, choices))}")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which faces to learn from."""

    data_dir: Path | None = None
    """Folder (or FER2013 file) that holds the labelled faces; its layout is detected. None draws faces instead."""
    image_size: int = 64
    """Side, in pixels, of the square images that the network sees; at least 32."""
    num_classes: Literal[7, 8] = 7
    """7 for AffectNet's expressions without contempt, 8 with it. Images of other classes are left out and counted."""
    label_order: LabelOrder | None = None
    """What digits in folder names mean. Needed for digit folders only, which carry no order of their own."""
    margin: float = 0.0
    """What is kept around a face where the data says by a box where it is, as a share of the box's side."""
    val_fraction: float = 0.1
    """Share of each class of the training images that is held out where the data has no validation split."""
    max_unreadable: float = 0.01
    """Share of images that may be unreadable before training refuses to start; what is unreadable is listed."""
    sampling: Literal["uniform", "balanced", "sqrt"] = "uniform"
    """What an epoch trains on: each image once, or as many images of each class, or in proportion to square roots."""
    soft_labels: bool = False
    """Learn each face's distribution of votes where the data has them, as FER+ does, in place of its one label."""
    stream: bool = False
    """Decode images whenever a batch asks for them, for data that fits neither in memory nor on the disk decoded."""
    drawn_train: int = 6000
    """Drawn faces to train on, where `data_dir` is None."""
    drawn_val: int = 1400
    """Drawn faces to validate on, where `data_dir` is None."""

    def __post_init__(self) -> None:
        _check_choices(self)
        _check(isinstance(self.data_dir, Path | None), "data_dir", self.data_dir, "a pathlib.Path")
        _check(self.image_size >= 32, "image_size", self.image_size, "at least 32 pixels")
        _check(0 <= self.margin < 10, "margin", self.margin, "a share of at least 0, such as 0.1")
        _check(0 < self.val_fraction < 1, "val_fraction", self.val_fraction, "a share between 0 and 1, such as 0.1")
        _check(0 <= self.max_unreadable <= 1, "max_unreadable", self.max_unreadable, "a share from 0 to 1")
        drawn_soft = self.soft_labels and self.data_dir is None
        _check(not drawn_soft, "soft_labels", True, "False, since drawn faces have one label each, or a data_dir")
        _check(self.drawn_train >= 1, "drawn_train", self.drawn_train, "at least 1")
        _check(self.drawn_val >= 1, "drawn_val", self.drawn_val, "at least 1")


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """How `jaxfer.data.prepare` cuts out faces, and which it keeps."""

    num_classes: Literal[7, 8] = 7
    """7 for AffectNet's expressions without contempt, 8 with it."""
    image_size: int = 64
    """Side of the prepared images, in pixels."""
    margin: float = 0.0
    """What is kept around a face where the data says by a box where it is, as a share of the box's side."""
    label_order: LabelOrder | None = None
    """What digits in folder names mean; needed for digit folders only."""
    leaks: Literal["drop", "keep"] = "drop"
    """Training images that are exact copies of a validation or test image."""
    duplicates: Literal["drop", "keep"] = "keep"
    """Later copies of an image within its own split."""

    def __post_init__(self) -> None:
        # What loading refuses is refused here already, in the same words.
        shared: Any = {name: getattr(self, name) for name in ("num_classes", "image_size", "margin", "label_order")}
        DataConfig(**shared)
        _check_choices(self)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which network to train."""

    variant: str = "published"
    """The published network of 158,919 values, a standard ResNet, or one of your own as module:attribute."""
    dropout: float = 0.0
    """Share of the pooled features dropped before the last layer in training."""
    heads: tuple[str, ...] = ()
    """What else to predict of each face, learnt from the faces whose data says it: affect, votes."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the computation; parameters, statistics and logits stay float32."""

    def __post_init__(self) -> None:
        _check_choices(self)
        _check(0 <= self.dropout < 1, "dropout", self.dropout, "a share from 0 to below 1")


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes to the training images, made on the device. All are off by default, as in the seed's recipe."""

    flip: bool = False
    """Mirror half of the images left to right."""
    shift: float = 0.0
    """Largest shift along each axis, as a share of the image's side."""
    rotate: float = 0.0
    """Largest rotation either way, in degrees."""
    scale: float = 0.0
    """Largest change of size: 0.1 draws the factor from 0.9 to 1.1."""
    brightness: float = 0.0
    """Largest change of brightness, as a share of the full range."""
    contrast: float = 0.0
    """Largest change of contrast: 0.2 draws the factor from 0.8 to 1.2."""
    crop: int = 0
    """Pixels by which a random crop of the old size may move over the image and its mirrored borders."""
    mixup: float = 0.0
    """Alpha of the Beta distribution by which images and labels of a batch are mixed in pairs; 0 mixes none."""
    cutmix: float = 0.0
    """The same for rectangles that one image takes over from another."""
    erase: float = 0.0
    """Probability that a random rectangle, 2% to 20% of the image, is replaced by noise."""

    def __post_init__(self) -> None:
        for name, below in (("shift", 1), ("scale", 1), ("brightness", 1), ("contrast", 1)):
            _check(0 <= getattr(self, name) < below, name, getattr(self, name), f"a share from 0 to below {below}")
        _check(0 <= self.rotate <= 180, "rotate", self.rotate, "degrees from 0 to 180")
        _check(0 <= self.erase <= 1, "erase", self.erase, "a probability from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What training minimises: cross entropy and what is added to it."""

    label_smoothing: float = 0.0
    """Share of each target spread evenly over all classes."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced` weighs each class by the inverse of its share of the training images."""
    l2: float = 0.01
    """Factor of the sum of squares of the stem's and the last layer's kernels: the seed's L2 term."""
    head_weight: float = 1.0
    """Factor of the losses of all heads besides the expression."""

    def __post_init__(self) -> None:
        _check_choices(self)
        _check(0 <= self.label_smoothing < 1, "label_smoothing", self.label_smoothing, "a share from 0 to below 1")
        _check(0 <= self.l2 < math.inf, "l2", self.l2, "a number of at least 0")
        _check(0 < self.head_weight < math.inf, "head_weight", self.head_weight, "a number above 0")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How training minimises it."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """Adam with the seed's epsilon, AdamW, or SGD with Nesterov momentum."""
    learning_rate: float = 0.001
    """Learning rate: constant, or the peak of the schedule."""
    schedule: Literal["constant", "cosine", "step"] = "constant"
    """Constant; linear warm-up, then cosine to zero; or divided by ten at each of `step_epochs`."""
    warmup_epochs: float = 0.0
    """Epochs over which the learning rate rises from zero."""
    step_epochs: tuple[int, ...] = (30, 40)
    """Epochs after which the `step` schedule divides the learning rate by ten."""
    weight_decay: float = 0.0
    """Decoupled weight decay of all kernels (AdamW), or the same added to the gradient (SGD); Adam takes none."""
    momentum: float = 0.9
    """Nesterov momentum of SGD; Adam and AdamW use 0.9 and 0.999 always."""
    epsilon: float = 1e-7
    """Epsilon of Adam and AdamW: Keras's default, as in the seed."""
    sam: float = 0.0
    """Radius rho of sharpness-aware minimisation, which takes two gradients a step; 0 takes one."""
    accumulate: int = 1
    """Parts of each batch whose gradients are taken one after another, for batches that do not fit into memory."""
    clip_norm: float | None = None
    """Largest global norm of the gradients; None does not clip."""
    ema: float | None = None
    """Decay of an exponential moving average of the parameters that is evaluated in their place; None keeps none."""

    def __post_init__(self) -> None:
        _check_choices(self)
        _check(0 < self.learning_rate < math.inf, "learning_rate", self.learning_rate, "a number above 0")
        _check(0 <= self.warmup_epochs < math.inf, "warmup_epochs", self.warmup_epochs, "a number of at least 0")
        rising = all(a < b for a, b in zip((0, *self.step_epochs), self.step_epochs, strict=False))
        _check(rising, "step_epochs", self.step_epochs, "epochs above 0 in rising order")
        _check(0 <= self.weight_decay < math.inf, "weight_decay", self.weight_decay, "a number of at least 0")
        if self.optimizer == "adam":
            _check(self.weight_decay == 0, "weight_decay", self.weight_decay, "0 for adam, or choose adamw")
        _check(0 <= self.momentum < 1, "momentum", self.momentum, "a number from 0 to below 1")
        _check(0 < self.epsilon < math.inf, "epsilon", self.epsilon, "a number above 0")
        if self.clip_norm is not None:
            _check(self.clip_norm > 0, "clip_norm", self.clip_norm, "a number above 0, or None")
        if self.ema is not None:
            _check(0 < self.ema < 1, "ema", self.ema, "a decay between 0 and 1, such as 0.999, or None")


@dataclass(frozen=True, kw_only=True)
class Config:
    """One training run, completely. The defaults are the seed's run; see `PRESETS`."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    epochs: int = 50
    """Passes over the training images."""
    batch_size: int = 32
    """Images per step; the last, partial batch of an epoch is trained on too."""
    seed: int = 0
    """Decides initial parameters, order of the images, augmentation and dropout."""

    def __post_init__(self) -> None:
        _check(self.epochs >= 1, "epochs", self.epochs, "at least 1")
        _check(self.batch_size >= 1, "batch_size", self.batch_size, "at least 1")
        _check(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 4294967295")

    @property
    def depends_on_epochs(self) -> bool:
        """Whether the learning rate at a step depends on how many epochs there are.

        Where it does not, a shorter run is the beginning of a longer one.
        """
        return self.optimizer.schedule == "cosine"


PRESETS = {
    "published": Config(),
    "demo": Config(epochs=6, loss=LossConfig(l2=0.001), optimizer=OptimizerConfig(schedule="cosine")),
}
"""`seed` is the published experiment: 50 epochs, batch 32, Adam at 0.001. `demo` learns drawn faces in minutes."""


def to_json(config: Config) -> str:
    """Return the config as JSON text, one field a line."""
    return json.dumps(dataclasses.asdict(config), indent=2, default=str) + "\n"


def from_json(text: str, source: str = "config.json") -> Config:
    """Return the config that `to_json` wrote; `source` names it in errors.

    Raises `UserError` for text that is not JSON, unknown fields and values of the wrong type; a missing field
    takes its default.

    >>> from_json(to_json(PRESETS["demo"])) == PRESETS["demo"]
    True
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{source} is not JSON: {error}") from error
    return _build(Config, values, source)


def _build(kind: Any, value: Any, where: str) -> Any:
    """Return `value`, as JSON has it, as an instance of the type `kind`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        _check(isinstance(value, dict), where, value, "an object")
        hints = typing.get_type_hints(kind)
        unknown = sorted(set(value) - set(hints))
        _check(not unknown, where, unknown, f"only the fields {', '.join(hints)}")
        fields = {name: _build(hints[name], item, f"{where}: {name}") for name, item in value.items()}
        try:
            return typing.cast(Any, kind)(**fields)
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
    if origin in (types.UnionType, typing.Union):
        inner = next(a for a in arguments if a is not type(None))
        return None if value is None else _build(inner, value, where)
    if origin is Literal:
        return value  # the dataclass checks its choices
    if origin is tuple:
        _check(isinstance(value, list), where, value, "a list")
        return tuple(_build(arguments[0], item, where) for item in value)
    if kind is Path:
        _check(isinstance(value, str), where, value, "a path")
        return Path(value)
    if kind is float and type(value) is int:
        return float(value)
    _check(type(value) is kind, where, value, f"a value of type {kind.__name__}")
    return value
