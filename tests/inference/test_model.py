"""The folder of a network that people share: what comes back is what was saved, or nothing."""

import dataclasses
import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import Linear, drawn
from safetensors.numpy import load_file, save_file

from jaxfer.config import PRESETS, Config, DataConfig, ModelConfig, to_json
from jaxfer.data.layouts.fer2013.votes import CHOICES
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8, from_word
from jaxfer.errors import UserError
from jaxfer.inference import FaceModel, load_model, save_model
from jaxfer.models import MODELS, compiled_for
from jaxfer.models.pretrained import safetensors
from jaxfer.runs.load import Trained
from jaxfer.tasks import make_network

CONFIG = ModelConfig(variant="published", gray=True, standardize=True, dropout=0.2, heads=("votes",))
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def model():
    network = make_network(CONFIG, 7)
    notes = {"data": "noise", "accuracy": 0.5}
    return FaceModel(network, drawn(network, IMAGES[:1]), AFFECTNET_7, 32, 1.5, CONFIG, notes, "votes")


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    return save_model(model, tmp_path_factory.mktemp("models") / "noise")


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def test_it_comes_back_as_it_was_but_for_kernels_rounded_to_float16(model, saved):
    found = load_model(saved)
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "model.safetensors"]
    for field in dataclasses.fields(model):
        assert field.name == "variables" or getattr(found, field.name) == getattr(model, field.name)

    def same(own, other):
        rounded = np.float32(np.float16(own)) if own.ndim > 1 else own
        np.testing.assert_array_equal(other, rounded)
        assert other.dtype == np.float32

    jax.tree.map(same, model.variables, found.variables)


def test_it_is_pickled_and_shown_in_a_line_or_two(model):
    before = model.probabilities(IMAGES)  # and so has compiled its network
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.probabilities(IMAGES), before)
    assert again.network == model.network
    assert "Array" not in repr(model)


@pytest.mark.parametrize("variant", MODELS)
def test_networks_are_equal_after_pickling(variant):
    network = make_network(ModelConfig(variant=variant, heads=("affect", "votes")), 7)
    for one in (network, compiled_for(network, "cpu")):
        again = pickle.loads(pickle.dumps(one))
        assert again == one
        assert hash(again) == hash(one)


def test_it_predicts_what_its_network_says_divided_by_the_temperature(saved):
    found = load_model(str(saved))
    outputs = jax.jit(lambda v: found.network.apply(v, IMAGES, train=False))(found.variables)
    np.testing.assert_allclose(found.outputs(IMAGES)["votes"], outputs["votes"], rtol=1e-3, atol=1e-4)
    expected = np.exp(np.float64(outputs["logits"]) / 1.5)
    probabilities = found.probabilities(IMAGES, "expression")
    assert found.names("expression") == AFFECTNET_7
    assert (probabilities.shape, probabilities.dtype) == ((5, 7), np.float32)
    np.testing.assert_allclose(probabilities, expected / expected.sum(1, keepdims=True), rtol=1e-3, atol=1e-5)


def test_what_people_would_see_are_the_votes_that_name_an_expression_in_affectnets_order(saved):
    found = load_model(saved)
    votes = np.exp(np.float64(found.outputs(IMAGES)["votes"]))
    shares = dict(zip(map(from_word, CHOICES[:8]), (votes[:, :8] / votes[:, :8].sum(1, keepdims=True)).T, strict=True))
    assert found.names() == AFFECTNET_8
    np.testing.assert_allclose(found.probabilities(IMAGES).T, [shares[name] for name in AFFECTNET_8], rtol=1e-5)


def test_views_are_averaged_unless_the_model_or_the_caller_says_one(model):
    def mean(images, way):
        both = (one.probabilities(images, "expression", "one") for images in (images, images[:, :, ::-1]))
        return np.mean(list(both), axis=0) if way == "flip" else one.probabilities(images, "expression", "one")

    one = dataclasses.replace(model, temperature=1.0)
    flipped = dataclasses.replace(one, views="flip")
    for way, asked in (
        ("flip", one.probabilities(IMAGES, "expression", "flip")),
        ("one", one.probabilities(IMAGES, "expression")),
    ):
        np.testing.assert_allclose(asked, mean(IMAGES, way), rtol=1e-4)
    np.testing.assert_array_equal(flipped.probabilities(IMAGES), one.probabilities(IMAGES, views="flip"))
    assert not np.array_equal(flipped.probabilities(IMAGES), one.probabilities(IMAGES))


def test_the_same_pixels_in_any_type_give_the_same_answer(model):
    expected = model.probabilities(IMAGES)
    for kind in (np.int16, np.int32, np.int64):
        np.testing.assert_array_equal(model.probabilities(IMAGES.astype(kind)), expected)
    for kind, atol in ((np.float32, 1e-5), (np.float64, 1e-5), (np.float16, 1e-2), (jnp.bfloat16, 2e-2)):
        floats = (IMAGES.astype(np.float32) / 255).astype(kind)
        np.testing.assert_allclose(model.probabilities(floats), expected, atol=atol)
    np.testing.assert_allclose(model.probabilities(jnp.asarray(IMAGES)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (IMAGES[0], r"shape \[32, 32, 3\]: pass \[b, h, w, 3\], one image as image\[None\]"),
        (IMAGES.astype(np.float32), "float32 have values from 0 to 255: pass integers from 0 to 255"),
        (IMAGES / 127.5 - 1, "float64 have values from -1 to 1"),
        (np.where(IMAGES > 9, np.nan, 0.5), "have values from nan to nan"),
        (IMAGES.astype(np.int32) - 1, "int32 have values from -1 to 254"),
        (IMAGES.astype(np.uint16), "divide them by 257"),
        (IMAGES > 9, "are of bool"),
        (IMAGES.astype(object), "are of object"),
        (IMAGES[..., :2], "have 2 channels"),
    ],
)
def test_images_of_other_shapes_or_values_are_refused(model, images, words):
    with pytest.raises(UserError, match=words):
        model.probabilities(images)


def test_what_it_cannot_answer_is_a_sentence(model):
    without = dataclasses.replace(model, config=dataclasses.replace(CONFIG, heads=()), answer="expression")
    assert without.names() == AFFECTNET_7
    with pytest.raises(UserError, match="the network has no answer 'votes': ask for expression"):
        without.probabilities(IMAGES, "votes")
    with pytest.raises(UserError, match="the network has no answer 'people': ask for expression or votes"):
        model.names("people")


def test_the_same_network_gives_the_same_bytes_and_nothing_is_overwritten(model, saved, tmp_path):
    again = save_model(model, tmp_path / "deeper" / "again")
    for name in ("config.json", "model.safetensors"):
        assert (again / name).read_bytes() == (saved / name).read_bytes()
    with pytest.raises(UserError, match="again exists: name a folder that does not"):
        save_model(model, again)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="link exists"):
        save_model(model, tmp_path / "link")
    assert [path.name for path in (tmp_path / "deeper").iterdir()] == ["again"]


def test_a_network_of_ones_own_is_passed_again(tmp_path):
    network = Linear()
    config = ModelConfig(variant="networks:Linear")
    own = FaceModel(network, drawn(network, IMAGES[:1]), AFFECTNET_7, 32, 1.0, config, {})
    folder = save_model(own, tmp_path / "own")
    assert load_model(folder, network=network).probabilities(IMAGES).shape == (5, 7)
    with pytest.raises(UserError, match=r"networks:Linear is not one of jaxfer's .*: pass it as an object"):
        load_model(folder)


def test_values_that_float16_cannot_say_are_refused(model, tmp_path):
    for value in (np.nan, 1e5):
        broken = jax.tree.map(np.array, model.variables)
        broken["params"]["head"]["kernel"][0, 0] = value
        with pytest.raises(UserError, match="params/head/kernel has values that are not finite or too large"):
            save_model(dataclasses.replace(model, variables=broken), tmp_path / "broken")
        assert not list(tmp_path.iterdir())


def test_the_library_of_the_format_reads_the_file_and_its_files_are_read(saved, tmp_path):
    ours = safetensors.decode((saved / "model.safetensors").read_bytes())
    theirs = load_file(saved / "model.safetensors")
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array)
    arrays = {name: np.arange(6).reshape(2, 3).astype(dtype) for name, dtype in safetensors.DTYPES.items()}
    arrays |= {"scalar": np.array(3, np.float32), "empty": np.zeros((0, 4), np.float32)}
    save_file(arrays, tmp_path / "theirs", metadata={"who": "they"})
    found = safetensors.decode((tmp_path / "theirs").read_bytes())
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
    assert safetensors.encode(dict(reversed(arrays.items()))) == safetensors.encode(arrays)


def test_a_changed_bit_anywhere_is_refused(folder):
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    for place in (0, 9, 300, len(content) // 2, len(content) - 1):
        content[place] ^= 4
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"is not the file that config\.json was written with: copy"):
            load_model(folder)
        content[place] ^= 4


def header(entries, data=b"\0" * 8):
    text = json.dumps(entries).encode() if not isinstance(entries, bytes) else entries
    return len(text).to_bytes(8, "little") + text + data


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
HOSTILE = {
    "nothing": b"",
    "half a length": b"\1\0\0",
    "a header of 2 GB": (2**31).to_bytes(8, "little") + b"{}",
    "a header beyond the end": (100).to_bytes(8, "little") + b"{}",
    "no JSON": header(b"\x80\x04\x95 pickled"),
    "nested": header(b"[" * 100_000),
    "no object": header([1]),
    "an entry that is none": header({"a": 3}),
    "another dtype": header({"a": ENTRY | {"dtype": "BF17"}}),
    "a dtype that is a list": header({"a": ENTRY | {"dtype": ["F32"]}}),
    "a negative place": header({"a": ENTRY | {"data_offsets": [-8, 0]}}),
    "a place of one number": header({"a": ENTRY | {"data_offsets": [8]}}),
    "a place with a fraction": header({"a": ENTRY | {"data_offsets": [0, 8.0]}}),
    "a shape that is too large": header({"a": ENTRY | {"shape": [2**40, 2**40]}}),
    "overlapping": header({"a": ENTRY, "b": ENTRY}),
    "a gap": header({"a": ENTRY | {"data_offsets": [4, 12]}}, b"\0" * 12),
    "beyond the end": header({"a": ENTRY}, b"\0" * 7),
    "more bytes": header({"a": ENTRY}, b"\0" * 9),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_is_no_safetensors_is_a_sentence(content, folder):
    with pytest.raises(ValueError, match=r"its header|the bytes of|what it says of|it has bytes"):
        safetensors.decode(content)
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(said | {"sha256": hashlib.sha256(content).hexdigest()}))
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"copy holds no model that is understood \(.*\): copy it again"):
        load_model(folder)


def changed(**fields):
    return lambda said: said | fields


def network(**fields):
    return lambda said: said | {"network": said["network"] | fields}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda said: [said], "does not describe a model of jaxfer"),
        (changed(library="keras"), "does not describe a model of jaxfer"),
        (lambda said: {name: value for name, value in said.items() if name != "temperature"}, "does not describe"),
        (changed(format=2), "was written in the form 2: install a newer jaxfer"),
        (changed(temperature=0), "its class_names, image_size or temperature cannot be"),
        (changed(temperature="warm"), "its class_names, image_size or temperature cannot be"),
        (changed(image_size=10**9), "its class_names, image_size or temperature cannot be"),
        (changed(answer="people"), "its answer or views cannot be"),
        (changed(answer=["votes"]), "its answer or views cannot be"),
        (changed(views={}), "its answer or views cannot be"),
        (lambda said: network(heads=[])(said) | {"answer": "votes"}, "are of another network than config.json says"),
        (changed(class_names=["a"]), "its class_names, image_size or temperature cannot be"),
        (changed(class_names=[["a"], ["b"]]), "its class_names, image_size or temperature cannot be"),
        (changed(class_names=list(AFFECTNET_7)[:6]), "are of another network than config.json says: params/head"),
        (changed(network=3), "its network or notes are no objects"),
        (network(variant="resnet18"), "are of another network than config.json says"),
        (network(variant="os:system"), "holds no model that is understood"),
        (network(heads=[]), "are of another network than config.json says: params/votes_head"),
        (network(heads=["../../etc"]), "holds no model that is understood"),
        (network(heads=3), "holds no model that is understood"),
        (network(depth=3), "holds no model that is understood"),
        (network(gray=False), "are of another network than config.json says: params/stem_conv/kernel"),
        (network(dropout=7), "dropout is 7"),
        (network(gray="../../etc"), "config.json: network: gray is damaged"),
        (network(standardize=None), "config.json: network: standardize is damaged"),
        (changed(framing=[]), "config.json: framing is damaged"),
        (changed(temperature=1e-300), "its class_names, image_size or temperature cannot be"),
    ],
)
def test_a_config_that_was_changed_is_a_sentence(change, words, folder):
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(change(said)))
    with pytest.raises(UserError) as refused:
        load_model(folder)
    assert words in str(refused.value)


def test_weights_that_cannot_be_are_a_sentence(model, tmp_path):
    negative = jax.tree_util.tree_map_with_path(
        lambda path, leaf: -leaf - 1 if path[-1].key == "var" else leaf, model.variables
    )
    with pytest.raises(UserError, match="have negative variances"):
        load_model(save_model(dataclasses.replace(model, variables=negative), tmp_path / "negative"))
    with pytest.raises(UserError, match="answers are no numbers"):
        model.shares({"logits": np.array([[np.inf] + [0.0] * 6])}, "expression")


def test_a_folder_without_its_files_is_a_sentence(folder, tmp_path):
    (folder / "config.json").rename(tmp_path / "kept")
    with pytest.raises(UserError, match=r"holds no model: config\.json cannot be read \(No such file"):
        load_model(folder)
    with pytest.raises(UserError, match=r"none does not exist: pass small, or the folder of a model or a run"):
        load_model(tmp_path / "none")
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json is not JSON"):
        load_model(folder)
    (tmp_path / "kept").rename(folder / "config.json")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model\.safetensors cannot be read \(No such file"):
        load_model(folder)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"temperature": 0.0}, "the model's class_names, image_size or temperature cannot be"),
        ({"image_size": 20}, "the model's class_names, image_size or temperature cannot be"),
        ({"class_names": ("a",) * 7}, "the model's class_names, image_size or temperature cannot be"),
        ({"class_names": AFFECTNET_7[:6]}, "the model's class_names, which are not as many"),
        ({"views": "six"}, "the model's answer or views cannot be"),
    ],
)
def test_what_nobody_could_load_is_not_saved(model, tmp_path, fields, words):
    with pytest.raises(UserError, match=words):
        save_model(dataclasses.replace(model, **fields), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_the_folder_of_a_run_is_told_from_that_of_a_model(tmp_path):
    (tmp_path / "config.json").write_text(to_json(PRESETS["demo"]))
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(UserError, match=r"not describe a model of jaxfer: jaxfer\.Predictor\.load loads runs"):
        load_model(tmp_path)


def test_images_that_are_too_small_are_refused_by_a_sentence(model):
    with pytest.raises(UserError, match="images are 1x1: pass at least 32x32 pixels"):
        model.probabilities(np.zeros((1, 1, 1, 3), np.uint8))


def test_jax_flax_and_numpy_suffice(saved):
    program = (
        "import sys\n"
        "for name in 'msgspec scipy PIL tyro matplotlib safetensors tensorflow_datasets jinja2 grain'.split():\n"
        "    sys.modules[name] = None  # importing it fails\n"
        "import numpy as np, jaxfer\n"
        "model = jaxfer.load_model(sys.argv[1])\n"
        "print(model.probabilities(np.zeros((1, 32, 32, 3), np.uint8), views='ten').shape)\n"
    )
    command = [sys.executable, "-c", program, str(saved)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (ended.returncode, ended.stdout) == (0, "(1, 8)\n"), ended.stderr


def test_a_network_that_was_trained_in_bfloat16_answers_in_float32():
    short = dataclasses.replace(CONFIG, dtype="bfloat16")
    variables = drawn(make_network(CONFIG, 7), IMAGES[:1])
    config = Config(data=DataConfig(image_size=32), model=short)
    trained = Trained(Path(), config, make_network(short, 7), variables, 1, 1, True, "last", "", (), None)
    model = FaceModel.of_run(trained, AFFECTNET_7)
    wanted = FaceModel(make_network(CONFIG, 7), variables, AFFECTNET_7, 32, 1.0, CONFIG, {}, "votes")
    assert (model.config, model.network) == (CONFIG, wanted.network)
    np.testing.assert_array_equal(model.probabilities(IMAGES), wanted.probabilities(IMAGES))
