"""ONNX Runtime on the network that PyTorch exports. It applies networks and does not train them."""

# pyright: reportMissingImports=false
import os
import tempfile
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from contenders.case import Case, Contender
from contenders.pytorch import Network


def build(case: Case, _: str) -> Contender:
    """Export, load with every optimisation that ONNX Runtime has by default, and compare the logits."""
    if case.work != "infer" or case.dtype != "float32":
        raise NotImplementedError("it applies float32 networks only")
    network = Network(case.network).eval()
    batches = [images for images, _ in case.batches()]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        example = torch.from_numpy(batches[0])
        torch.onnx.export(network, (example,), path, input_names=["images"], dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(path, options, providers=onnxruntime.get_available_providers())
    with torch.no_grad():
        np.testing.assert_allclose(session.run(None, {"images": batches[0]})[0], network(example), atol=1e-3)
    endless = cycle(batches)

    def run(steps: int) -> tuple[float, float]:
        logits = np.zeros(())
        for images in islice(endless, steps):
            (logits,) = session.run(None, {"images": images})
        return float(np.abs(logits).mean()), 0.0

    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Contender(run, parameters, onnxruntime.get_device().lower(), ("onnxruntime", "onnx", "torch", "numpy"))
