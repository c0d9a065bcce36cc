"""jaxfer, by the parts that `fit` is made of, set up as its own programs are."""

from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any, cast

import jax
import numpy as np
from contenders.case import CLASSES, COMPARED, Case, Contender
from contenders.jax_loop import device, inference, size

from jaxfer.config import ModelConfig, OptimizerConfig
from jaxfer.data.dataset import Split
from jaxfer.devices import choose_parallel, keep_freed_memory, tune_for_cpu
from jaxfer.emotions import AFFECTNET_7
from jaxfer.inference import FaceModel, load_model
from jaxfer.metrics.metrics import Metrics
from jaxfer.models import compiled_for, make_model
from jaxfer.training import HostFeed, Objective, ResidentFeed, create_state, make_optimizer
from jaxfer.training.feed import STEPS
from jaxfer.training.step import train_function

PACKAGES = ("jaxfer", "jax", "flax", "optax", "numpy")

PORTION = 32
"""Steps of one dispatch where images are on the device: half of what `fit` takes, so that few are left over."""


def build(case: Case, way: str) -> Contender:
    """Return the training step, or the network in evaluation mode, on the devices that the batch warrants.

    way: `host` takes batches from the host's memory, one step a dispatch on a CPU and several on accelerators;
        `resident` holds the images on the device and takes many steps a dispatch. `fit` does the same.
    """
    if case.work == "infer":
        return applied(case)
    network = ModelConfig(variant=cast(Any, case.network), dtype=cast(Any, case.dtype))
    tune_for_cpu()
    model = make_model(network, CLASSES)
    parallel = choose_parallel(case.batch, model)
    model = compiled_for(model, parallel.devices[0].platform)
    optimizer = make_optimizer(OptimizerConfig(), OptimizerConfig().learning_rate)
    state = create_state(model, optimizer, seed=0, image_size=case.side)
    parameters = size(state.params)

    step = train_function(model, optimizer, Objective(l2=case.l2 or None, kernels=model.l2_kernels))
    batches = case.batches()
    images, labels = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    split = Split("train", images, labels)
    state, nothing = parallel.place((state, Metrics.empty(CLASSES)))
    if way == "resident":
        feed, portions = ResidentFeed(), portions_of_rows(case.batch)
    elif parallel.devices[0].platform == "cpu":
        feed, portions = HostFeed(), portions_of_images(batches)
    else:
        feed, portions = HostFeed(STEPS), stacked_portions(batches)
    placed: Any = feed.place(split, parallel)
    train = feed.training(step, placed, parallel).run
    if feed.steps > 1:
        # A program of its own, which the few steps of the warm-up would not compile.
        train(jax.tree.map(jax.numpy.copy, state), nothing, next(portions(PORTION)))

    def run(steps: int) -> tuple[float, float]:
        nonlocal state
        total = nothing
        for portion in portions(steps):
            state, total, _ = train(state, total, portion)
        jax.block_until_ready(state)
        images = int(total.count)
        return float(total.loss) / images, float(total.confusion_matrix.trace()) / images

    return Contender(run, parameters, device(), PACKAGES)


def applied(case: Case) -> Contender:
    """Return the network as whoever loads a model applies it, in a process that is prepared as `jaxfer predict` is."""
    keep_freed_memory()
    answers = None
    if case.network == "shipped":
        model = load_model("small")
        answers = model.probabilities(case.batches()[0][0][:COMPARED], "expression").tolist()
    else:
        config = ModelConfig(variant=cast(Any, case.network), dtype=cast(Any, case.dtype))
        network = make_model(config, CLASSES)
        images = np.zeros((1, case.side, case.side, 3), np.uint8)
        variables = jax.jit(network.init)(jax.random.key(0), images)
        model = FaceModel(network, variables, AFFECTNET_7, case.side, 1.0, config, {})
    infer = inference(case, lambda images: model.outputs(images)["logits"])
    return Contender(infer, size(model.variables["params"]), device(), PACKAGES, answers)


def portions_of_images(batches: list[tuple[np.ndarray, np.ndarray]]) -> Callable[[int], Iterator[dict[str, Any]]]:
    """Return what yields batches in turn, for so many steps."""
    turns = cycle([{"image": x, "label": labels, "mask": np.ones(len(x), bool)} for x, labels in batches])
    return lambda steps: islice(turns, steps)


def stacked_portions(batches: list[tuple[np.ndarray, np.ndarray]]) -> Callable[[int], Iterator[dict[str, Any]]]:
    """Return what yields batches in turn, `STEPS` at a time, gathered as `fit` does, and those left over one by one."""
    turns = portions_of_images(batches)

    def portion(steps: int) -> dict[str, Any]:
        return jax.tree.map(lambda *each: np.stack(each), *turns(steps))

    return lambda steps: map(portion, [STEPS] * (steps // STEPS) + [1] * (steps % STEPS))


def portions_of_rows(batch: int) -> Callable[[int], Iterator[dict[str, Any]]]:
    """Return what yields where the batches lie, in turn, many at a time and those left over one by one."""
    both, turns = np.arange(2 * batch, dtype=np.int32).reshape(2, batch), cycle([0, 1])

    def rows(steps: int) -> dict[str, Any]:
        return {"row": both[list(islice(turns, steps))], "mask": np.ones((steps, batch), bool)}

    return lambda steps: map(rows, [PORTION] * (steps // PORTION) + [1] * (steps % PORTION))
