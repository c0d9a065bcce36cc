"""The configuration of a run: frozen dataclasses, validation, JSON in and out.

One `Config` describes one run completely: the same config and seed give the same numbers. It is stored beside
every checkpoint, and evaluation reads it back from there.
"""

import dataclasses
import json
import re
import typing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from jaxfer.bounds import AT_LEAST_1, NOT_NEGATIVE, PORTION, POSITIVE, RISING, Must, Section, check, kinds, musts
from jaxfer.emotions import AFFECTNET_8, LabelOrder, declared, merged, near
from jaxfer.errors import UserError
from jaxfer.json_text import parse

Sampling = Literal["uniform", "balanced", "sqrt"]
"""What an epoch trains on: each image once, or as many images of each class, or in proportion to square roots."""

Views = Literal["one", "flip", "five", "ten"]
"""What a network is shown of each image in evaluation, by names that `jaxfer.models.views` explains."""

Decoder = Literal["pillow", "simplejpeg"]
"""What decodes the pixels of JPEG files."""

VARIANTS = (
    *("published", "small", "strong", "resnet18", "resnet34", "resnet50"),
    *("ir18", "ir50", "adaface18", "adaface50"),
)
"""Networks that jaxfer has, by name: that of the published experiment, two for small pictures, the standard ResNets,
and those of face recognition."""


def _are_texts(values: object) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, str) for value in values)


PARENT = "parent"
"""What `DataConfig.group_by` is where the folder of an image names its group."""


def grouping_column(group_by: str) -> tuple[Path, str] | None:
    """Return the csv and the column that a `DataConfig.group_by` names; None where it names none.

    >>> grouping_column("S([0-9]+)_") is None, grouping_column("people.csv:subject")[1]
    (True, 'subject')
    """
    match = re.fullmatch(r"(.+\.csv):([^/\\]+)", group_by, re.IGNORECASE | re.DOTALL)
    return (Path(match[1]), match[2]) if match else None


def _is_grouping(group_by: str) -> bool:
    if group_by == PARENT or grouping_column(group_by):
        return True
    try:
        return re.compile(group_by).groups > 0
    except (re.error, OverflowError, RecursionError):
        return False


SIDE = Must(lambda side: 32 <= side <= 4096, "from 32 to 4096 pixels")
WORDS = Must(_are_texts, "a tuple of texts WORD=CLASS, such as ('suprise=surprise',)")
MARGIN = Must(lambda x: 0 <= x < 10, "a share of at least 0, such as 0.1")
PATH = Must(lambda path: isinstance(path, Path), "a pathlib.Path")
PROBABILITY = Must(lambda x: 0 <= x <= 1, "a probability from 0 to 1")


def _are_classes(names: object) -> bool:
    return isinstance(names, tuple) and len(names) != 1 and len(set(names)) == len(names) and all(map(_is_class, names))


def _is_class(name: object) -> bool:
    return isinstance(name, str) and name == name.strip() != "" and not set(name) & set(",=")


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section):
    """Which faces to learn from."""

    data_dir: Annotated[Path | None, PATH] = None
    """Folder (or FER2013 file) that holds the labelled faces; its layout is detected. None draws faces instead."""
    val_dir: Annotated[Path | None, PATH] = None
    """Folder (or file) of the validation split, of any layout, where it does not lie with the rest of the data."""
    test_dir: Annotated[Path | None, PATH] = None
    """Likewise, of the test split."""
    image_size: Annotated[int, SIDE] = 64
    """Side, in pixels, of the square images that the network sees; at least 32."""
    num_classes: Literal[7, 8] = 7
    """7 for AffectNet's expressions without contempt, 8 with it, unless `classes` says which. Others are left out."""
    classes: Annotated[
        tuple[str, ...],
        Must(_are_classes, "names of two classes or more, each once, such as ('neutral', 'happy', 'sad')"),
    ] = ()
    """The classes to tell apart, in the order of the labels, in place of the 7 or 8, as neutral,happy,sad."""
    merge: Annotated[tuple[str, ...], Must(_are_texts, "a tuple of texts OLD=NEW, such as ('contempt=disgust',)")] = ()
    """Expressions that count as another, or several as one, as OLD=NEW: contempt=disgust, or sad=low,fear=low."""
    class_names: Annotated[tuple[str, ...], WORDS] = ()
    """What the data's own words for classes mean, as WORD=CLASS: suprise=surprise, or sleepy=none to leave them out."""
    label_order: LabelOrder | None = None
    """What digits in folder names mean. Needed for digit folders only, which carry no order of their own."""
    table: Annotated[Path | None, PATH] = None
    """Table (csv) with a column of images and one of labels; None looks for one, and for all other layouts."""
    image_column: str | None = None
    """Name of the column of images in the table, or its number from 1; None looks for a usual one, as path or image."""
    label_column: str | None = None
    """Name of the column of labels in the table, or its number from 1; None looks for a usual one, as emotion."""
    follow_links: bool = False
    """Follow symbolic links out of the data's folder, such as into the cache of Hugging Face or git-annex. Whoever goes
    on with a run or evaluates it says so again."""
    margin: Annotated[float, MARGIN] = 0.0
    """What is kept around a face where the data says by a box where it is, as a share of the box's side."""
    val_fraction: Annotated[float, Must(lambda x: 0 < x < 1, "a share between 0 and 1, such as 0.1")] = 0.1
    """Share of each class of the training images that is held out where the data has no validation split; what belongs
    together stays together."""
    group_by: Annotated[
        str | None,
        Must(_is_grouping, "parent, FILE.csv:COLUMN, or a pattern with one part in parentheses, such as '(S[0-9]+)_'"),
    ] = None
    """Which images show the same person or sequence, and are held out together: `parent` (those of a folder of one
    name), FILE.csv:COLUMN, or a pattern of their paths, whose part in parentheses names the group. By default, what
    names as those of CK+, KDEF and JAFFE say."""
    max_unreadable: Annotated[float, Must(lambda x: 0 <= x <= 1, "a share from 0 to 1")] = 0.01
    """Share of images that may be unreadable before training refuses to start; what is unreadable is listed."""
    sampling: Sampling = "uniform"
    """What an epoch trains on: each image once, or as many images of each class, or in proportion to square roots."""
    soft_labels: bool = False
    """Learn each face's distribution of votes where the data has them, as FER+ does, in place of its one label."""
    stream: bool = False
    """Decode images whenever a batch asks for them, for data that fits neither in memory nor on the disk decoded."""
    decoder: Decoder = "pillow"
    """What decodes JPEG files: pillow, or simplejpeg, which takes less time and comes with `jaxfer[jpeg]`.
    Other versions of either may round a pixel otherwise: data is decoded by what was chosen, whatever is installed."""
    drawn_train: Annotated[int, AT_LEAST_1] = 6000
    """Drawn faces to train on, where `data_dir` is None."""
    drawn_val: Annotated[int, AT_LEAST_1] = 1400
    """Drawn faces to validate on, where `data_dir` is None."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_columns(self)
        drawn_soft = self.soft_labels and self.data_dir is None
        check(not drawn_soft, "soft_labels", True, "False, since drawn faces have one label each, or a data_dir")
        for name in ("val_dir", "test_dir"):
            drawn = getattr(self, name) is not None and self.data_dir is None
            check(not drawn, name, getattr(self, name), "None, since drawn faces have their own splits, or a data_dir")
        drawn_groups = self.group_by is not None and self.data_dir is None
        check(not drawn_groups, "group_by", self.group_by, "None, since drawn faces have no groups, or a data_dir")
        both = bool(self.classes) and self.num_classes != DataConfig.num_classes
        check(not both, "num_classes", self.num_classes, "it, or classes, which say themselves how many there are")
        declared(self.class_names)
        check(len(self.vocabulary) > 1, "merge", self.merge, "one that leaves two classes or more to tell apart")

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The classes to tell apart, in the order of the labels: one for each logit of a network.

        >>> DataConfig(merge=("contempt=disgust",)).vocabulary
        ('neutral', 'happy', 'sad', 'surprise', 'fear', 'disgust', 'anger')
        """
        counted = merged(self.merge)
        # What somebody merges is asked for, though it be contempt with seven classes.
        wanted = [name for name in AFFECTNET_8 if name in AFFECTNET_8[: self.num_classes] or counted[name] != name]
        return self.classes or tuple(dict.fromkeys(counted[name] for name in wanted))

    @property
    def has_own_classes(self) -> bool:
        """Whether somebody has said which classes to tell apart."""
        return bool(self.classes or self.merge)

    def counted_as(self) -> dict[str, str]:
        """Return the class that each expression counts as; images of an expression that is not in it are left out.

        Raises:
            UserError: A class of `classes` is none that an expression counts as, and so one of other data than faces
                with expressions.

        >>> DataConfig(classes=("low", "happy"), merge=("sad=low", "fear=low")).counted_as()
        {'happy': 'happy', 'sad': 'low', 'fear': 'low'}
        """
        counted, vocabulary = merged(self.merge), self.vocabulary
        for name in vocabulary:
            if name not in counted.values():
                there, close = dict.fromkeys(counted.values()), near(name)
                hint = f"; did you mean {close!r}?" if close in there else ""
                why = f": it counts as {counted[name]} (--merge)" if name in counted else ""
                raise UserError(f"classes has {name!r}, which no image has{why}: pass some of {', '.join(there)}{hint}")
        return {expression: name for expression, name in counted.items() if name in vocabulary}

    def of_classes(self, classes: tuple[str, ...]) -> Self:
        """Return the config with these classes, in this order."""
        return replace(self, classes=classes, num_classes=DataConfig.num_classes)


@dataclass(frozen=True, kw_only=True)
class PrepareConfig(Section):
    """How `jaxfer.data.prepare` cuts out faces, and which it keeps."""

    val_dir: Annotated[Path | None, PATH] = None
    """Folder (or file) of the validation split, of any layout, where it does not lie with the rest of the data."""
    test_dir: Annotated[Path | None, PATH] = None
    """Likewise, of the test split."""
    num_classes: Literal[7, 8] = 7
    """7 for AffectNet's expressions without contempt, 8 with it."""
    image_size: Annotated[int, SIDE] = 64
    """Side of the prepared images, in pixels."""
    margin: Annotated[float, MARGIN] = 0.0
    """What is kept around a face where the data says by a box where it is, as a share of the box's side."""
    class_names: Annotated[tuple[str, ...], WORDS] = ()
    """What the data's own words for classes mean, as WORD=CLASS: suprise=surprise, or sleepy=none to leave them out."""
    label_order: LabelOrder | None = None
    """What digits in folder names mean; needed for digit folders only."""
    table: Annotated[Path | None, PATH] = None
    """Table (csv) with a column of images and one of labels; None looks for one, and for all other layouts."""
    image_column: str | None = None
    """Name of the column of images in the table, or its number from 1; None looks for a usual one, as path or image."""
    label_column: str | None = None
    """Name of the column of labels in the table, or its number from 1; None looks for a usual one, as emotion."""
    follow_links: bool = False
    """Follow symbolic links out of the data's folder, such as into the cache of Hugging Face or git-annex."""
    leaks: Literal["drop", "near", "keep"] = "drop"
    """Training images that are exact copies of a validation or test image; `near` drops those that look like one too,
    which show the same photograph most of the time."""
    duplicates: Literal["drop", "keep"] = "keep"
    """Later copies of an image within its own split."""
    decoder: Decoder = "pillow"
    """What decodes JPEG files: pillow, or simplejpeg, which takes less time and comes with `jaxfer[jpeg]`.
    Other versions of either may round a pixel otherwise: data is decoded by what was chosen, whatever is installed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        declared(self.class_names)
        check_columns(self)


def check_columns(config: Any) -> None:
    """Refuse the columns of a table that is not named.

    Args:
        config: What has the fields `table`, `image_column` and `label_column`.

    Raises:
        UserError: A column is named, and no table.
    """
    for name in ("image_column", "label_column"):
        value = getattr(config, name)
        check(value is None or config.table is not None, name, value, "the table (--table) that has this column, too")


def _is_variant(name: str) -> bool:
    # A class within a function has a name such as `make.<locals>.Network`, by which nobody can import it.
    return name in VARIANTS or re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.<>]*", name) is not None


def _are_heads(names: object) -> bool:
    return isinstance(names, tuple) and len(set(names)) == len(names) and all(map(str.isidentifier, names))


def _are_pixels(least: float) -> Must:
    def hold(values: object) -> bool:
        return isinstance(values, tuple) and len(values) in (0, 3) and all(least <= value <= 1 for value in values)

    return Must(hold, f"three numbers from {least:g} to 1, for red, green and blue")


_BUILT_IN: dict[str, Any] = {
    "gray": False,
    "standardize": False,
    "squeeze": None,
    "pixel_mean": (),
    "pixel_std": (),
    "padding": "same",
}
"""What `ModelConfig` says of jaxfer's own networks alone, and how it is where the network is not one of these."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Section):
    """Which network to train."""

    variant: Annotated[
        str,
        Must(_is_variant, f"one of {', '.join(VARIANTS)}, or module:attribute of your own network"),
    ] = "published"
    """published (158,919 values), small (1.6 million), strong (11 million), resnet18, 34 or 50, ir18 or 50, adaface18
    or 50, or module:attribute."""
    pretrained: Annotated[Path | None, PATH] = None
    """Weights to start from: a file of PyTorch's or safetensors, a saved model, a run, or small, which comes with
    jaxfer. The last layers are new, unless those are jaxfer's own for the same classes."""
    gray: bool = False
    """See one channel: 0.299 R + 0.587 G + 0.114 B of images in colour."""
    standardize: bool = False
    """Bring each image to mean 0 and deviation 1 before the first layer, so that its light does not matter."""
    squeeze: Annotated[int | None, Must(lambda ratio: ratio >= 1, "a whole number of at least 1, or None")] = None
    """Reduction ratio of squeeze-and-excitation in each block (Hu et al. 2018), such as 8 or 16; None has none."""
    pixel_mean: Annotated[tuple[float, ...], _are_pixels(0)] = ()
    """Mean of red, green and blue (from 0 to 1) that pre-trained weights expect to be subtracted: 0.485 0.456 0.406."""
    pixel_std: Annotated[tuple[float, ...], _are_pixels(1e-3)] = ()
    """Deviation of each that they expect to be divided by: 0.229 0.224 0.225."""
    padding: Literal["same", "symmetric"] = "same"
    """How strided layers are padded: same, or symmetric as PyTorch does it, which its weights need."""
    dropout: Annotated[float, PORTION] = 0.0
    """Share of the pooled features dropped before the last layer in training."""
    heads: Annotated[
        tuple[str, ...],
        Must(
            _are_heads,
            "names of what to predict besides the expression, each once, such as ('affect',)",
        ),
    ] = ()
    """What else to predict, learnt from the faces whose data says it: affect (valence and arousal), votes (FER+)."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format of the computation; parameters, statistics and logits stay float32."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if ":" in self.variant:
            for name, default in _BUILT_IN.items():
                wanted = f"{default} with a network of your own ({self.variant}), which decides that itself"
                check(getattr(self, name) == default, name, getattr(self, name), wanted)
        both = "both pixel_mean and pixel_std, or neither"
        check(bool(self.pixel_mean) == bool(self.pixel_std), "pixel_std", self.pixel_std, both)
        alone = not self.pixel_mean or not (self.gray or self.standardize)
        check(alone, "pixel_mean", self.pixel_mean, "() with gray or standardize, which have no place for it")
        squeezed = self.squeeze is None or not self.variant.startswith(("ir", "adaface"))
        check(squeezed, "squeeze", self.squeeze, f"None with {self.variant}, whose blocks have no place for it")

    def naming(self, variant: str) -> Self:
        """Return the config with `module:attribute` as its network, and without what jaxfer's networks alone have."""
        return dataclasses.replace(self, variant=variant, **_BUILT_IN)


_MIXED = Must(lambda alpha: 0 <= alpha <= 1000, "a number from 0 to 1000")


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(Section):
    """Random changes to the training images, made on the device. All are off by default, as in the published recipe."""

    flip: bool = False
    """Mirror half of the images left to right."""
    alternate_flip: bool = False
    """Mirror each image in every other epoch, in place of half of them by chance, with `flip` or without."""
    crop: Annotated[int, Must(lambda pixels: pixels >= 0, "a number of pixels, at least 0")] = 0
    """Pixels of reflected border added on each side, from which a square of the old size is cut out at random."""
    shift: Annotated[float, PORTION] = 0.0
    """Largest shift along each axis, as a share of the image's side."""
    rotate: Annotated[float, Must(lambda x: 0 <= x <= 180, "degrees from 0 to 180")] = 0.0
    """Largest rotation either way, in degrees."""
    scale: Annotated[float, PORTION] = 0.0
    """Largest change of size: 0.1 draws the factor from 0.9 to 1.1."""
    resized_crop: Annotated[float, PORTION] = 0.0
    """Largest share of the area that is cut off before the rest is enlarged again: 0.2 keeps from 0.8 to all of it."""
    trivial: Annotated[float, Must(lambda x: 0 <= x <= 3, "a strength from 0 to 3")] = 0.0
    """One of none, shear, shift and rotation an image, at 1 up to 0.3, 30% and 30 degrees (TrivialAugment, 2021)."""
    geometric_probability: Annotated[float, PROBABILITY] = 1.0
    """Probability that `shift`, `rotate`, `scale`, `resized_crop` and `trivial` change an image; others stay as is."""
    brightness: Annotated[float, PORTION] = 0.0
    """Largest change of brightness, as a share of the full range."""
    contrast: Annotated[float, PORTION] = 0.0
    """Largest change of contrast: 0.2 draws the factor from 0.8 to 1.2."""
    saturation: Annotated[float, PORTION] = 0.0
    """Largest change of saturation: 0.2 draws the factor from 0.8 to 1.2. It changes nothing that is gray."""
    hue: Annotated[float, Must(lambda x: 0 <= x <= 180, "degrees from 0 to 180")] = 0.0
    """Largest turn of the hue either way, in degrees. It changes nothing that is gray."""
    photometric_probability: Annotated[float, PROBABILITY] = 1.0
    """Probability that `brightness`, `contrast`, `saturation` and `hue` change an image; others stay as is."""
    erase: Annotated[float, PROBABILITY] = 0.0
    """Probability that a random rectangle of the image, 2% of it or more, is filled with something else."""
    erase_area: Annotated[float, Must(lambda x: 0.02 <= x <= 1, "a share from 0.02 to 1")] = 0.2
    """Largest share of the image that the rectangle covers."""
    erase_fill: Literal["noise", "mean"] = "noise"
    """What the rectangle is filled with: uniform noise, or the image's own mean colour."""
    mixup: Annotated[float, _MIXED] = 0.0
    """Mix two images and their labels in shares of Beta(mixup, mixup) (Zhang et al. 2018); 0 mixes none."""
    cutmix: Annotated[float, _MIXED] = 0.0
    """Paste a rectangle of another image, its area a share of Beta(cutmix, cutmix) (Yun et al. 2019); 0 pastes none."""


@dataclass(frozen=True, kw_only=True)
class LossConfig(Section):
    """What training minimises: cross entropy and what is added to it."""

    label_smoothing: Annotated[float, PORTION] = 0.0
    """Share of each target spread evenly over all classes."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced` weighs each class by the inverse of its share of the training images."""
    l2: Annotated[float, NOT_NEGATIVE] = 0.01
    """Factor of the sum of squares of the stem's and the last layer's kernels: the published recipe's L2 term."""
    head_weight: Annotated[float, POSITIVE] = 1.0
    """Factor of the losses of the network's further heads, such as the squared errors of valence and arousal."""
    logit_adjustment: Annotated[float, NOT_NEGATIVE] = 0.0
    """Factor tau of the logarithm of each class's share of what an epoch shows, added to its logit in training."""


def _are_folders(paths: object) -> bool:
    return isinstance(paths, tuple) and len(set(paths)) == len(paths) and all(isinstance(p, Path) for p in paths)


@dataclass(frozen=True, kw_only=True)
class DistillConfig(Section):
    """Whom to learn from besides the labels: distillation (Hinton et al. 2015). Born-again: from a run of the same."""

    teachers: Annotated[
        tuple[Path, ...], Must(_are_folders, "folders of finished runs as pathlib.Path, each once, such as ('runs/a',)")
    ] = ()
    """Folders of finished runs whose probabilities to learn as well, of several their geometric mean; () has none."""
    teacher_weight: Annotated[float, Must(lambda x: 0 <= x <= 1, "a share from 0 to 1")] = 0.7
    """Share of the loss that is the divergence from the teachers; the labels have the rest. 0 does without teachers."""
    teacher_temperature: Annotated[float, POSITIVE] = 4.0
    """What the logits of teachers and network are divided by before they are compared: above 1 softens both."""
    teacher_places: Annotated[int, AT_LEAST_1] = 3
    """Places along each axis, spread over `crop`, at which teachers see an image once for all, and training draws."""

    @property
    def is_on(self) -> bool:
        """Whether there is anything to learn from teachers."""
        return bool(self.teachers and self.teacher_weight)


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Section):
    """How training minimises it."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """Adam with the published recipe's epsilon, AdamW, or SGD with Nesterov momentum."""
    learning_rate: Annotated[float, POSITIVE] = 0.001
    """Learning rate: constant, or the peak of the schedule."""
    schedule: Literal["constant", "cosine", "step"] = "constant"
    """Constant; linear warm-up, then cosine to zero; or divided by ten at each of `step_epochs`."""
    warmup_epochs: Annotated[float, NOT_NEGATIVE] = 0.0
    """Epochs over which the learning rate rises from zero."""
    step_epochs: Annotated[tuple[int, ...], RISING] = (30, 40)
    """Epochs after which the `step` schedule divides the learning rate by ten."""
    weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0
    """Decoupled weight decay of all kernels (AdamW), or the same added to the gradient (SGD); Adam takes none."""
    momentum: Annotated[float, Must(lambda x: 0 <= x < 1, "a number from 0 to below 1")] = 0.9
    """Nesterov momentum of SGD; Adam and AdamW use 0.9 and 0.999 always."""
    epsilon: Annotated[float, POSITIVE] = 1e-7
    """Epsilon of Adam and AdamW: Keras's default, as in the published recipe."""
    clip_norm: Annotated[float | None, Must(lambda x: x > 0, "a number above 0, or None")] = None
    """Largest global norm of the gradients; None does not clip."""
    ema: Annotated[float | None, Must(lambda x: 0 < x < 1, "a decay between 0 and 1, such as 0.999, or None")] = None
    """Decay of an exponential moving average of the parameters that is evaluated in their place; None keeps none."""
    ema_warmup: bool = False
    """Let that decay rise with the steps t, to at most (1 + t) / (10 + t), so that the start is soon forgotten."""
    statistics_images: Annotated[int, Must(lambda n: n >= 0, "a number of images, at least 0")] = 0
    """Training images to measure batch normalisation's statistics on before each validation; 0: running averages."""
    sam: Annotated[float, NOT_NEGATIVE] = 0.0
    """Radius rho of sharpness-aware minimisation (Foret et al. 2021), such as 0.05; 0 takes the plain gradient."""
    freeze: Annotated[tuple[str, ...], Must(_are_texts, "how names of parts begin, such as ('stem', 'stage1')")] = ()
    """Parts of the network that keep the weights and statistics they start from, by how their names begin."""
    unfreeze_epochs: Annotated[tuple[int, ...], RISING] = ()
    """Epochs after which parts of `freeze` are trained after all, one after each, beginning with the last."""
    backbone_rate: Annotated[float | None, Must(lambda x: 0 < x <= 1, "a share above 0, to 1, or None")] = None
    """Factor of the learning rate of all but the last layers, such as 0.1; None has one rate for all."""
    layer_decay: Annotated[float | None, Must(lambda x: 0 < x <= 1, "a share above 0, to 1, or None")] = None
    """Factor of the learning rate from each block to the one before it, such as 0.8; None has none."""
    accumulate: Annotated[int, AT_LEAST_1] = 1
    """Parts that a batch is cut into, one after another on the device; the step takes the mean of their gradients."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.optimizer == "adam":
            check(self.weight_decay == 0, "weight_decay", self.weight_decay, "0 for adam, or choose adamw")
        times = len(self.unfreeze_epochs) <= len(self.freeze)
        check(times, "unfreeze_epochs", self.unfreeze_epochs, "at most as many as freeze has parts")
        measured = not (self.freeze and self.statistics_images)
        check(
            measured, "statistics_images", self.statistics_images, "0 with freeze, which keeps statistics as they are"
        )


@dataclass(frozen=True, kw_only=True)
class Config(Section):
    """One training run, completely. The defaults are the published run; see `PRESETS`."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    epochs: Annotated[int, AT_LEAST_1] = 50
    """Passes over the training images."""
    batch_size: Annotated[int, AT_LEAST_1] = 32
    """Images per step; the last, partial batch of an epoch is trained on too."""
    seed: Annotated[int, Must(lambda x: 0 <= x < 2**32, "a whole number from 0 to 4294967295")] = 0
    """Decides initial parameters, order of the images, augmentation and dropout."""

    def __post_init__(self) -> None:
        super().__post_init__()
        crop, side = self.augment.crop, self.data.image_size
        check(crop < side, "crop", crop, f"fewer pixels than the images have, {side}")
        parts = self.optimizer.accumulate
        check(self.batch_size % parts == 0, "accumulate", parts, f"a number that divides batch_size {self.batch_size}")
        adjustment, sampling = self.loss.logit_adjustment, self.data.sampling
        evened = bool(adjustment) and sampling == "balanced"
        check(not evened, "logit_adjustment", adjustment, "0 with balanced sampling, which evens out classes already")

    @property
    def depends_on_epochs(self) -> bool:
        """Whether the learning rate at a step depends on how many epochs there are.

        Where it does not, a shorter run is the beginning of a longer one.
        """
        return self.optimizer.schedule == "cosine"


_RECIPE = Config(
    data=DataConfig(image_size=48),
    model=ModelConfig(variant="small", gray=True, standardize=True, dropout=0.2),
    augment=AugmentConfig(
        alternate_flip=True,
        crop=4,
        rotate=10.0,
        scale=0.15,
        geometric_probability=0.5,
        brightness=0.3,
        contrast=0.3,
        photometric_probability=0.5,
        erase=0.5,
        erase_fill="mean",
    ),
    loss=LossConfig(label_smoothing=0.1, l2=0.0, head_weight=0.5),
    optimizer=OptimizerConfig(
        optimizer="sgd",
        learning_rate=0.1,
        schedule="cosine",
        warmup_epochs=2.0,
        weight_decay=5e-4,
        ema=0.997,
        ema_warmup=True,
        statistics_images=4096,
    ),
    batch_size=128,
)

PRESETS = {
    "published": Config(),
    "demo": Config(epochs=6, loss=LossConfig(l2=0.001), optimizer=OptimizerConfig(schedule="cosine")),
    "fast": replace(_RECIPE, epochs=20),
    "small": replace(_RECIPE, epochs=100),
    "strong": replace(_RECIPE, epochs=100, model=replace(_RECIPE.model, variant="strong")),
    "finetune": Config(
        data=DataConfig(image_size=112, sampling="balanced"),
        model=ModelConfig(
            variant="resnet18",
            padding="symmetric",
            pixel_mean=(0.485, 0.456, 0.406),
            pixel_std=(0.229, 0.224, 0.225),
            dropout=0.2,
        ),
        augment=AugmentConfig(flip=True, resized_crop=0.2, erase=0.25),
        loss=LossConfig(label_smoothing=0.1, l2=0.0),
        optimizer=OptimizerConfig(
            optimizer="adamw",
            learning_rate=1e-3,
            backbone_rate=0.1,
            weight_decay=0.05,
            schedule="cosine",
            warmup_epochs=1.0,
        ),
        epochs=15,
        batch_size=128,
    ),
}
"""Where configs start from.

`published` is that experiment: 50 epochs, batch 32, Adam at 0.001. `demo` learns drawn faces in minutes. `small` is a
recipe for gray pictures of 40 to 64 pixels and a network small enough to ship, `fast` a fifth of it, for a CPU, and
`strong` the same for a network of 11 million values, for an accelerator. `finetune` starts from ImageNet's ResNet-18
(`pretrained` says where that lies), and shows as many images of each class.
"""


def to_json(config: Config) -> str:
    """Return the config as JSON text, one field a line."""
    return json.dumps(dataclasses.asdict(config), indent=2, default=str) + "\n"


def without_places(config: Config) -> dict[str, Any]:
    """Return the fields of a config as JSON has them, without those that name files, which say nothing to others.

    These are the fields whose type has a `Path`, and a `group_by` that names a csv; they are as where nobody says them.

    >>> places = DataConfig(data_dir=Path("faces"), group_by="people.csv:subject")
    >>> without_places(Config(data=places)) == json.loads(to_json(Config()))
    True
    """
    fields = json.loads(to_json(config))
    for group, section in vars(config).items():
        if dataclasses.is_dataclass(section):
            hints = typing.get_type_hints(type(section))
            places = {one.name: one.default for one in dataclasses.fields(section) if Path in kinds(hints[one.name])}
            fields[group] |= json.loads(json.dumps(places))
    if config.data.group_by is not None and grouping_column(config.data.group_by):
        fields["data"]["group_by"] = None
    return fields


def from_json(text: str, source: str = "config.json") -> Config:
    """Return the config that `to_json` wrote, whatever release of jaxfer did.

    Args:
        text: JSON; a missing field takes its default.
        source: What errors call it, such as its file.

    Raises:
        UserError: The text is not JSON, a field is unknown, or a value is of the wrong type or out of range.

    >>> from_json(to_json(PRESETS["demo"])) == PRESETS["demo"]
    True
    """
    return from_fields(with_new_names(parse(text, source)), source)


def from_fields(values: Any, source: str) -> Config:
    """Return the config with these fields.

    Args:
        values: An object as JSON has it, in today's names; a missing field takes its default.
        source: What errors call it, such as its file.

    Raises:
        UserError: A field is unknown, or a value is of the wrong type or out of range.
    """
    import msgspec  # here, since networks are built on machines that have JAX, Flax and NumPy alone

    _check_names(Config, values, source)
    try:
        return msgspec.convert(values, Config, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise UserError(_sentence(error, values, source)) from error
    except UnicodeEncodeError as error:
        raise UserError(f"{source} has a character that is none ({error.reason}): write it anew") from error


def with_new_names(values: Any) -> Any:
    """Return the fields of a config, as JSON has them, in today's names and words: those of older runs had others."""
    if not isinstance(values, dict):
        return values
    model, loss = values.get("model"), values.get("loss")
    if isinstance(model, dict):
        model = model | ({"variant": "published"} if model.get("variant") == "seed" else {})
        if isinstance(model.get("valence_arousal"), bool):
            model |= {"heads": ["affect"] if model.pop("valence_arousal") else []}
        values = values | {"model": model}
    if isinstance(loss, dict) and "affect_weight" in loss:
        loss = {"head_weight" if name == "affect_weight" else name: value for name, value in loss.items()}
        values = values | {"loss": loss}
    return values


def _check_names(kind: Any, values: Any, where: str) -> None:
    """Raise `UserError` for fields that there are not, which msgspec passes over in dataclasses."""
    if dataclasses.is_dataclass(kind) and isinstance(values, dict):
        hints = typing.get_type_hints(kind)
        unknown = sorted(set(values) - set(hints))
        check(not unknown, where, unknown, f"only the fields {', '.join(hints)}")
        for name, value in values.items():
            _check_names(hints[name], value, f"{where}: {name}")


def _path(kind: type, value: object) -> object:
    if not isinstance(value, str):
        raise TypeError("a path")
    return kind(value)


def _sentence(error: Exception, values: Any, source: str) -> str:
    """Return what msgspec refuses in the words of the checks: where, the value, and what to pass."""
    reason, _, place = str(error).partition(" - at `$")
    steps = re.findall(r"\.(\w+)|\[(\d+)\]", place)
    names = [name for name, _ in steps if name]
    where = ": ".join([source, *names])
    if isinstance(error.__cause__, UserError):  # of a section's own checks
        return f"{where}: {error.__cause__}"
    for name, index in steps:
        values = values[name] if name else values[int(index)]
    section = typing.get_type_hints(Config)[names[0]] if len(names) > 1 else Config
    must, kind = musts(section).get(names[-1]) if names else None, re.match(r"Expected `(\w+)", reason)
    if must is not None and must.words.startswith("one of "):
        wanted = must.words
    elif kind is None:
        wanted = reason
    else:
        wanted = {"object": "an object", "array": "a list"}.get(kind[1], f"a value of type {kind[1]}")
    return f"{where} is {values!r}: pass {wanted}"
