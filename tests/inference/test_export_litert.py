"""LiteRT files: what its interpreter says of faces is what the network says, for every network, head and size."""

import json

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from leaving import all_of, check_answers, expected, faces, model_of, outputs, padded
from networks import VARIANTS

from jaxfer.inference import export_model
from jaxfer.inference.export import metadata
from jaxfer.inference.export.graph import graph_of
from jaxfer.inference.export.litert import encode
from jaxfer.models import MODELS


def answers(content, images):
    running = Interpreter(model_content=content, num_threads=1)
    [image] = running.get_input_details()
    running.resize_tensor_input(image["index"], images.shape, strict=True)
    return running.get_signature_runner()(images=images)


def check(model, batches=(5,)):
    content = encode(graph_of(model), metadata(model))
    for batch in batches:
        images = faces(batch, model.image_size)
        said = outputs(model.network, model.variables, images)
        check_answers(answers(content, images), expected(model, said), 1e-5)


@pytest.mark.few(1)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_network_answers_as_it_does_in_jax(variant):
    check(model_of(variant))


def test_what_is_done_to_pixels_and_every_head_is_inside():
    check(model_of("published", **all_of("published")), batches=(1, 5, 32))


@pytest.mark.slow
@pytest.mark.parametrize("size", [44, 48, 64, 112])
@pytest.mark.parametrize("variant", MODELS)
def test_every_network_as_wide_as_it_is_at_every_size(variant, size):
    check(model_of(variant, size, width=None, **all_of(variant)), batches=(1, 5, 32))


def test_a_network_of_ones_own_with_other_padding():
    check(padded())


def test_the_file_says_what_it_takes_and_returns(tmp_path):
    model = model_of("published", heads=("votes",), answer="votes")
    path = export_model(model, tmp_path / "faces.tflite", "litert")
    running = Interpreter(model_path=str(path))
    assert running.get_signature_list() == {
        "serving_default": {"inputs": ["images"], "outputs": ["expression", "votes"]}
    }
    [image] = running.get_input_details()
    assert (image["dtype"], image["shape_signature"].tolist()) == (np.uint8, [-1, 44, 44, 3])
    assert [one["shape"].tolist() for one in running.get_output_details()] == [[1, 8], [1, 7]]
    found = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    [note] = found.metadata
    said = json.loads(bytes(found.buffers[note.buffer].data))
    assert note.name == b"jaxfer"
    assert json.loads(said["class_names"]) == list(model.names())
