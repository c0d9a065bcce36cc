"""The tasks of a network, one file for each head: its loss, the sums of its measures, and its scores.

A new head needs a file here with a `Task`, and its name in `TASKS`. A task of one's own needs neither: it is passed to
`fit`. Metrics, intervals, log rows, pages and the command line iterate over tasks and name none.
"""

import dataclasses

from jaxfer.config import Config, ModelConfig
from jaxfer.errors import UserError
from jaxfer.metrics import scores
from jaxfer.metrics.scores import Measure
from jaxfer.models import Network, make_model, name_of
from jaxfer.tasks.affect import Affect
from jaxfer.tasks.distillation import Distillation
from jaxfer.tasks.expression import Expression, balanced_class_weights, class_log_shares
from jaxfer.tasks.task import Arrays, Task, sums_of
from jaxfer.tasks.votes import Votes

__all__ = [
    "MEASURES",
    "TASKS",
    "Affect",
    "Arrays",
    "Distillation",
    "Expression",
    "Task",
    "Votes",
    "balanced_class_weights",
    "class_log_shares",
    "make_network",
    "naming",
    "sums_of",
    "tasks_of",
]

TASKS: dict[str, Task] = {task.name: task for task in (Affect(), Votes())}
"""Every task that `ModelConfig.heads` can name. The expression is not one of them: every network learns it."""

MEASURES: dict[str, Measure] = scores.MEASURES | {
    name: measure for task in TASKS.values() for name, measure in task.measures.items()
}
"""Every measure, in the order in which pages list them, by its name in the JSON files."""


def tasks_of(config: ModelConfig) -> tuple[Task, ...]:
    """Return the tasks that a config names besides the expression, in its order.

    Raises:
        UserError: `heads` has a name that is not in `TASKS`.
    """
    unknown = [name for name in config.heads if name not in TASKS]
    if unknown:
        raise UserError(f"heads names {unknown[0]!r}: pass some of {', '.join(TASKS)}")
    return tuple(TASKS[name] for name in config.heads)


def make_network(config: ModelConfig, num_classes: int) -> Network:
    """Return the network that a config names, with a head for each of its tasks.

    Args:
        config: Which network, and which heads besides the expression.
        num_classes: Logits per image, one for each expression.

    Raises:
        UserError: The config names a network that is not jaxfer's, which has to be passed as an object; or a head
            that is not in `TASKS`.
    """
    return make_model(config, num_classes, heads=tuple(task.head for task in tasks_of(config)))


def naming(model: Network, config: Config, num_classes: int) -> Config:
    """Return a config that names the network's class, unless it names that very network already.

    Args:
        model: The network.
        config: Any config. A `variant` of the form `module:attribute` is kept.
        num_classes: Logits per image.

    Raises:
        UserError: The config says of the network what only jaxfer's own take from it, such as `gray`.
    """
    try:
        named = make_network(config.model, num_classes)
    except UserError:
        named = None
    if model == named:
        return config
    variant = config.model.variant if ":" in config.model.variant else name_of(model)
    return dataclasses.replace(config, model=dataclasses.replace(config.model, variant=variant))
