"""Train on drawn faces, score the network, and name the expression of one face."""

import numpy as np

from jaxfer.config import Config, DataConfig
from jaxfer.data import load
from jaxfer.data.synthetic import draw_faces
from jaxfer.devices import use_cpu_cores
from jaxfer.emotions import AFFECTNET_7
from jaxfer.evaluation.summary import summarize
from jaxfer.models import ResNetFER
from jaxfer.reports import ProgressBar
from jaxfer.training import fit

use_cpu_cores()  # before JAX starts: every CPU core becomes a device
config = Config(data=DataConfig(drawn_train=2000, drawn_val=350), epochs=2)
data = load(config.data)  # pass DataConfig(data_dir=...) to train on your own faces
state, history = fit(config, data, callbacks=[ProgressBar()])

val = summarize(config, data, state, history)["val"]
print(f"accuracy {val['accuracy']:.3f}, macro F1 {val['macro_f1']:.3f} on {val['examples']} images of {val['split']}")

face = draw_faces(seed=1, labels=np.array([3]))  # uint8 [1, 64, 64, 3], a surprised one
outputs: dict = ResNetFER().apply(state.variables, face)  # pyright: ignore[reportAssignmentType]
logits = np.asarray(outputs["logits"])
print(f"it looks like {AFFECTNET_7[int(logits.argmax())]}")
