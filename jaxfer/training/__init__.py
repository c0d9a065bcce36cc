"""Training: the state, the step, the ways to run it, and the loop."""

from jaxfer.devices.cpu import use_cpu_cores
from jaxfer.devices.distributed import join_processes
from jaxfer.devices.placement import OneDevice, Pmapped, Sharded, choose_parallel
from jaxfer.errors import Interrupted
from jaxfer.training.feed import HostFeed, ResidentFeed, choose_feed
from jaxfer.training.loop import fit
from jaxfer.training.losses import CrossEntropy, make_loss
from jaxfer.training.optimizers import make_optimizer, make_schedule
from jaxfer.training.program import Program
from jaxfer.training.state import TrainState, create_state
from jaxfer.training.step import evaluate_split, make_eval_step, make_train_step

__all__ = [
    "CrossEntropy",
    "HostFeed",
    "Interrupted",
    "OneDevice",
    "Pmapped",
    "Program",
    "ResidentFeed",
    "Sharded",
    "TrainState",
    "choose_feed",
    "choose_parallel",
    "create_state",
    "evaluate_split",
    "fit",
    "join_processes",
    "make_eval_step",
    "make_loss",
    "make_optimizer",
    "make_schedule",
    "make_train_step",
    "use_cpu_cores",
]
