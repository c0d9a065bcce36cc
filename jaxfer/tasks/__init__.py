"""What a network learns and is scored by, one file a head: its loss, the sums of its measures, and its scores.

A new head is a file beside these with a `Task`, and its name in `TASKS`; a task of one's own is passed to `fit` and
needs neither. Metrics, intervals, rows of the log, pages and the command line go over tasks and name none.
"""

import dataclasses

from jaxfer.config import Config, ModelConfig
from jaxfer.errors import UserError
from jaxfer.metrics import scores
from jaxfer.metrics.scores import Measure
from jaxfer.models import Network, make_model, name_of
from jaxfer.tasks.affect import Affect
from jaxfer.tasks.expression import Expression, balanced_class_weights
from jaxfer.tasks.task import Arrays, Task, sums_of
from jaxfer.tasks.votes import Votes

__all__ = [
    "MEASURES",
    "TASKS",
    "Affect",
    "Arrays",
    "Expression",
    "Task",
    "Votes",
    "balanced_class_weights",
    "make_network",
    "naming",
    "sums_of",
    "tasks_of",
]

TASKS: dict[str, Task] = {task.name: task for task in (Affect(), Votes())}
"""Every task that `ModelConfig.heads` can name, besides the expression, which every network learns."""

MEASURES: dict[str, Measure] = scores.MEASURES | {
    name: measure for task in TASKS.values() for name, measure in task.measures.items()
}
"""Every measure, in the order in which pages list them, by its name in the JSON files."""


def tasks_of(config: ModelConfig) -> tuple[Task, ...]:
    """Return the tasks besides the expression that a config names, in its order.

    Raises:
        UserError: A name that is none of `TASKS`.
    """
    unknown = [name for name in config.heads if name not in TASKS]
    if unknown:
        raise UserError(f"heads names {unknown[0]!r}: pass some of {', '.join(TASKS)}")
    return tuple(TASKS[name] for name in config.heads)


def make_network(config: ModelConfig, num_classes: int) -> Network:
    """Return the network that a config names, with a head for each of its tasks, for `num_classes` expressions.

    Raises:
        UserError: A network that only its own module knows, which has to be passed as an object.
    """
    return make_model(config, num_classes, heads=tuple(task.head for task in tasks_of(config)))


def naming(model: Network, config: Config, num_classes: int) -> Config:
    """Return a config with the name of the network's class, where the network is not the one that the config names."""
    try:
        named = make_network(config.model, num_classes)
    except UserError:
        named = None
    if model == named:
        return config
    variant = config.model.variant if ":" in config.model.variant else name_of(model)
    return dataclasses.replace(config, model=dataclasses.replace(config.model, variant=variant))
