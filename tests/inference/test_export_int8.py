"""ONNX files of eight bits: what they cost is measured, and ONNX Runtime has the same answers."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from leaving import faces, model_of

from jaxfer.errors import UserError
from jaxfer.inference import export_model


@pytest.fixture(scope="module")
def model():
    return model_of("published", 32, width=16, heads=("affect",), standardize=True)


@pytest.fixture(scope="module")
def images():
    return faces(100, 32)


def answers(path, images):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    running = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    said = running.get_modelmeta().custom_metadata_map
    return dict(zip(["expression", "affect"], running.run(None, {"images": images}), strict=True)), said


@pytest.mark.long
def test_the_file_says_what_onnx_runtime_finds(model, images, tmp_path):
    labels = model.probabilities(images).argmax(1)
    labels[::7] = 0
    small = export_model(model, tmp_path / "small.onnx", "onnx", int8=(images, labels))
    whole = export_model(model, tmp_path / "whole.onnx", "onnx")
    onnx.checker.check_model(onnx.load(small), full_check=True)
    (eight, said), (full, _) = answers(small, images), answers(whole, images)
    cost = json.loads(said["int8"])
    measured = np.arange(100) % 5 != 0
    assert (cost["calibrated_on"], cost["measured_on"]) == (20, 80)

    def accuracy(found):
        return (found["expression"].argmax(1) == labels)[measured].mean()

    # A sum that falls between two integers may be rounded to either.
    assert cost["accuracy_float32"] == pytest.approx(accuracy(full), abs=1e-9)
    assert cost["accuracy_int8"] == pytest.approx(accuracy(eight), abs=0.03)
    same = (eight["expression"].argmax(1) == full["expression"].argmax(1))[measured].mean()
    assert cost["same_answer"] == pytest.approx(same, abs=0.03)
    assert same > 0.8
    change = np.abs(eight["expression"] - full["expression"])[measured].max()
    assert 0 < cost["largest_change"] == pytest.approx(change, abs=0.02)


def test_its_convolutions_are_of_integers_and_it_is_a_third_as_large(model, images, tmp_path):
    path = export_model(model, tmp_path / "small.onnx", "onnx", int8=(images, np.zeros(100, int)))
    whole = export_model(model, tmp_path / "whole.onnx", "onnx")
    assert path.stat().st_size < whole.stat().st_size / 2.5
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]
    assert kinds.count("QLinearConv") == 5
    assert "Conv" not in kinds
    kernels = [onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer]
    assert max(np.abs(kernel).max() for kernel in kernels if kernel.dtype == np.int8 and kernel.ndim == 4) == 64


def test_what_cannot_be_is_a_sentence(model, images, tmp_path):
    with pytest.raises(UserError, match="int8 is calibrated and measured by images, of which there are 9: pass 10"):
        export_model(model, tmp_path / "out", "onnx", int8=(images[:9], np.zeros(9, int)))
    with pytest.raises(UserError, match="int8 is for onnx, not for litert: leave it out"):
        export_model(model, tmp_path / "out", "litert", int8=(images, np.zeros(100, int)))
    assert not (tmp_path / "out").exists()
