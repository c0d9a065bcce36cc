"""Train on drawn faces, score the network, and name the expression of one face."""

import jax
import numpy as np

from jaxfer import PRESETS, ProgressBar, ResNetFER, fit, load, summarize, tune_for_cpu
from jaxfer.data.synthetic import draw_faces
from jaxfer.emotions import AFFECTNET_7

tune_for_cpu()  # before JAX starts: every CPU core becomes a device, and freed memory is kept
config = PRESETS["demo"]  # six epochs on drawn faces; Config(data=DataConfig(data_dir=...)) for faces of your own
data = load(config.data)
state, history = fit(config, data, callbacks=[ProgressBar()])

val = summarize(config, data, state, history)["val"]
print(f"accuracy {val['accuracy']:.3f}, macro F1 {val['macro_f1']:.3f} on {val['examples']} images of {val['split']}")

face = draw_faces(seed=1, labels=np.array([3]))  # uint8 [1, 64, 64, 3], a surprised one
logits = jax.jit(ResNetFER().apply)(state.variables, face)["logits"]  # float32 [1, 7]
print(f"it looks like {AFFECTNET_7[int(logits.argmax())]}")
