"""Weights to start from: read from true files, put where they belong, and answering as in PyTorch."""

import io
import json
import pickle
import runpy
import zipfile
from functools import cache, partial
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import pytest
from networks import Linear, drawn
from safetensors import safe_open
from safetensors.numpy import save_file

from jaxfer.config import ModelConfig
from jaxfer.emotions import AFFECTNET_7
from jaxfer.errors import UserError
from jaxfer.inference import FaceModel, save_model
from jaxfer.models import (
    AdaFace18,
    Head,
    IRNet18,
    ResNetFER,
    ResNetFER18,
    ResNetFER50,
    compiled_for,
    load_pretrained,
    variable_shapes,
)
from jaxfer.models.pretrained import archives, read_weights, weights_of

HERE = Path(__file__).parent
SCRIPT = runpy.run_path(str(HERE.parents[1] / "benchmarks" / "torch_activations.py"))
SEEN = {"padding": "symmetric", "pixel_mean": (0.5,) * 3, "pixel_std": (0.25,) * 3}
NETWORKS = {"basic": ResNetFER18, "bottleneck": ResNetFER50, "ir": IRNet18, "adaface": AdaFace18}


def small(name, **fields):
    return NETWORKS[name](**{"stage_sizes": (1, 1, 1, 1)} | SEEN | fields)


def zeros(model):
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), variable_shapes(model, 64))


@cache
def state(name):
    """Return the weights that PyTorch had, by its keys."""
    with safe_open(HERE / "torch_activations.safetensors", "np") as file:
        network = json.loads(file.metadata()["networks"])[name]
    return SCRIPT["drawn"]({key: tuple(shape) for key, shape in network["shapes"].items()}, network["seed"])


@pytest.fixture
def saved(tmp_path):
    def save(arrays, name="weights.safetensors"):
        save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, tmp_path / name)
        return tmp_path / name

    return save


def maps(model, variables, side):
    """Return the mean over the channels of each stage's map, [h, w], and over the places of the last one, [c]."""
    kept = ("stage1_block1", "stage2_block1", "stage3_block1", "stage4_block1", "final_norm")
    call = partial(model.apply, capture_intermediates=lambda module, _: module.name in kept, mutable=["intermediates"])
    _, found = jax.jit(call)(variables, SCRIPT["images"](side))
    last = {name: values["__call__"][0] for name, values in found["intermediates"].items()}
    numbered = {f"stage{place + 1}": last[name][0].mean(-1) for place, name in enumerate(kept) if name in last}
    return numbered | {"features": last["final_norm" if "final_norm" in last else "stage4_block1"][0].mean((0, 1))}


# Down to odd sides the two large ones are alike.
@pytest.mark.parametrize(
    "side", [pytest.param(224, marks=pytest.mark.long), pytest.param(112, marks=pytest.mark.slow), 64]
)
@pytest.mark.parametrize("name", NETWORKS)
def test_activations_are_pytorchs(name, side, saved):
    # In PyTorch's form for all, and once as a program for a CPU computes it.
    model = compiled_for(small(name), "cpu" if (name, side) == ("basic", 64) else "cuda")
    variables, _ = load_pretrained(model, zeros(model), saved(state(name)))
    found = maps(model, variables, side)
    with safe_open(HERE / "torch_activations.safetensors", "np") as file:
        expected = {key: file.get_tensor(f"{name}/{side}/{key}") for key in found}
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=0, atol=1e-4, err_msg=key)


@pytest.mark.parametrize("side", [65, 97])
def test_on_maps_of_odd_sides_both_paddings_are_the_same(side):
    model = ResNetFER18(stage_sizes=(1, 1), width=4)
    images = SCRIPT["images"](104)[:, :side, :side]
    variables = drawn(model, images)
    logits = [
        jax.jit(model.clone(padding=padding).apply)(variables, images)["logits"] for padding in ("same", "symmetric")
    ]
    np.testing.assert_allclose(*logits, rtol=0, atol=1e-5)
    even = [
        jax.jit(model.clone(padding=padding).apply)(variables, images[:, :64, :64])["logits"]
        for padding in ("same", "symmetric")
    ]
    assert np.abs(even[0] - even[1]).max() > 1e-3


def test_the_report_says_what_was_loaded_what_is_new_and_what_is_left_over(saved):
    model = small("basic")
    before = zeros(model)
    path = saved(state("basic") | {"bn1.num_batches_tracked": np.array(5)})
    variables, report = load_pretrained(model, before, path)
    assert report.missing == ("params/head/bias", "params/head/kernel")
    assert report.left_over == ("fc.bias", "fc.weight")
    assert len(report.loaded) + 2 == len(jax.tree.leaves(before))
    assert str(report).endswith("a ResNet with torchvision's names; new are head; left over are fc.bias, fc.weight")
    assert report.to_dict()["loaded"] == len(report.loaded)
    np.testing.assert_array_equal(variables["params"]["head"]["kernel"], before["params"]["head"]["kernel"])
    kernel = state("basic")["layer2.0.downsample.0.weight"]
    np.testing.assert_array_equal(
        variables["params"]["stage2_block1"]["shortcut_conv"]["kernel"], kernel.transpose(2, 3, 1, 0)
    )


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "model.", "state_dict.model."])
@pytest.mark.parametrize("name", ["basic", "ir"])
def test_prefixes_are_stripped(name, prefix, saved):
    model = small(name)
    kept = {prefix + key: array for key, array in state(name).items()} | {"module.feature.weight": np.ones((2, 2))}
    _, report = load_pretrained(model, zeros(model), saved(kept))
    assert f"{prefix}fc.weight" in report.left_over or name == "ir"
    assert "module.feature.weight" in report.left_over


def test_an_ir_network_may_be_named_by_stages(saved):
    model = small("ir")
    stages = {f"body.{n}.": f"body{n + 1}.0." for n in range(4)}
    renamed = {}
    for key, array in state("ir").items():
        start = next((old for old in stages if key.startswith(old)), None)
        renamed[stages[start] + key.removeprefix(start) if start else key] = array
    one, _ = load_pretrained(model, zeros(model), saved(renamed))
    other, _ = load_pretrained(model, zeros(model), saved(state("ir"), "other.safetensors"))
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_timms_config_says_what_pixels_the_network_was_shown(saved, tmp_path):
    saved(state("basic"), "model.safetensors")
    shown = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet18", "pretrained_cfg": shown}))
    load_pretrained(small("basic"), zeros(small("basic")), tmp_path)
    other = small("basic", pixel_std=(0.2, 0.25, 0.25))
    with pytest.raises(
        UserError, match=r"expects a network with pixel_std \(0\.25, .* pass --pixel-std 0\.25 0\.25 0\.25"
    ):
        load_pretrained(other, zeros(other), tmp_path)


@pytest.mark.parametrize("shown", [{"mean": ["a"], "std": [1.0]}, {"mean": [0.5] * 3, "std": [0.2, 0.2, None]}])
def test_a_config_of_timms_without_three_numbers_is_a_sentence(shown, saved, tmp_path):
    saved(state("basic"), "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": shown}))
    with pytest.raises(UserError, match=r"model\.safetensors says (mean|std) \[.*\], and not three numbers"):
        read_weights(tmp_path)


REFUSED = {
    "same padding": ({"padding": "same"}, {}, "expects a network with padding 'symmetric', and this one has 'same'"),
    "no pixels declared": ({"pixel_mean": (), "pixel_std": ()}, {}, "does not say by which mean and deviation"),
    "another width": (
        {"width": 32},
        {},
        r"layer1\.0\.\S+ of .* is \[64\], and \S+/stage1_block1/\S+ .* is \[32\]",
    ),
    "more blocks": (
        {"stage_sizes": (2, 1, 1, 1)},
        {},
        r"has \S*stage1_block2/\S+, and .* has no layer1\.1\.\S+ for it",
    ),
    "fewer blocks": (
        {"stage_sizes": (1, 1, 1)},
        {},
        r"has layer4\.0\.\S+, and the network ResNetFER has no place for it",
    ),
    "biases": ({"use_bias": True}, {}, r"has params/\S+/bias, and .* has no \S+\.bias for it"),
    "excited": ({"squeeze": 8}, {}, r"excitation/\S+, and .* has no"),
    "not finite": (
        {},
        {"bn1.bias": np.full(64, np.nan)},
        r"bn1\.bias of .* has values that are not finite",
    ),
    "too large": ({}, {"bn1.bias": np.full(64, 1e300)}, r"bn1\.bias of .* has values that are not finite"),
    "of eight bits": ({}, {"bn1.bias": np.ones(64, np.uint8)}, r"bn1\.bias of .* has numbers of uint8: take"),
    "negative": (
        {},
        {"bn1.running_var": np.full(64, -1.0)},
        r"bn1\.running_var of .* has negative variances",
    ),
    "two networks": ({}, {"ema.": None}, r"holds several networks, under '' and 'ema\.'"),
    "another stem": (
        {},
        {"conv1.0.weight": np.ones((8, 3, 3, 3))},
        r"has conv1\.0\.weight, and the network",
    ),
}


@pytest.mark.parametrize(("fields", "changes", "words"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_an_error_that_names_both_sides(fields, changes, words, saved):
    arrays = dict(state("basic"))
    if "ema." in changes:
        arrays |= {f"ema.{key}": array for key, array in arrays.items()}
    else:
        arrays |= changes
    model = small("basic", **fields)
    with pytest.raises(UserError, match=words):
        load_pretrained(model, zeros(model), saved(arrays))


def test_weights_of_another_family_are_refused(saved):
    for name, other, words in (
        ("ir", "basic", "choose resnet18"),
        ("basic", "ir", "choose ir18"),
        ("ir", "adaface", "no"),
    ):
        with pytest.raises(UserError, match=words):
            load_pretrained(small(name), zeros(small(name)), saved(state(other), f"{name}-{other}.safetensors"))
    model = Linear()
    variables = drawn(model, np.zeros((1, 32, 32, 3), np.uint8))
    with pytest.raises(UserError, match="and the network is Linear"):
        load_pretrained(model, variables, saved(state("basic")))
    unknown = saved({"encoder.weight": np.ones(3), "decoder.weight": np.ones(3)}, "unknown.safetensors")
    with pytest.raises(UserError, match=r"no network that is known \(its keys are decoder\.weight, encoder\.weight\)"):
        read_weights(unknown)


def test_a_file_of_safetensors_is_known_whatever_its_length_looks_like(saved):
    arrays = {"decoder.weight": np.ones(3, np.float32)}
    begins = set()
    for length in range(40):
        path = saved(arrays | {"k" * (1 + 8 * length): np.ones(1, np.float32)})
        begins.add(path.read_bytes()[0])
        with pytest.raises(UserError, match="weights of no network that is known"):
            read_weights(path)
    assert 0x80 in begins  # with which pickles begin


# jaxfer's own


@pytest.fixture
def own():
    config = ModelConfig(gray=True, standardize=True, heads=("votes",))
    network = ResNetFER(num_classes=2, width=8, stage_sizes=(1,), gray=True, standardize=True)
    images = np.zeros((1, 32, 32, 3), np.uint8)
    return FaceModel(network, drawn(network, images), ("a", "b"), 32, 1.0, config, {})


def test_a_saved_model_is_loaded_but_for_its_heads(own, tmp_path):
    folder = save_model(own, tmp_path / "saved")
    model = own.network.clone(num_classes=3)
    before = drawn(model, np.zeros((1, 32, 32, 3), np.uint8), seed=1)
    after, report = load_pretrained(model, before, folder)
    np.testing.assert_array_equal(after["params"]["head"]["kernel"], before["params"]["head"]["kernel"])
    kernel = own.variables["params"]["stem_conv"]["kernel"]
    np.testing.assert_allclose(after["params"]["stem_conv"]["kernel"], kernel, rtol=1e-3)
    assert report.kind == "jaxfer's own"
    with pytest.raises(UserError, match="expects a network with gray True, and this one has False"):
        load_pretrained(plain := ResNetFER(width=8, stage_sizes=(1,)), zeros(plain) and _gray_stem(plain), folder)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes() + b" ")
    with pytest.raises(UserError, match=r"is not the file that its config\.json was written with"):
        load_pretrained(model, before, folder)


@pytest.mark.parametrize("edit", [{"class_names": ["b", "a"]}, {"digest": None}])
def test_a_saved_model_that_was_edited_is_refused(own, edit, tmp_path):
    config = save_model(own, tmp_path / "saved") / "config.json"
    said = json.loads(config.read_text()) | edit
    config.write_text(json.dumps({name: value for name, value in said.items() if value is not None}))
    with pytest.raises(UserError, match=r"saved/config\.json was changed after the model was saved"):
        read_weights(tmp_path / "saved")


def test_the_last_layers_are_kept_where_the_classes_are_the_same_in_the_same_order(own, tmp_path):
    folder = save_model(own, tmp_path / "saved")
    kept, report = load_pretrained(own.network, zeros(own.network), folder, ("a", "b"))
    assert report.missing == report.left_over == ()
    np.testing.assert_allclose(
        kept["params"]["head"]["kernel"], own.variables["params"]["head"]["kernel"], rtol=1e-3, atol=1e-4
    )
    # A further head that the weights lack is new, and one that the network lacks is left over.
    further = own.network.clone(heads=(Head("affect", 2),))
    assert load_pretrained(further, zeros(further), folder, ("a", "b"))[1].missing == (
        "params/affect_head/bias",
        "params/affect_head/kernel",
    )
    for names in ((), ("b", "a"), ("a", "b", "c")):
        model = own.network.clone(num_classes=len(names) or 2)
        found, report = load_pretrained(model, zeros(model), folder, names)
        assert report.missing == report.left_over == ("params/head/bias", "params/head/kernel")
        assert not found["params"]["head"]["kernel"].any()


def test_what_comes_with_jaxfer_is_known_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = read_weights(Path("small"))
    assert (weights.source, weights.class_names) == ("small", AFFECTNET_7)
    assert weights.fields["gray"]
    (tmp_path / "small").mkdir()
    with pytest.raises(UserError, match=r"small has no model\.safetensors"):
        read_weights(Path("small"))


def _gray_stem(model):
    """Return variables whose shapes are those of a network that sees one channel."""
    variables = zeros(model)
    variables["params"]["stem_conv"]["kernel"] = np.zeros((7, 7, 1, 8), np.float32)
    return variables


def test_variables_are_weights_too(own):
    after, report = load_pretrained(own.network, zeros(own.network), weights_of(own.variables, "a run", {}))
    assert report.source == "a run"
    assert len(report.digest) == 64
    stem = own.variables["params"]["stem_norm"]["scale"]
    np.testing.assert_array_equal(after["params"]["stem_norm"]["scale"], stem)


# PyTorch's archives


def test_an_archive_of_pytorch_is_read_without_it():
    found = archives.decode((HERE / "torch_saved.pth").read_bytes())
    numbers = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_array_equal(found["state_dict.0.weight"], np.linspace(0, 1, 6, dtype=np.float32).reshape(3, 2))
    np.testing.assert_array_equal(found["state_dict.turned"], numbers.transpose(2, 0, 1))
    np.testing.assert_array_equal(found["state_dict.part"], numbers[1, 1:])
    np.testing.assert_array_equal(found["state_dict.half"], numbers.astype(np.float16))
    np.testing.assert_array_equal(found["state_dict.brain"], numbers.astype(ml_dtypes.bfloat16))
    assert found["state_dict.1.num_batches_tracked"] == np.int64(7)
    assert found["state_dict.none"].shape == (0, 4)
    assert "epoch" not in found


def test_the_old_form_is_refused_with_what_to_run():
    for content in ((HERE / "torch_legacy.pth").read_bytes(), bytes(257) + b"ustar" + bytes(250)):
        with pytest.raises(ValueError, match=r"PyTorch's old form; where PyTorch is, run python -c .*torch\.save"):
            archives.decode(content)


def archive(described, entries=None, *, compression=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as file:
        file.writestr("a/data.pkl", described)
        for name, data in (entries or {}).items():
            file.writestr(f"a/{name}", data)
    return content.getvalue()


class Calls:
    def __reduce__(self):
        return print, ("called",)


def tensor(*, count=b"K\x02", offset=b"K\x00", shape=b"K\x02", stride=b"K\x01", kind=b"FloatStorage", key=b"0"):
    """Return a description of {'w': tensor}, by hand."""
    name = b"X\x01\x00\x00\x00w"
    text = (
        b"X\x07\x00\x00\x00storage"
        + b"ctorch\n"
        + kind
        + b"\n"
        + b"X\x01\x00\x00\x00"
        + key
        + b"X\x03\x00\x00\x00cpu"
        + count
    )
    storage = b"(" + text + b"tQ"
    made = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + b"(" + shape + b"t(" + stride + b"t\x89}tR"
    return b"\x80\x02}" + name + made + b"s."


DATA = {"data/0": np.float32([1, 2]).tobytes()}
HOSTILE = {
    "nothing": (b"", "neither an archive"),
    "half an archive": (archive(tensor(), DATA)[:-30], "archive is damaged"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "fetch that by git lfs pull"),
    "a zip of others": (b"PK\x05\x06" + bytes(18), "none of PyTorch's"),
    "a call": (archive(pickle.dumps({"w": Calls()}, protocol=2)), r"it names \S+\.print"),
    "a call of newer pickles": (archive(pickle.dumps({"w": Calls()}, protocol=4)), r"it names builtins\.print"),
    "eval": (archive(b"\x80\x02cbuiltins\neval\nX\x03\x00\x00\x001+1\x85R."), r"it names builtins\.eval"),
    "an old pickle's call": (archive(b"(S'ls'\nios\nsystem\n."), "it has the instruction"),
    "NumPy's scalars": (
        archive(pickle.dumps({"best": np.float64(1)}, protocol=2)),
        r"it names numpy\.\S+, and only dicts",
    ),
    "another storage": (archive(tensor(kind=b"ByteStorage"), DATA), r"it names torch\.ByteStorage"),
    "a storage that is not there": (archive(tensor(key=b"7"), DATA), "archive is damaged"),
    "a storage elsewhere": (archive(tensor(key=b"."), DATA), "refers to something else"),
    "fewer bytes": (archive(tensor(count=b"K\x03"), DATA), "w has 8 bytes, and its description says 3 numbers"),
    "more than the file": (archive(tensor(count=b"J\xff\xff\xff\x7f"), DATA), "more bytes than the file"),
    "beyond the end": (archive(tensor(offset=b"K\x01"), DATA), "reaches beyond its numbers"),
    "beyond by strides": (archive(tensor(stride=b"K\x02"), DATA), "reaches beyond its numbers"),
    "repeated": (archive(tensor(shape=b"J\xff\xff\xff\x7f", stride=b"K\x00"), DATA), "reaches beyond its numbers"),
    "negative": (archive(tensor(offset=b"J\xff\xff\xff\xff"), DATA), "something else than dicts and tensors"),
    "compressed": (archive(tensor(), DATA, compression=zipfile.ZIP_DEFLATED), "is compressed or too large"),
    "no end": (archive(b"\x80\x02}"), "its description"),
    "an empty stack": (archive(b"\x80\x02s."), "its description is not understood"),
    "no dict": (archive(b"\x80\x02K\x01."), "holds no dict of tensors but int"),
    "another byte order": (archive(tensor(), DATA | {"byteorder": b"big"}), "byte order"),
}


@pytest.mark.parametrize(("content", "words"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_archive_is_a_sentence_and_runs_nothing(content, words, tmp_path, capsys):
    with pytest.raises(ValueError, match=words):
        archives.decode(content)
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"weights\.pth holds no weights that are understood: "):
        read_weights(path)
    assert capsys.readouterr().out == ""


def test_the_archive_by_hand_is_one():
    np.testing.assert_array_equal(archives.decode(archive(tensor(), DATA))["w"], [1, 2])


def test_a_dict_that_holds_itself_ends():
    with pytest.raises(ValueError, match="nested too deep"):
        archives.decode(archive(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."))


def test_files_that_are_not_there_are_sentences(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read \(No such file"):
        read_weights(tmp_path / "none.pth")
    with pytest.raises(UserError, match=r"has no model\.safetensors"):
        read_weights(tmp_path)
