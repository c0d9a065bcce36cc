# %% [markdown]
# # A network and a loss of your own
#
# Any Flax linen module can be trained, resumed, evaluated and reported as jaxfer's own; a loss is a function of outputs and batch. Both
# take a few lines here, on drawn faces. [What else can be one's own](../extending.md): a head, a transform, a gradient, an optimizer.
#
# ## A network
#
# It takes images uint8 [b, h, w, 3], whether it trains, and the mask of the batch, and returns a dict with `logits` [b, classes].

# %%
import flax.linen as nn

from jaxfer.models import unit_range


class Convolutions(nn.Module):
    """Three convolutions, each of half the size, and what stands where in the last map."""

    num_classes: int = 7
    width: int = 24

    @nn.compact
    def __call__(self, images, *, train, mask):
        x = unit_range(images) - 0.5  # float32 [b, h, w, 3]
        for factor in (1, 2, 3):
            x = nn.Conv(factor * self.width, (3, 3), strides=2, use_bias=False)(x)
            x = nn.relu(nn.GroupNorm(num_groups=4)(x))
        x = nn.Dropout(0.3, deterministic=not train)(x.reshape(len(x), -1))
        return {"logits": nn.Dense(self.num_classes)(x)}


# %% [markdown]
# `fit` takes it in place of the network that the config names. The rest of the config holds: data, augmentation, schedule, seed.

# %%
from jaxfer import Config, ProgressBar, fit, load
from jaxfer.config import AugmentConfig, DataConfig, LossConfig, OptimizerConfig

config = Config(
    data=DataConfig(drawn_train=2800, drawn_val=700, image_size=32),
    augment=AugmentConfig(flip=True, shift=0.06),
    loss=LossConfig(l2=0.0),
    optimizer=OptimizerConfig(optimizer="adamw", learning_rate=0.002, schedule="cosine", weight_decay=0.05),
    epochs=12,
    batch_size=64,
)
data = load(config.data)
state, rows = fit(config, data, model=Convolutions(), callbacks=[ProgressBar()], run_dir="runs/own")

# %% [markdown]
# A run of it is loaded by passing the network again, and scored like any other.

# %%
from jaxfer import evaluate, load_run

trained = load_run("runs/own", model=Convolutions())
scores = evaluate(trained, data).scores
low, high = scores["intervals"]["accuracy"]
print(f"accuracy {scores['accuracy']:.3f} ({low:.3f} to {high:.3f}), n = {scores['examples']}")

# %% [markdown]
# ## A loss
#
# The focal loss (Lin et al. 2017, <https://arxiv.org/abs/1708.02002>) lowers the weight of faces that are easy by now. An
# `Expression` is the task that all networks learn; a subclass with another `loss` returns one number for each face, [b].

# %%
import jax
import jax.numpy as jnp

from jaxfer.tasks import Expression


class Focal(Expression):
    def loss(self, outputs, batch):
        log_p = jnp.take_along_axis(jax.nn.log_softmax(outputs["logits"]), batch["label"][:, None], axis=1)[:, 0]
        return -((1 - jnp.exp(log_p)) ** 2) * log_p


# %% [markdown]
# An `Objective` is what a step minimises. `make_train_step` compiles one for any network, Optax optimizer and objective, with the same
# calling convention on one device and on many; the loop round it is yours.

# %%
import numpy as np
import optax

from jaxfer import make_train_step
from jaxfer.data import Batches
from jaxfer.training import Objective, create_state

model, optimizer = Convolutions(), optax.adamw(2e-3, weight_decay=0.05)
step = make_train_step(model, optimizer, Objective(Focal()))
state = create_state(model, optimizer, seed=0, image_size=32)

batches = Batches(data.train, batch_size=64, seed=0)  # the batch at step k is a function of data, seed and k
for number in range(10 * batches.steps_per_epoch):
    state, metrics = step(state, batches[number])
    if (number + 1) % (2 * batches.steps_per_epoch) == 0:
        print(f"step {number + 1}: focal loss of the batch {float(metrics.loss / metrics.count):.3f}")

# %%
logits = jax.jit(lambda variables, images: model.apply(variables, images, train=False, mask=None)["logits"])(
    state.variables, data.val.images
)
print(f"accuracy {np.mean(np.argmax(logits, axis=1) == data.val.labels):.3f}, n = {len(data.val)}")

# %% [markdown]
# One seed on so few faces says nothing of which loss is better: [Evaluate for a paper](evaluate.ipynb) says what would.
