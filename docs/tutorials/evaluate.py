# %% [markdown]
# # Evaluate for a paper
#
# What a reader of a table needs to know of each number: of which split it is, of how many faces, how far chance moves it, how far the seed
# does, and whether one row is better than the next. Here on drawn faces; with data of yours, only the config changes.
#
# ## Several seeds
#
# Two recipes, three seeds each. A `Program` is what `fit` compiles; runs that differ in numbers alone share one.

# %%
from dataclasses import replace

import flax.linen as nn

from jaxfer import Config, fit, load
from jaxfer.config import AugmentConfig, DataConfig, LossConfig, OptimizerConfig
from jaxfer.models import unit_range
from jaxfer.training import Program


class Convolutions(nn.Module):
    """A network that trains in seconds, as in the tutorial on networks of one's own; leave it out for jaxfer's."""

    num_classes: int = 7

    @nn.compact
    def __call__(self, images, *, train, mask):
        x = unit_range(images) - 0.5
        for width in (24, 48, 72):
            x = nn.relu(nn.GroupNorm(num_groups=4)(nn.Conv(width, (3, 3), strides=2, use_bias=False)(x)))
        return {"logits": nn.Dense(self.num_classes)(x.reshape(len(x), -1))}


plain = Config(
    data=DataConfig(drawn_train=2100, drawn_val=700, image_size=32),
    loss=LossConfig(l2=0.0),
    optimizer=OptimizerConfig(learning_rate=0.002, schedule="cosine"),
    epochs=8,
    batch_size=64,
)
recipes = {"plain": plain, "augmented": replace(plain, augment=AugmentConfig(flip=True, shift=0.06))}
data = load(plain.data)
for name, recipe in recipes.items():
    program = Program(recipe, data, model=Convolutions())
    for seed in range(3):
        state, rows = fit(replace(recipe, seed=seed), data, run_dir=f"runs/{name}-{seed}", program=program)
        print(
            f"{name}-{seed}: accuracy {rows[-1]['accuracy']:.3f} in training, {rows[-1]['val_accuracy']:.3f} in validation"
        )

# %% [markdown]
# ## Intervals, mean and deviation, and whether they differ
#
# An interval of one run says how far other faces of the same kind would move its number (a bootstrap over faces). The deviation over
# seeds says how far another seed would. McNemar's test, on the same faces, says whether two networks differ by more than chance.

# %%
from jaxfer import evaluate, load_run
from jaxfer.evaluation import compare
from jaxfer.reports import print_comparison


def trained(name, seed):
    return load_run(f"runs/{name}-{seed}", model=Convolutions())


evaluations = {name: [evaluate(trained(name, seed), data) for seed in range(3)] for name in recipes}
for found in evaluations.values():
    for one in found:
        low, high = one.scores["intervals"]["accuracy"]
        print(f"{one.name}: {one.scores['accuracy']:.3f} ({low:.3f} to {high:.3f}), n = {one.scores['examples']}")
print_comparison(compare(evaluations["plain"]))

# %%
from jaxfer.evaluation import mcnemar

print("p that a pair of equally good networks differs so much on these faces:")
for seed in range(3):
    one, other = (evaluations[name][seed].predictions for name in recipes)
    print(f"seed {seed}: {mcnemar(one.correct, other.correct).p_value:.3f}")

# %% [markdown]
# ## Classes, and how sure the network is
#
# A mean hides the classes. Macro F1 gives each the same weight; the recalls say which are mistaken for others. The expected calibration
# error says by how much confidence is wrong on average, before and after [the temperature](../calibration.md) that the least cross entropy
# chooses; on the very faces that it was fitted on, as here, the second number is optimistic.

# %%
from jaxfer.emotions import AFFECTNET_7
from jaxfer.metrics import fit_temperature

chosen = evaluations["augmented"][0]
print(f"macro F1 {chosen.scores['macro_f1']:.3f}")
for name, scores in chosen.scores["per_class"].items():
    print(f"{name:>9}: recall {scores['recall']:.2f} of {scores['support']}")
temperature = fit_temperature(chosen.predictions.logits, chosen.predictions.labels)
calibrated = chosen.predictions.scaled(temperature).scores(AFFECTNET_7).to_dict()
print(f"temperature {temperature:.2f}: ECE {chosen.scores['ece']:.3f} becomes {calibrated['ece']:.3f}")

# %% [markdown]
# ## Where the network looked
#
# Grad-CAM of four faces that it gets wrong; a heat map explains nothing by itself, but one that lies outside of the face says something.

# %%
import matplotlib.pyplot as plt
import numpy as np

from jaxfer.evaluation import grad_cam

wrong = np.flatnonzero(~chosen.predictions.correct)[:4]
faces, said = chosen.split.images[wrong], chosen.predictions.probabilities[wrong].argmax(axis=1)
maps = grad_cam(chosen.trained.model, chosen.trained.variables, faces, said)
figure, axes = plt.subplots(1, 4, figsize=(8, 2.4), layout="constrained")
for axis, face, heat, label, row in zip(axes, faces, maps, said, wrong, strict=True):
    axis.imshow(face)
    axis.imshow(np.asarray(heat), cmap="inferno", alpha=0.5, extent=(-0.5, 31.5, 31.5, -0.5))
    axis.set_title(f"{AFFECTNET_7[label]}, not {AFFECTNET_7[chosen.split.labels[row]]}", fontsize=9)
    axis.axis("off")
plt.show()

# %% [markdown]
# ## What to write down
#
# `write_evaluation` writes a page, every number and every prediction into the run's folder; `jaxfer report runs/NAME --figures DIR`
# writes the figures one column wide, as PNG and SVG.

# %%
from jaxfer.reports import write_evaluation

print(sorted(path.name for path in write_evaluation(chosen).iterdir()))

# %% [markdown]
# A row of the table then has: the data, its layout and the number of images of each class (`summary.json` has a fingerprint of them), how the
# validation faces were chosen and whether persons are in both splits, the classes, the recipe (`config.json` is all of it), the split and
# its n, the mean and the deviation over the seeds, and the epoch, which is the last one unless a validation split that is not the one of the
# table chose it. [Why numbers of others do not reproduce](../numbers.md) is mostly that one of these is not said. The test split is for the last
# number, once: `jaxfer evaluate runs/NAME --split test`.
