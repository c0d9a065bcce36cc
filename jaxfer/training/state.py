"""The training state: arrays only, so that it can be jitted, sharded, donated and saved as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from jaxfer.models import Network, initializer, load_pretrained
from jaxfer.models.pretrained import Weights

if TYPE_CHECKING:
    from jaxtyping import Array, Int, Key


@flax.struct.dataclass
class TrainState:
    """Everything that changes from step to step.

    Attributes:
        step: Number of steps taken, int32 [].
        params: The network's parameters, float32.
        batch_stats: The network's running statistics, float32.
        opt_state: The state of the optimizer.
        key: A typed PRNG key []. A step's randomness is `fold_in(key, step)`, so that nothing drifts on resuming.
        ema: Moving average of `params`, or None.
    """

    step: Int[Array, ""]
    params: Any
    batch_stats: Any
    opt_state: Any
    key: Key[Array, ""]
    ema: Any = None

    @property
    def variables(self) -> dict[str, Any]:
        """Variables to evaluate and predict with: `params`, averaged where there is an average, and `batch_stats`."""
        params = self.params if self.ema is None else self.ema
        return {"params": params, "batch_stats": self.batch_stats}


def create_state(
    model: Network,
    optimizer: optax.GradientTransformation,
    *,
    seed: int,
    image_size: int,
    ema: bool = False,
    weights: Weights | None = None,
    class_names: Sequence[str] = (),
) -> TrainState:
    """Return the state at step 0.

    Args:
        model: The network.
        optimizer: The optimizer.
        seed: Decides all randomness of the run.
        image_size: Height and width of the images in pixels.
        ema: Whether to keep a moving average of the parameters.
        weights: What it starts from in place of drawn variables, see `jaxfer.models.load_pretrained`.
        class_names: What the network's logits stand for; where those of `weights` stand for the same, it starts from
            their last layers, too.
    """
    init_key, key = jax.random.split(jax.random.key(seed))
    images = jnp.zeros((1, image_size, image_size, 3), jnp.float32)
    variables = initializer(model)(init_key, images)
    if weights is not None:
        variables, _ = load_pretrained(model, variables, weights, class_names)
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        # A copy: the step donates its state, and an optimizer may give out one array of its own at each start.
        opt_state=jax.tree.map(jnp.copy, optimizer.init(params)),
        key=key,
        # A copy: the step donates its state, and one buffer cannot be given away twice.
        ema=jax.tree.map(jnp.copy, params) if ema else None,
    )
