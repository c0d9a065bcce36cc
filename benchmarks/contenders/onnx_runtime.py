"""ONNX Runtime on the network that PyTorch exports, or on the shipped one. It does not train networks."""

# pyright: reportMissingImports=false
import math
import os
import tempfile
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import onnxruntime
from contenders.case import COMPARED, WEIGHTS, Case, Contender
from safetensors import safe_open


def build(case: Case, way: str) -> Contender:
    """Load a network with every optimisation that ONNX Runtime has by default.

    way: the file that jaxfer has written of the shipped network, for cases of that.
    """
    if case.work != "infer" or case.dtype != "float32":
        raise NotImplementedError("it applies float32 networks only")
    batches = [images for images, _ in case.batches()]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))

    def load(path: Path) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession(path, options, providers=onnxruntime.get_available_providers())

    answers, packages = None, ("onnxruntime", "onnx", "numpy")
    if case.network == "shipped":
        session, parameters = load(Path(way)), shipped_parameters()
        answers = np.asarray(session.run(["expression"], {"images": batches[0][:COMPARED]})[0]).tolist()
    else:
        with tempfile.TemporaryDirectory() as folder:
            session, parameters = exported(case, batches[0], Path(folder) / "network.onnx", load)
        packages = (*packages, "torch")
    endless = cycle(batches)

    def run(steps: int) -> tuple[float, float]:
        said = np.zeros(())
        for images in islice(endless, steps):
            said = np.asarray(session.run(None, {"images": images})[0])
        return float(np.abs(said).mean()), 0.0

    return Contender(run, parameters, onnxruntime.get_device().lower(), packages, answers)


def shipped_parameters() -> int:
    """Return how many values of the shipped network are trained."""
    with safe_open(WEIGHTS / "model.safetensors", "np") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys() if name.startswith("params/")]  # noqa: SIM118
    return sum(map(math.prod, shapes))


def exported(case: Case, images: np.ndarray, path: Path, load) -> tuple[onnxruntime.InferenceSession, int]:
    """Return a network that PyTorch exported, whose logits are PyTorch's, and how many values of it are trained."""
    import torch
    from contenders.pytorch import Network

    network = Network(case.network).eval()
    example = torch.from_numpy(images)
    torch.onnx.export(network, (example,), path, input_names=["images"], dynamo=True, verbose=False)
    session = load(path)
    with torch.no_grad():
        np.testing.assert_allclose(session.run(None, {"images": images})[0], network(example), atol=1e-3)
    return session, sum(parameter.numel() for parameter in network.parameters())
