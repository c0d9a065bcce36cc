"""Networks to export, and what their files have to answer."""

import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import flax.linen as nn
import jax
import numpy as np
from networks import drawn

from jaxfer.config import ModelConfig
from jaxfer.emotions import AFFECTNET_7
from jaxfer.inference import FaceModel
from jaxfer.models import unit_range
from jaxfer.tasks import make_network


def faces(count, size):
    return np.random.default_rng(count).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def model_of(variant, size=44, *, width=8, answer="expression", **fields):
    """Return a named network, narrow unless `width` is None, as if it had been trained, with logits of about one."""
    config = ModelConfig(variant=variant, **fields)
    network = make_network(config, 7)
    network = network if width is None else network.clone(width=width)
    variables = drawn(network, faces(1, size))
    for block in variables["params"].values():
        # As in training, where it begins at zero: maps that double from block to block leave rounding alone to compare.
        if norms := [name for name in block if name.startswith("norm")]:
            block[max(norms)]["scale"] = block[max(norms)]["scale"] / 5
    for layer, said in run(network, variables, faces(5, size))[1].items():
        rms = np.sqrt(np.mean(np.square(said)))
        variables["params"][layer] = jax.tree.map(lambda leaf, by=rms: leaf / by, variables["params"][layer])
    return FaceModel(network, variables, AFFECTNET_7, size, 1.5, config, {}, answer)


def all_of(variant):
    """Return the fields of a named network with all that it can have inside."""
    squeeze = None if variant.startswith(("ir", "adaface")) else 8
    return {"heads": ("affect", "votes"), "gray": True, "standardize": True, "squeeze": squeeze}


class Padded(nn.Module):
    """As others pad: the same on both sides, whatever the stride; and nothing."""

    @nn.compact
    def __call__(self, images, *, train=False, mask=None):
        x = nn.relu(nn.Conv(8, (3, 3), strides=2, padding=((1, 1), (1, 1)), name="a")(unit_range(images)))
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        x = nn.Conv(8, (3, 3), feature_group_count=4, kernel_dilation=2, use_bias=False, name="b")(x)
        x = nn.relu(nn.Conv(8, (3, 3), padding="VALID", name="c")(x))
        return {"logits": nn.Dense(7, name="head")(x.mean((1, 2)))}


def padded():
    """Return a network that is none of jaxfer's."""
    variables = drawn(Padded(), faces(1, 44))
    return FaceModel(Padded(), variables, AFFECTNET_7, 44, 1.5, ModelConfig(variant="leaving:Padded"), {})


def outputs(network, variables, images):
    """Return what a network says, by a program that compiles in less time than that of the model's own kernels."""
    return run(network, variables, images)[0]


@partial(jax.jit, static_argnums=0)
def run(network, variables, images):
    """Return what a network says, and what its last layers do before it is bounded, by their names.

    A tanh whose argument is large tells nothing. Both are of one program, which takes long to compile.
    """
    said, seen = network.apply(
        variables,
        images,
        train=False,
        mask=None,
        capture_intermediates=lambda module, _: module.name == "head" or (module.name or "").endswith("_head"),
        mutable="intermediates",
    )
    return said, {name: calls["__call__"][0] for name, calls in seen["intermediates"].items()}


def expected(model, said):
    """Return what a file has to answer where a network says this."""
    answers = {answer: model.shares(said, answer) for answer in model.answers}
    return answers | {name: np.asarray(values) for name, values in said.items() if name not in ("logits", *answers)}


def check_answers(found, wanted, atol):
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert np.asarray(found[name]).dtype == np.float32
        np.testing.assert_allclose(found[name], values, rtol=0, atol=atol, err_msg=name)


class Hub(SimpleNamespace):
    """What huggingface_hub offers of what is asked for, with a folder for a hub and one for its cache."""

    def __init__(self, root):
        super().__init__(root=root, asked=[])

    def create_repo(self, repo_id, *, exist_ok):
        assert exist_ok
        (self.root / repo_id).mkdir(parents=True, exist_ok=True)

    def upload_folder(self, *, repo_id, folder_path, allow_patterns):
        self._copy(Path(folder_path), self.root / repo_id, allow_patterns)
        return f"https://hub/{repo_id}/tree/main/"

    def snapshot_download(self, repo_id, *, revision, allow_patterns):
        self.asked.append((repo_id, revision))
        if not (self.root / repo_id).is_dir():
            raise RuntimeError("404 Client Error.\n\nRepository Not Found")
        cache = self.root / "cache" / repo_id
        cache.mkdir(parents=True, exist_ok=True)
        self._copy(self.root / repo_id, cache, allow_patterns)
        return str(cache)

    def _copy(self, source, target, names):
        for name in names:
            if (source / name).is_file():
                shutil.copy(source / name, target / name)
