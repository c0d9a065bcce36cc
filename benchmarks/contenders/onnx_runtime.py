"""ONNX Runtime on the network that PyTorch exports, or on the shipped one. It does not train networks."""

# pyright: reportMissingImports=false
import os
import tempfile
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import onnxruntime
from contenders import shipped
from contenders.case import COMPARED, Case, Contender


def build(case: Case, _: str) -> Contender:
    """Load a network with every optimisation that ONNX Runtime has by default."""
    if case.work != "infer" or case.dtype != "float32":
        raise NotImplementedError("it applies float32 networks only")
    batches = [images for images, _ in case.batches()]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))

    def load(path: Path) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession(path, options, providers=onnxruntime.get_available_providers())

    logits, packages = None, ("onnxruntime", "onnx", "numpy")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        if case.network == "shipped":
            shipped.export(path)
            session, parameters = load(path), shipped.parameters()
            logits = np.asarray(session.run(["logits"], {"images": batches[0][:COMPARED]})[0]).tolist()
        else:
            session, parameters, packages = *exported(case, batches[0], path, load), (*packages, "torch")
    endless = cycle(batches)

    def run(steps: int) -> tuple[float, float]:
        logits = np.zeros(())
        for images in islice(endless, steps):
            logits = np.asarray(session.run(None, {"images": images})[0])
        return float(np.abs(logits).mean()), 0.0

    return Contender(run, parameters, onnxruntime.get_device().lower(), packages, logits)


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
