"""What somebody passes to `fit`, held against the contracts before anything is trained.

Nothing is computed here: networks, tasks, transforms and gradients are traced on shapes alone, on a few rows. What
they do not keep ends in one sentence that names the piece, and not in the midst of a run.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxfer.config import Config
from jaxfer.data.batches import columns
from jaxfer.data.dataset import Dataset, Split
from jaxfer.data.transforms import Transform, compose, transforms_of
from jaxfer.errors import UserError
from jaxfer.metrics.scores import Measure
from jaxfer.models import Network, name_of, output_shapes
from jaxfer.tasks import Task
from jaxfer.training.gradients import Found, Gradient, plain
from jaxfer.training.step import checked_gradient, in_one_line, piece_name, sparing_padding

ROWS = 11
"""Rows of the batches that are traced: as many as no head has numbers, so that neither is taken for the other."""


def check_kinds(optimizer: Any = None, tasks: Any = (), transforms: Any = (), gradient: Any = plain) -> None:
    """Refuse what is not of the kind that `fit` takes, such as a class in place of an instance.

    Args:
        optimizer: As for `fit`, or anything else that somebody has passed.
        tasks: Likewise.
        transforms: Likewise.
        gradient: Likewise.

    Raises:
        UserError: One of them is of another kind.
    """
    if optimizer is not None and not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise UserError(
            f"optimizer is {_shown(optimizer)} and no optimizer of Optax: pass one, such as optax.sgd(0.1), or name it "
            "and its schedule in the config"
        )
    for name, given in (("tasks", tasks), ("transforms", transforms)):
        if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
            raise UserError(f"{name} is {_shown(given)} and no list: pass [{_name(given)}]")
    for task in tasks:
        if isinstance(task, type):
            raise UserError(f"the task {piece_name(task)} is a class: pass an instance of it, {task.__name__}()")
        wanted = ("name", "columns", "measures", "known", "loss", "terms", "scores")
        missing = [name for name in wanted if not hasattr(task, name)]
        if missing:
            raise UserError(f"the task {piece_name(task)} has no {missing[0]}: give it one, as jaxfer.Task says")
        if isinstance(task.columns, str):
            raise UserError(f"columns of the task {task.name!r} is a text: pass a tuple, ({task.columns!r},)")
        measures = task.measures.values() if isinstance(task.measures, Mapping) else [None]
        if not all(isinstance(measure, Measure) for measure in measures):
            raise UserError(
                f"measures of the task {task.name!r} is no dict of jaxfer.metrics.Measure by name: pass one"
            )
    for transform in transforms:
        if not callable(transform):
            raise UserError(f"{_shown(transform)} is among the transforms: pass functions of a key and a batch")
    if not callable(gradient):
        raise UserError(f"gradient is {_shown(gradient)} and no function: pass one such as jaxfer.training.sam(0.05)")


def _shown(given: Any) -> str:
    """Return in words what was passed."""
    return repr(given) if isinstance(given, str | int | float) else f"a {type(given).__name__}"


def _name(given: Any) -> str:
    return getattr(given, "__name__", None) or f"{type(given).__name__}()"


def check_network(model: Network, variables: Any, tasks: Sequence[Task], image_size: int, data: Dataset) -> None:
    """Refuse a network whose outputs do not fit the data and the tasks.

    Args:
        model: The network.
        variables: The shapes of its variables.
        tasks: The tasks besides the expression.
        image_size: Height and width of the images in pixels.
        data: The data set.

    Raises:
        UserError: It does not return what it promises, one logit for each class, or the head of a task; or a task does
            not keep its contract, see `check_task`.
    """
    outputs = output_shapes(model, variables, _images(ROWS, image_size))
    classes = len(data.class_names)
    if outputs["logits"].shape[1] != classes:
        raise UserError(
            f"the network {name_of(model)} has {outputs['logits'].shape[1]} logits, and {data.source} has {classes} "
            "classes: give it one for each"
        )
    missing = [task.name for task in tasks if task.name not in outputs]
    if missing:
        raise UserError(
            f"the network {name_of(model)} has no head {missing[0]!r}, which it is to learn: let it return one, or "
            "leave the task out"
        )
    for task in tasks:
        for split in (data.train, data.val):
            if task.known(columns(split)):
                check_task(task, outputs, _batch(split, image_size))


def check_task(task: Task, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> None:
    """Refuse a task whose loss, terms or scores are none of those that `Task` promises.

    Args:
        task: The task.
        outputs: The shapes of a network's outputs, [b, ...].
        batch: The shapes of a batch, [b, ...].

    Raises:
        UserError: The loss is not [b], the terms are not [b, ...], or the scores lack a measure, or the number of
            examples behind one.
    """
    rows = batch["label"].shape[0]
    loss = _called(task, "loss", lambda: jax.eval_shape(task.loss, outputs, batch))
    if getattr(loss, "shape", None) != (rows,):
        raise UserError(f"`loss` of the task {task.name!r} returns {_form(loss)}: return the losses of the b rows, [b]")
    terms = _called(task, "terms", lambda: jax.eval_shape(task.terms, outputs, batch))
    if getattr(terms, "shape", ())[:1] != (rows,):
        raise UserError(
            f"`terms` of the task {task.name!r} returns {_form(terms)}: return the terms of each of the b rows, "
            "[b, ...], which are summed afterwards"
        )
    # Sums of one split, and of several resamples of it, from which intervals are made.
    for further in ((), (2,)):
        sums = np.ones((*further, *terms.shape[1:]))
        with np.errstate(all="ignore"):
            scores = _called(task, "scores", lambda sums=sums: task.scores(sums), f" of sums {list(sums.shape)}")
        if not isinstance(scores, Mapping):
            raise UserError(
                f"`scores` of the task {task.name!r} returns {_form(scores)}: return a dict of them by name"
            )
        wanted = [*task.measures, *(f"{one.of}_examples" for one in task.measures.values() if one.of)]
        missing = [name for name in wanted if name not in scores]
        if missing:
            raise UserError(
                f"`scores` of the task {task.name!r} returns {', '.join(scores) or 'nothing'} and no {missing[0]!r}, "
                "which its measures need: return each of `measures`, and <of>_examples for what they are of"
            )
        other = next((name for name, value in scores.items() if np.shape(value) != further), None)
        if other is not None:
            raise UserError(
                f"`scores` of the task {task.name!r} returns {other} as {list(np.shape(scores[other]))} of sums "
                f"{list(sums.shape)}: return {list(further)}, further axes of the sums come first"
            )


def _called(task: Task, name: str, call: Callable[[], Any], of: str = "") -> Any:
    """Return what a method of a task returns, or raise `UserError` where it fails."""
    try:
        return call()
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"`{name}` of the task {task.name!r} fails{of} ({type(error).__name__}: {in_one_line(error)}): see what it "
            "does with the network's head and its columns"
        ) from error


def _form(value: Any) -> str:
    return str(list(value.shape)) if hasattr(value, "shape") else type(value).__name__


def check_transforms(transforms: Sequence[Transform], config: Config, data: Dataset) -> None:
    """Refuse transforms of one's own that return no batch, or one that a network cannot learn from.

    Args:
        transforms: The transforms.
        config: What to train; with teachers nothing is traced here, since they have not seen the images yet.
        data: The data set.

    Raises:
        UserError: As for `jaxfer.training.step.sparing_padding`.
    """
    if not transforms or config.distill.is_on:
        return
    classes, rows = len(data.class_names), config.batch_size
    own = [sparing_padding(transform, classes) for transform in transforms]
    composed: Any = compose(*transforms_of(config.augment, classes), *own)
    batch = _batch(data.train, config.data.image_size, rows)
    batch |= {"mirrored": jax.ShapeDtypeStruct((rows,), jnp.bool_)} if config.augment.alternate_flip else {}
    jax.eval_shape(composed, jax.random.key(0), batch)


def check_gradient(gradient: Gradient, variables: Any, config: Config, data: Dataset) -> None:
    """Refuse a gradient of one's own that does not return what `Evaluate` promises.

    Args:
        gradient: The gradient.
        variables: The shapes of the network's variables.
        config: What to train.
        data: The data set.

    Raises:
        UserError: As for `jaxfer.training.step.checked_gradient`.
    """
    if gradient is plain:
        return

    def evaluate(params: Any, batch_stats: Any, batch: Any, key: jax.Array) -> Any:
        logits = jnp.zeros((len(batch["label"]), len(data.class_names)))
        return (jnp.zeros(()), Found({"logits": logits}, batch_stats, batch["mask"].sum())), params

    statistics = variables.get("batch_stats", {})
    batch = _batch(data.train, config.data.image_size, config.batch_size)
    jax.eval_shape(checked_gradient(gradient)(evaluate), variables["params"], statistics, batch, jax.random.key(0))


def _images(rows: int, image_size: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((rows, image_size, image_size, 3), jnp.uint8)


def _batch(split: Split, image_size: int, rows: int = ROWS) -> dict[str, Any]:
    """Return the shapes of a batch of a split."""
    known = {name: np.asarray(values[:1]) for name, values in split.columns.items()}
    shapes = {
        name: jax.ShapeDtypeStruct((rows, *one.shape[1:]), jax.dtypes.canonicalize_dtype(one.dtype))
        for name, one in known.items()
    }
    shapes |= {"image": _images(rows, image_size), "label": jax.ShapeDtypeStruct((rows,), jnp.int32)}
    return shapes | {"mask": jax.ShapeDtypeStruct((rows,), jnp.bool_)}
