# %% [markdown]
# # Train on your AffectNet copy
#
# From the folder to a trained network, its report and a prediction, in Python. It runs in a notebook, in Colab, or as a program, on
# two cores in a few minutes (the seconds below are of a machine with much else to do). In Colab, `!pip install 'jaxfer[faces]'` first.
#
# ## The folder
#
# AffectNet is handed out on request, so this page draws a small copy in the layout of the release of March 2021: images and
# annotations that lie side by side, a NumPy file for each. **If you have AffectNet, set `DATA` to its folder and leave this cell out**:
# every layout that people hold is recognised, see [Bring your AffectNet](../affectnet.md).

# %%
from pathlib import Path

import numpy as np
from PIL import Image

from jaxfer.data.synthetic import draw_faces

DATA = Path("AffectNet")


def draw_split(name, per_class, seed):
    images, annotations = DATA / name / "images", DATA / name / "annotations"
    images.mkdir(parents=True)
    annotations.mkdir()
    labels = np.arange(7 * per_class) % 7  # neutral, happy, sad, surprise, fear, disgust, anger
    for number, (label, face) in enumerate(zip(labels, draw_faces(seed, labels), strict=True)):
        Image.fromarray(face).save(images / f"{number}.jpg", quality=92)
        np.save(annotations / f"{number}_exp.npy", str(label))  # the expression, as AffectNet has it: a text


draw_split("train_set", per_class=200, seed=1)
draw_split("val_set", per_class=50, seed=2)

# %% [markdown]
# ## What is in it, and what is wrong with it
#
# `check` reads every image once. It counts classes against the published ones, and finds copies across the splits, damage and
# conflicting labels. It says here, rightly, that this is no AffectNet.

# %%
from jaxfer import check
from jaxfer.reports import print_check

print_check(check(DATA))

# %% [markdown]
# ## A configuration
#
# A run is a frozen configuration and a seed. `PRESETS["published"]` is the published recipe; so few images and epochs ask for a rate
# that falls, and for statistics of normalisation that are measured and not averaged. What is misspelt or out of range is refused in
# a sentence.

# %%
from jaxfer import Config, load
from jaxfer.config import AugmentConfig, DataConfig, LossConfig, OptimizerConfig

config = Config(
    data=DataConfig(data_dir=DATA),
    augment=AugmentConfig(flip=True),
    loss=LossConfig(l2=0.001),
    optimizer=OptimizerConfig(schedule="cosine", statistics_images=512),
    epochs=12,
    seed=0,
)
data = load(config.data)
data

# %% [markdown]
# ## Training
#
# `fit` returns the final state and a row for each epoch, and keeps both in the run's folder. Interrupt the cell whenever you like:
# the step is finished, all of it is saved, and the session goes on; the same call with `resume=True` continues, to the same bits.

# %%
from jaxfer import ProgressBar, fit

RUN = Path("runs/first")
state, history = fit(config, data, run_dir=RUN, callbacks=[ProgressBar()])

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot([row["epoch"] for row in history], [row["accuracy"] for row in history], label="training, in training mode")
axes.plot([row["epoch"] for row in history], [row["val_accuracy"] for row in history], label="validation")
axes.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1))
axes.legend()
plt.show()

# %% [markdown]
# ## The numbers
#
# `finish_run` evaluates both splits, with an interval for each score, fits the temperature that calibrates the network, and writes
# `summary.json` and `report.html` into the run's folder. A number never goes without its split and its n.

# %%
from jaxfer import finish_run

summary = finish_run(RUN, config, data, state, history)
val = summary["val"]
low, high = val["intervals"]["accuracy"]
print(f"accuracy {val['accuracy']:.3f} ({low:.3f} to {high:.3f}) on {val['examples']} images of {val['split']}")
print(sorted(path.name for path in RUN.iterdir()))

# %% [markdown]
# ## Predicting
#
# A run predicts on pictures as the network that comes with jaxfer does. `detector="whole"` takes a picture for one face, cut out as the
# training images are; without it, faces are found in photographs, turned upright and framed as in training.

# %%
from jaxfer import Predictor

predictor = Predictor.load(RUN, detector="whole")
for name in ("0.jpg", "1.jpg", "3.jpg"):  # neutral, happy, surprise
    [face] = predictor(DATA / "val_set/images" / name)
    print(f"{name}: {face.label} ({face.confidence:.0%})")

# %% [markdown]
# ## Next
#
# - Large data: [prepare it once](../affectnet.md), `jaxfer data prepare DIR --out PREPARED`, and train from that.
# - From the command line all of this is `jaxfer train --data-dir DIR`; `--help` shows every field as a flag.
# - [Rare classes, augmentation, schedules](../training.md), [sweeps](../sweeps.md), [what a number is worth](evaluate.ipynb).
