# %% [markdown]
# # Fine-tune a pre-trained network
#
# A network that has learnt from many faces needs few labels of a new kind. Here one that has learnt the photographs of FER2013, the
# network that comes with jaxfer, is shown 210 drawn faces, 30 of each expression, and is compared with one that starts from nothing.
# With your own data and weights of torchvision, timm, ArcFace or AdaFace the steps are the same:
# [the files that people hold, and the commands for them](../finetuning.md).
#
# ## Few labels
#
# 210 faces to learn from, and 700 others to measure on.

# %%
from jaxfer import load
from jaxfer.config import DataConfig

faces = DataConfig(drawn_train=210, drawn_val=700, image_size=48)
data = load(faces)
data

# %% [markdown]
# ## Weights to start from
#
# `pretrained` names the file or folder. The network has to be the one that the weights are of, so its config is taken from there; its
# last layer comes along, since both tell the same classes apart, and would else be new. The stem and the first stage keep what they know, and all but the last layers learn at a third of their rate.

# %%
import dataclasses
from pathlib import Path

from jaxfer import Config, load_model
from jaxfer.config import AugmentConfig, LossConfig, OptimizerConfig
from jaxfer.inference import save_model

shipped = load_model("small")
weights = save_model(shipped, Path("weights"))  # yours are there already
network = dataclasses.replace(shipped.config, heads=())

scratch = Config(
    data=faces,
    model=network,
    augment=AugmentConfig(flip=True, shift=0.06),
    loss=LossConfig(l2=0.0, label_smoothing=0.1),
    optimizer=OptimizerConfig(optimizer="adamw", learning_rate=0.002, schedule="cosine", weight_decay=0.05),
    epochs=8,
    batch_size=30,
)
finetuned = dataclasses.replace(
    scratch,
    model=dataclasses.replace(network, pretrained=weights),
    optimizer=dataclasses.replace(scratch.optimizer, backbone_rate=0.3, freeze=("stem", "stage1")),
)

# %% [markdown]
# ## Two runs of one budget
#
# The same faces, epochs, batches and seed. What was loaded, what stayed new and what was left over is said at the start, and kept in
# the run's folder; a shape or a key that does not fit would be an error that names both sides.

# %%
from jaxfer import ProgressBar, fit

_, rows = fit(finetuned, data, callbacks=[ProgressBar()], run_dir="runs/finetuned")

# %%
_, rows_of_scratch = fit(scratch, data, callbacks=[ProgressBar()], run_dir="runs/scratch")

# %% [markdown]
# ## What the weights were worth
#
# Both are measured on the same faces, so McNemar's test asks of which faces one alone is right.

# %%
from jaxfer import evaluate, load_run
from jaxfer.evaluation import compare
from jaxfer.reports import print_comparison

runs = [evaluate(load_run(f"runs/{name}"), data) for name in ("finetuned", "scratch")]
print_comparison(compare(runs))

# %% [markdown]
# One seed says little of a recipe; [Evaluate for a paper](evaluate.ipynb) has several. `--freeze` with `--unfreeze-epochs` thaws a part
# after another, and `--layer-decay` lets the rate fall from block to block: [Fine-tuning](../finetuning.md) has them all.
