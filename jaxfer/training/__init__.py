"""Training: the state, the step, the objective, ways to the gradient, and the loop."""

from jaxfer.errors import Interrupted
from jaxfer.training.callbacks import Begun, Callback
from jaxfer.training.feed import HostFeed, ResidentFeed, choose_feed
from jaxfer.training.finetuning import Freezing, Tuning
from jaxfer.training.gradients import accumulate, plain, sam
from jaxfer.training.hyperparameters import Hyperparameters
from jaxfer.training.loop import Run, fit, fit_together
from jaxfer.training.objective import Objective, make_objective
from jaxfer.training.optimizers import make_optimizer, make_schedule
from jaxfer.training.program import Program
from jaxfer.training.state import TrainState, create_state
from jaxfer.training.statistics import measure_statistics
from jaxfer.training.step import evaluate_split, make_eval_step, make_train_step

__all__ = [
    "Begun",
    "Callback",
    "Freezing",
    "HostFeed",
    "Hyperparameters",
    "Interrupted",
    "Objective",
    "Program",
    "ResidentFeed",
    "Run",
    "TrainState",
    "Tuning",
    "accumulate",
    "choose_feed",
    "create_state",
    "evaluate_split",
    "fit",
    "fit_together",
    "make_eval_step",
    "make_objective",
    "make_optimizer",
    "make_schedule",
    "make_train_step",
    "measure_statistics",
    "plain",
    "sam",
]
