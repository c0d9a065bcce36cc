"""Whole networks of torchvision, timm, ArcFace and AdaFace with weights, against PyTorch: `make test-peers`."""

import os
import runpy
import subprocess
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfer.config import ModelConfig
from jaxfer.models import load_pretrained, make_model

pytestmark = pytest.mark.peers
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "torch_activations.py"
RESNETS = [
    (variant, library) for variant in ("resnet18", "resnet34", "resnet50") for library in ("torchvision", "timm")
]
IR = [(variant, "published") for variant in ("ir18", "ir50", "adaface18", "adaface50")]


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A folder with weights and activations, which PyTorch writes now."""
    python = os.environ.get("JAXFER_PEERS")
    if python is None:
        pytest.fail("say where PyTorch is: JAXFER_PEERS=.venv-peers/bin/python, as `make test-peers` does")
    folder = tmp_path_factory.mktemp("live")
    subprocess.run([python, str(SCRIPT), "live", str(folder)], check=True)
    return folder


@pytest.mark.parametrize(("variant", "library"), RESNETS + IR)
def test_activations_are_pytorchs(variant, library, live):
    seen = {"padding": "symmetric", "pixel_mean": (0.5,) * 3, "pixel_std": (0.25,) * 3}
    model = make_model(ModelConfig(variant=variant, **seen), 7)
    shapes = jax.eval_shape(partial(model.init, train=False), jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    empty = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    path = live / f"{variant}-{library}"
    variables, _ = load_pretrained(model, empty, path.with_suffix(".safetensors"))
    again, report = load_pretrained(model, empty, path.with_suffix(".pth"))
    jax.tree.map(np.testing.assert_array_equal, variables, again)
    assert all(".fc." in key or ".output_layer." in key for key in report.left_over)
    ends = [f"stage{stage + 1}_block{size}" for stage, size in enumerate(model.stage_sizes)]
    kept = (*ends, "final_norm")
    call = partial(model.apply, capture_intermediates=lambda module, _: module.name in kept, mutable=["intermediates"])
    images = runpy.run_path(str(SCRIPT))["images"]
    for side in (224, 112, 64):
        found = jax.jit(call)(variables, images(side))[1]["intermediates"]
        maps = [found[name]["__call__"][0][0] for name in kept if name in found]
        with np.load(path.with_suffix(".npz")) as expected:
            for number, own in enumerate(maps):
                stage = expected[f"{side}/stage{number + 1}"]
                np.testing.assert_allclose(own.mean(-1), stage, rtol=0, atol=1e-4, err_msg=f"{side} {number}")
            np.testing.assert_allclose(maps[-1].mean((0, 1)), expected[f"{side}/features"], rtol=0, atol=1e-4)
