"""The training state: arrays only, so that it can be jitted, sharded, donated and saved as it is."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from jaxfer.models import Network


@flax.struct.dataclass
class TrainState:
    """All that changes from step to step.

    step: int32 [], the number of steps taken.
    params, batch_stats: the network's variables, float32.
    opt_state: the optimizer's.
    key: a typed PRNG key []; the randomness of a step is `fold_in(key, step)`, so that nothing drifts on resuming.
    ema: moving average of `params`, or None.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any
    key: jax.Array
    ema: Any = None

    @property
    def variables(self) -> dict[str, Any]:
        """What to evaluate and to predict with: the averaged parameters where there are any, and the statistics."""
        params = self.params if self.ema is None else self.ema
        return {"params": params, "batch_stats": self.batch_stats}


def create_state(
    model: Network, optimizer: optax.GradientTransformation, *, seed: int, image_size: int, ema: bool = False
) -> TrainState:
    """Return the state at step 0 of `model` on images of `image_size` pixels a side, a function of `seed` alone."""
    init_key, key = jax.random.split(jax.random.key(seed))
    images = jnp.zeros((1, image_size, image_size, 3), jnp.float32)
    variables = _initializer(model)(init_key, images)
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        opt_state=optimizer.init(params),
        key=key,
        # A copy: the step donates its state, and one buffer cannot be given away twice.
        ema=jax.tree.map(jnp.copy, params) if ema else None,
    )


@lru_cache(maxsize=8)
def _initializer(model: Network) -> Callable[..., Any]:
    """Return `model.init` compiled, once for all runs of a network."""
    return jax.jit(partial(model.init, train=False, mask=None))
