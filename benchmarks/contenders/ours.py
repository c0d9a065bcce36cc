"""jaxfer, by its public parts, set up as its own programs are."""

from itertools import cycle, islice
from typing import Any, cast

import jax
import numpy as np
from contenders.case import CLASSES, SIDE, Case, Contender
from contenders.jax_loop import device, inference, size

from jaxfer.config import ModelConfig, OptimizerConfig
from jaxfer.evaluation.metrics import Metrics
from jaxfer.models import make_model
from jaxfer.training import CrossEntropy, choose_parallel, create_state, make_optimizer, make_train_step, use_cpu_cores
from jaxfer.training.step import merge

PACKAGES = ("jaxfer", "jax", "flax", "optax", "numpy")


def build(case: Case, _: str) -> Contender:
    """Return the training step, or the network in evaluation mode, on the devices that the batch warrants."""
    network = ModelConfig(variant=cast(Any, case.network), dtype=cast(Any, case.dtype))
    use_cpu_cores()
    model = make_model(network, CLASSES)
    parallel = choose_parallel(case.batch, model if case.work != "infer" else None)
    optimizer = make_optimizer(OptimizerConfig(), OptimizerConfig().learning_rate)
    state = create_state(model, optimizer, seed=0, image_size=SIDE)
    parameters = size(state.params)
    mask = np.ones(case.batch, bool)
    if case.work == "infer":
        apply = parallel.compile(lambda variables, batch: model.apply(variables, batch["image"]), donate=False)
        variables = parallel.place(state.variables)
        infer = inference(case, lambda images: apply(variables, {"image": images, "mask": mask}))
        return Contender(infer, parameters, device(), PACKAGES)

    step = make_train_step(model, optimizer, CrossEntropy(l2=case.l2), parallel=parallel)
    state, nothing = parallel.place((state, Metrics.empty(CLASSES)))
    batches = cycle([{"image": images, "label": labels, "mask": mask} for images, labels in case.batches()])

    def run(steps: int) -> tuple[float, float]:
        nonlocal state
        total = nothing
        for batch in islice(batches, steps):
            state, metrics = step(state, batch)
            total = merge(total, metrics)
        jax.block_until_ready(state)
        images = int(total.count)
        return float(total.loss) / images, float(total.confusion_matrix.trace()) / images

    return Contender(run, parameters, device(), PACKAGES)
