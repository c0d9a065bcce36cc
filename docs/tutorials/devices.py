# %% [markdown]
# # Several devices
#
# One program runs on one device, on all GPUs of a machine, and on machines that work together. To try it without a GPU, this page has JAX
# take the processor for four devices; on a machine with four GPUs, leave the first cell out.

# %%
import jax

jax.config.update("jax_num_cpu_devices", 4)  # before JAX starts
jax.devices()

# %% [markdown]
# ## By default: all that the batch warrants
#
# `fit` uses every device that gets at least eight images of a batch. Each takes its share of the images; what it sums, gradients and the
# statistics of normalisation among them, is summed over all, so that the numbers are those of one device, up to the order of additions.

# %%
from jaxfer import Config, OneDevice, Pmapped, Sharded, fit, load
from jaxfer.config import DataConfig, OptimizerConfig
from jaxfer.devices import choose_parallel

config = Config(
    data=DataConfig(drawn_train=350, drawn_val=70, image_size=32),
    optimizer=OptimizerConfig(optimizer="sgd", learning_rate=0.01),
    epochs=2,
)
data = load(config.data)
print(len(choose_parallel(batch_size=32).devices), "devices for a batch of 32,", end=" ")
print(len(choose_parallel(batch_size=8).devices), "for one of 8")

# %%
losses = {}
for name, parallel in {"one device": OneDevice(), "a mesh": Sharded(), "pmap": Pmapped()}.items():
    state, rows = fit(config, data, parallel=parallel)
    losses[name] = [row["loss"] for row in rows]
    print(f"{name:>10}: losses {losses[name][0]:.5f} and {losses[name][1]:.5f}")

# %% [markdown]
# One step agrees to rounding, gradients and parameters, which [the tests](../../tests/training/test_step.py) hold; training then makes more of
# the last bits, here to the third digit within two epochs. On the same devices runs agree to the bit, also where one was stopped and
# went on: here after one epoch on the mesh.

# %%
import numpy as np

from jaxfer import Callback, UserError


class Stop(Callback):
    def epoch(self, row):
        raise UserError("enough for today")


try:
    fit(config, data, parallel=Sharded(), run_dir="runs/stopped", callbacks=[Stop()])
except UserError as error:
    print(error)
state, rows = fit(config, data, parallel=Sharded(), run_dir="runs/stopped", resume=True)
print([row["loss"] for row in rows] == losses["a mesh"])

# %% [markdown]
# ## A step of your own
#
# `make_train_step` takes the same `parallel`; its batches are the whole batches, padded where they do not fill the devices.

# %%
import optax

from jaxfer import ResNetFER, make_train_step
from jaxfer.data import Batches
from jaxfer.training import Objective, create_state

mesh, model, optimizer = Sharded(), ResNetFER(), optax.sgd(0.01)
step = make_train_step(model, optimizer, Objective(), parallel=mesh)
state = mesh.place(create_state(model, optimizer, seed=0, image_size=32))
state, metrics = step(state, Batches(data.train, batch_size=30, seed=0)[0])
print(int(metrics.count), "faces,", len(jax.tree.leaves(state.params)[0].sharding.device_set), "devices")
assert np.isfinite(float(metrics.loss))

# %% [markdown]
# ## Several machines
#
# The same command in each process, which find each other by an address, or by the cluster that started them:
#
# ```
# jaxfer train --data-dir DIR --coordinator node0:5000 --processes 2 --process-id 0    # on the first machine
# jaxfer train --data-dir DIR --coordinator node0:5000 --processes 2 --process-id 1    # on the second
# ```
#
# [SLURM, TPU slices, what happens when a machine is lost](../devices.md).
