import dataclasses
import json
from pathlib import Path

import pytest

from jaxfer.config import (
    PRESETS,
    AugmentConfig,
    Config,
    DataConfig,
    DistillConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    from_json,
    to_json,
    without_places,
)
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError

SECTIONS = (Config, DataConfig, ModelConfig, AugmentConfig, LossConfig, DistillConfig, OptimizerConfig)

NOTHING_DEFAULT = Config(
    data=DataConfig(
        data_dir=Path("faces/train set"),
        image_size=96,
        classes=("low", "disgust", "a class of one's own"),
        merge=("contempt=disgust", "sad=low", "fear=low"),
        class_names=("suprise=surprise", "a=b=none"),
        label_order="alphabetical",
        table=Path("faces/list of all.csv"),
        image_column="picture",
        val_dir=Path("val"),
        test_dir=Path("test"),
        follow_links=True,
        label_column="feeling",
        margin=0.2,
        decoder="simplejpeg",
        val_fraction=0.25,
        group_by="parent",
        max_unreadable=0.5,
        sampling="sqrt",
        soft_labels=True,
        stream=True,
        drawn_train=60,
        drawn_val=14,
    ),
    model=ModelConfig(
        variant="resnet50",
        gray=True,
        standardize=True,
        squeeze=16,
        dropout=0.3,
        heads=("affect", "votes"),
        dtype="bfloat16",
    ),
    augment=AugmentConfig(
        flip=True,
        alternate_flip=True,
        crop=8,
        shift=0.1,
        rotate=15.5,
        scale=0.2,
        resized_crop=0.2,
        trivial=0.5,
        geometric_probability=0.5,
        brightness=0.3,
        contrast=0.4,
        saturation=0.5,
        hue=20.0,
        photometric_probability=0.25,
        erase=1.0,
        erase_area=0.4,
        erase_fill="mean",
        mixup=0.2,
        cutmix=1.0,
    ),
    loss=LossConfig(label_smoothing=0.1, class_weights="balanced", l2=0.0, head_weight=0.5, logit_adjustment=1.5),
    distill=DistillConfig(
        teachers=(Path("runs/a"), Path("runs/b c")), teacher_weight=0.5, teacher_temperature=2.5, teacher_places=5
    ),
    optimizer=OptimizerConfig(
        optimizer="adamw",
        learning_rate=1 / 3,
        schedule="step",
        warmup_epochs=2.5,
        step_epochs=(1, 5, 7),
        weight_decay=1e-30,
        momentum=0.8,
        epsilon=1e-8,
        clip_norm=1.0,
        ema=0.999,
        ema_warmup=True,
        statistics_images=2048,
        sam=0.05,
        accumulate=7,
    ),
    epochs=3,
    batch_size=7,
    seed=2**32 - 1,
)

EIGHT = Config(data=DataConfig(num_classes=8))
# Neither gray images nor measured statistics go with these.
BEGUN = Config(
    model=ModelConfig(
        pretrained=Path("weights/resnet 18.pth"),
        pixel_mean=(0.485, 0.456, 0.406),
        pixel_std=(0.229, 0.224, 0.225),
        padding="symmetric",
    ),
    optimizer=OptimizerConfig(
        freeze=("stem", "stage1"), unfreeze_epochs=(2, 4), backbone_rate=0.1, layer_decay=0.8, optimizer="sgd"
    ),
)


def flat(config):
    return {
        f"{name}.{key}": value
        for name, section in vars(config).items()
        for key, value in (vars(section) if dataclasses.is_dataclass(section) else {"": section}).items()
    }


@pytest.mark.parametrize("field", flat(Config()))
def test_the_round_trip_below_changes_every_field(field):
    # Classes of one's own say themselves how many there are.
    changed = EIGHT if field == "data.num_classes" else NOTHING_DEFAULT
    changed = BEGUN if flat(changed)[field] == flat(Config())[field] else changed
    assert flat(changed)[field] != flat(Config())[field]


@pytest.mark.parametrize("config", [NOTHING_DEFAULT, EIGHT, BEGUN, *PRESETS.values()])
def test_json_gives_back_the_same_config_with_the_same_types(config):
    back = from_json(to_json(config))
    assert back == config
    assert [type(value) for value in flat(back).values()] == [type(value) for value in flat(config).values()]


def test_missing_fields_take_their_defaults():
    assert from_json("{}") == Config()
    assert from_json('{"loss": {"l2": 0.5}}') == Config(loss=LossConfig(l2=0.5))


@pytest.mark.parametrize("count", [7, 8])
def test_configs_of_releases_without_classes_have_affectnets(count):
    config = from_json(f'{{"data": {{"num_classes": {count}}}}}')
    assert config == Config(data=DataConfig(num_classes=count))
    assert config.data.vocabulary == AFFECTNET_8[:count]
    assert config.data.counted_as() == {name: name for name in AFFECTNET_8[:count]}


def test_classes_of_data_of_ones_own_have_any_names():
    config = DataConfig(classes=("calm", "stressed"))
    assert config.vocabulary == ("calm", "stressed")
    with pytest.raises(UserError, match="classes has 'calm', which no image has: pass some of neutral, "):
        config.counted_as()


@pytest.mark.parametrize("section", SECTIONS)
def test_configs_are_frozen_and_take_keywords_only(section):
    config = section()
    name = dataclasses.fields(section)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, name, getattr(config, name))
    with pytest.raises(TypeError, match="positional"):
        section(getattr(config, name))
    hash(config)


def test_the_published_preset_is_that_recipe():
    published = PRESETS["published"]
    assert (published.epochs, published.batch_size) == (50, 32)
    assert (published.data.image_size, published.data.num_classes) == (64, 7)
    assert published.model == ModelConfig(
        variant="published", gray=False, standardize=False, squeeze=None, dropout=0.0, heads=(), dtype="float32"
    )
    off = AugmentConfig(flip=False, shift=0, rotate=0, scale=0, brightness=0, contrast=0, erase=0)
    assert published.augment == off
    assert (off.crop, off.mixup, off.cutmix, off.alternate_flip) == (0, 0, 0, False)
    assert published.loss == LossConfig(label_smoothing=0.0, class_weights="none", l2=0.01)
    rule = published.optimizer
    assert (rule.sam, rule.accumulate) == (0, 1)
    assert (rule.optimizer, rule.learning_rate, rule.schedule, rule.epsilon) == ("adam", 0.001, "constant", 1e-7)
    assert (rule.warmup_epochs, rule.weight_decay, rule.clip_norm, rule.ema) == (0, 0, None, None)


NAN, INF = float("nan"), float("inf")
OTHER_VARIANTS = ("resnet-18", "seed", "", "mine:", ":Net", "mine", "my-nets:Net", 3, None, [])
INVALID = [
    (DataConfig, "data_dir", ("faces",), "a pathlib.Path"),
    (DataConfig, "table", ("faces.csv",), "a pathlib.Path"),
    (DataConfig, "val_dir", ("faces", Path("faces")), "a"),
    (DataConfig, "test_dir", ("faces", Path("faces")), "a"),
    (DataConfig, "image_column", ("picture",), "the table (--table)"),
    (DataConfig, "label_column", ("feeling",), "the table (--table)"),
    (DataConfig, "image_size", (31, 0, -64, "64", None), "from 32 to 4096 pixels"),
    (DataConfig, "num_classes", (6, 11), "7, 8"),
    (
        DataConfig,
        "classes",
        (("a",), ("a", "a"), ("a", ""), ("a", "b,c"), "ab", ["a", "b"], None),
        "two classes or more",
    ),
    (DataConfig, "merge", ("sad=fear", ["sad=fear"], (3,), None), "a tuple of texts OLD=NEW"),
    (DataConfig, "class_names", ("a=fear", ["a=fear"], (3,), None), "a tuple of texts WORD=CLASS"),
    (DataConfig, "label_order", ("alphabet",), "affectnet, alphabetical, fer2013, raf-db"),
    (DataConfig, "margin", (-0.1, 10, NAN), "a share of at least 0"),
    (DataConfig, "decoder", ("opencv", "", None), "pillow"),
    (DataConfig, "val_fraction", (0, 1, -0.1, NAN), "a share between 0 and 1"),
    (DataConfig, "group_by", ("subject", "(", "", 3), "parent, FILE.csv:COLUMN, or a pattern"),
    (DataConfig, "group_by", ("parent", "people.csv:who", "(S[0-9]+)_"), "None, since drawn faces have no groups"),
    (DataConfig, "sampling", ("none", None), "uniform, balanced, sqrt"),
    (DataConfig, "soft_labels", (True,), "a data_dir"),
    (DataConfig, "max_unreadable", (-0.1, 1.1, NAN), "a share from 0 to 1"),
    (DataConfig, "drawn_train", (0, -1), "at least 1"),
    (DataConfig, "drawn_val", (0, -1), "at least 1"),
    (
        ModelConfig,
        "variant",
        OTHER_VARIANTS,
        "published, small, strong, resnet18, resnet34, resnet50",
    ),
    (ModelConfig, "squeeze", (0, -8, "8"), "at least 1, or None"),
    (ModelConfig, "dropout", (-0.1, 1, NAN), "a share from 0 to below 1"),
    (ModelConfig, "heads", (("affect", "affect"), ("a head",), "affect", ["affect"], None), "each once"),
    (ModelConfig, "dtype", ("float16",), "float32, bfloat16"),
    (ModelConfig, "pretrained", ("resnet18.pth",), "a pathlib.Path"),
    (
        ModelConfig,
        "pixel_mean",
        ((0.5,), (0.5, 0.5, 1.1), (-0.1, 0, 0), (NAN, 0, 0), 0.5, None),
        "three numbers from 0",
    ),
    (ModelConfig, "pixel_std", ((0, 0.2, 0.2), (0.2, 0.2), (0.2, 0.2, NAN), "0.2"), "three numbers from 0.001 to 1"),
    (ModelConfig, "padding", ("SAME", "valid", None), "same, symmetric"),
    (AugmentConfig, "crop", (-1,), "at least 0"),
    (AugmentConfig, "shift", (-0.1, 1, NAN), "a share from 0 to below 1"),
    (AugmentConfig, "rotate", (-1, 181, NAN), "degrees from 0 to 180"),
    (AugmentConfig, "scale", (-0.1, 1, NAN), "a share from 0 to below 1"),
    (AugmentConfig, "brightness", (-0.1, 1, NAN), "a share from 0 to below 1"),
    (AugmentConfig, "contrast", (-0.1, 1, NAN), "a share from 0 to below 1"),
    (AugmentConfig, "resized_crop", (-0.1, 1, NAN), "a share from 0 to below 1"),
    (AugmentConfig, "trivial", (-0.1, 3.1, NAN, INF), "a strength from 0 to 3"),
    (AugmentConfig, "saturation", (-0.1, 1, NAN), "a share from 0 to below 1"),
    (AugmentConfig, "hue", (-1, 181, NAN), "degrees from 0 to 180"),
    (AugmentConfig, "geometric_probability", (-0.1, 1.1, NAN), "a probability from 0 to 1"),
    (AugmentConfig, "photometric_probability", (-0.1, 1.1, NAN), "a probability from 0 to 1"),
    (AugmentConfig, "erase", (-0.1, 1.1, NAN), "a probability from 0 to 1"),
    (AugmentConfig, "erase_area", (0, 0.01, 1.1, NAN), "a share from 0.02 to 1"),
    (AugmentConfig, "erase_fill", ("black", 0, None), "one of noise, mean"),
    (AugmentConfig, "mixup", (-0.1, 1e4, NAN, INF), "a number from 0 to 1000"),
    (AugmentConfig, "cutmix", (-0.1, 1e4, NAN, INF), "a number from 0 to 1000"),
    (LossConfig, "label_smoothing", (-0.1, 1, NAN), "a share from 0 to below 1"),
    (LossConfig, "class_weights", ("inverse",), "none, balanced"),
    (LossConfig, "l2", (-0.1, NAN, INF), "a number of at least 0"),
    (LossConfig, "head_weight", (0, -0.1, NAN, INF), "a number above 0"),
    (LossConfig, "logit_adjustment", (-0.1, NAN, INF), "a number of at least 0"),
    (DistillConfig, "teachers", (("a",), (Path("a"),) * 2, Path("a"), [Path("a")], None), "each once"),
    (DistillConfig, "teacher_weight", (-0.1, 1.1, NAN), "a share from 0 to 1"),
    (DistillConfig, "teacher_temperature", (0, -1, NAN, INF), "a number above 0"),
    (DistillConfig, "teacher_places", (0, -1), "at least 1"),
    (OptimizerConfig, "optimizer", ("rmsprop",), "adam, adamw, sgd"),
    (OptimizerConfig, "learning_rate", (0, -0.1, NAN, INF), "a number above 0"),
    (OptimizerConfig, "schedule", ("linear",), "constant, cosine, step"),
    (OptimizerConfig, "warmup_epochs", (-1, NAN, INF), "a number of at least 0"),
    (OptimizerConfig, "step_epochs", ((0, 10), (20, 10), (10, 10)), "epochs above 0 in rising order"),
    (OptimizerConfig, "weight_decay", (-0.1, NAN, INF), "a number of at least 0"),
    (OptimizerConfig, "weight_decay", (0.1,), "0 for adam, or choose adamw"),
    (OptimizerConfig, "momentum", (-0.1, 1, NAN), "a number from 0 to below 1"),
    (OptimizerConfig, "epsilon", (0, -1e-7, NAN, INF), "a number above 0"),
    (OptimizerConfig, "clip_norm", (0, -1, NAN), "a number above 0, or None"),
    (OptimizerConfig, "ema", (0, 1, -0.1, NAN), "a decay between 0 and 1"),
    (OptimizerConfig, "sam", (-0.1, NAN, INF), "a number of at least 0"),
    (OptimizerConfig, "accumulate", (0, -1), "at least 1"),
    (OptimizerConfig, "freeze", ("stem", ["stem"], (3,), None), "how names of parts begin"),
    (OptimizerConfig, "unfreeze_epochs", ((0, 1), (2, 1)), "epochs above 0 in rising order"),
    (OptimizerConfig, "unfreeze_epochs", ((1,),), "at most as many as freeze has parts"),
    (OptimizerConfig, "backbone_rate", (0, -0.1, 1.1, NAN), "a share above 0, to 1, or None"),
    (OptimizerConfig, "layer_decay", (0, -0.1, 1.1, NAN), "a share above 0, to 1, or None"),
    (OptimizerConfig, "statistics_images", (-1,), "a number of images, at least 0"),
    (Config, "epochs", (0, -1), "at least 1"),
    (Config, "batch_size", (0, -1), "at least 1"),
    (Config, "seed", (-1, 2**32), "a whole number from 0 to 4294967295"),
]


@pytest.mark.parametrize(
    ("section", "name", "value", "wanted"),
    [(section, name, value, wanted) for section, name, values, wanted in INVALID for value in values],
)
def test_an_invalid_value_is_refused_with_its_name_and_what_to_pass(section, name, value, wanted):
    with pytest.raises(UserError) as caught:
        section(**{name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} is {value!r}: pass ")
    assert wanted in message


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_that_can_be_invalid_is_in_the_table(section):
    # The fields with a factory are the sections of a config.
    values = {field.name for field in dataclasses.fields(section) if field.default is not dataclasses.MISSING}
    yes_or_no = {"flip", "ema_warmup", "alternate_flip", "stream", "follow_links", "gray", "standardize"}
    assert values - yes_or_no == {name for kind, name, *_ in INVALID if kind is section}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"epoch": 3}, "['epoch']: pass only the fields data, model"),
        ({"model": {"depth": 18}}, "model is ['depth']: pass only the fields variant"),
        ([], "[]: pass an object"),
        (None, "None: pass an object"),
        ({"data": []}, "data is []: pass an object"),
        ({"epochs": "3"}, "epochs is '3': pass a value of type int"),
        ({"epochs": 3.0}, "epochs is 3.0: pass a value of type int"),
        ({"epochs": True}, "epochs is True: pass a value of type int"),
        ({"epochs": None}, "epochs is None: pass a value of type int"),
        ({"loss": {"l2": True}}, "loss: l2 is True: pass a value of type float"),
        ({"loss": {"l2": "0.1"}}, "loss: l2 is '0.1': pass a value of type float"),
        ({"augment": {"flip": 1}}, "augment: flip is 1: pass a value of type bool"),
        ({"data": {"data_dir": 3}}, "data: data_dir is 3: pass a path"),
        ({"data": {"num_classes": "7"}}, "data: num_classes is '7': pass one of 7, 8"),
        ({"data": {"num_classes": 7.0}}, "data: num_classes is 7.0: pass one of 7, 8"),
        ({"model": {"variant": "vgg"}}, "model: variant is 'vgg': pass one of published, small, strong, resnet18"),
        ({"model": {"variant": []}}, "model: variant is []: pass one of published, small, strong, resnet18"),
        ({"model": {"heads": "affect"}}, "model: heads is 'affect': pass a list"),
        ({"model": {"heads": [1]}}, "model: heads is 1: pass a value of type str"),
        ({"model": {"valence_arousal": 1}}, "model is ['valence_arousal']: pass only the fields variant"),
        ({"optimizer": {"step_epochs": 30}}, "optimizer: step_epochs is 30: pass a list"),
        ({"optimizer": {"step_epochs": [1.5]}}, "optimizer: step_epochs is 1.5: pass a value of type int"),
        ({"optimizer": {"clip_norm": "1"}}, "optimizer: clip_norm is '1': pass a value of type float"),
        ({"epochs": 0}, "epochs is 0: pass at least 1"),
        ({"distill": {"teachers": "runs/a"}}, "distill: teachers is 'runs/a': pass a list"),
        ({"distill": {"teachers": [3]}}, "distill: teachers is 3: pass a path"),
        ({"distill": {"teacher_weight": 2}}, "distill: teacher_weight is 2.0: pass a share from 0 to 1"),
        ({"model": {"dropout": 2}}, "model: dropout is 2.0: pass a share"),
    ],
)
def test_json_that_is_no_config_is_refused_with_its_file_and_what_to_pass(values, complaint):
    with pytest.raises(UserError) as caught:
        from_json(json.dumps(values), source="runs/7/config.json")
    message = str(caught.value)
    assert message.startswith("runs/7/config.json")
    assert complaint in message


@pytest.mark.parametrize("text", ["", "epochs: 3", '{"epochs": 3', "{'epochs': 3}"])
def test_text_that_is_not_json_is_refused_with_its_file(text):
    with pytest.raises(UserError, match=r"^runs/7/config\.json is damaged: it is not JSON"):
        from_json(text, source="runs/7/config.json")


def test_a_whole_number_in_json_serves_as_a_float():
    l2 = from_json('{"loss": {"l2": 1}}').loss.l2
    assert (l2, type(l2)) == (1.0, float)


@pytest.mark.parametrize("variant", ["mine:Net", "_nets.faces:Small.deep"])
def test_a_network_of_ones_own_is_named_by_its_module_and_never_imported_here(variant):
    config = Config(model=ModelConfig(variant=variant))
    assert from_json(to_json(config)) == config


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"gray": True}, "gray is True: pass False with a network of your own"),
        ({"standardize": True}, "standardize is True: pass False with a network of your own"),
        ({"squeeze": 8}, "squeeze is 8: pass None with a network of your own"),
    ],
)
def test_what_jaxfers_networks_alone_do_is_refused_with_a_network_of_ones_own(fields, words):
    with pytest.raises(UserError, match=words):
        ModelConfig(variant="mine:Net", **fields)
    ours = ModelConfig(variant="small", dropout=0.2, **fields)
    assert ours.naming("mine:Net") == ModelConfig(variant="mine:Net", dropout=0.2)


def test_a_config_without_the_newer_properties_of_a_network_has_the_network_of_its_day():
    old = json.loads(to_json(Config(model=ModelConfig(variant="resnet18", dropout=0.1))))
    for name in ("gray", "standardize", "squeeze"):
        del old["model"][name]
    assert from_json(json.dumps(old)).model == ModelConfig(
        variant="resnet18", gray=False, standardize=False, squeeze=None, dropout=0.1
    )


def test_a_config_from_before_there_were_teachers_has_none():
    old = json.loads(to_json(Config(epochs=3)))
    del old["distill"], old["loss"]["logit_adjustment"]
    assert from_json(json.dumps(old)) == Config(epochs=3)
    assert not Config().distill.is_on
    assert DistillConfig(teachers=(Path("runs/a"),)).is_on
    assert not DistillConfig(teachers=(Path("runs/a"),), teacher_weight=0.0).is_on


def test_a_config_of_a_run_made_before_is_read_with_the_names_of_today():
    old = {
        "model": {"variant": "seed", "dropout": 0.1, "valence_arousal": True, "dtype": "float32"},
        "loss": {"label_smoothing": 0.0, "class_weights": "none", "l2": 0.01, "affect_weight": 0.5},
    }
    assert from_json(json.dumps(old)) == Config(
        model=ModelConfig(variant="published", dropout=0.1, heads=("affect",)), loss=LossConfig(head_weight=0.5)
    )
    assert from_json('{"model": {"variant": "seed", "valence_arousal": false}}') == Config()
    with pytest.raises(UserError, match=r"config\.json: loss: head_weight is 0\.0: pass a number above 0"):
        from_json('{"loss": {"affect_weight": 0.0}}')


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        (
            {"data": DataConfig(sampling="balanced"), "loss": LossConfig(logit_adjustment=1.0)},
            "logit_adjustment is 1.0: pass 0 with balanced sampling, which evens out classes already",
        ),
        ({"augment": AugmentConfig(crop=64)}, "crop is 64: pass fewer pixels than the images have, 64"),
        ({"optimizer": OptimizerConfig(accumulate=5)}, "accumulate is 5: pass a number that divides batch_size 32"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(sections, words):
    with pytest.raises(UserError, match=words):
        Config(**sections)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: ModelConfig(pixel_mean=(0.5,) * 3), "pass both pixel_mean and pixel_std, or neither"),
        (lambda: ModelConfig(pixel_mean=(0.5,) * 3, pixel_std=(0.5,) * 3, gray=True), "with gray or standardize"),
        (lambda: ModelConfig(variant="ir50", squeeze=8), "squeeze is 8: pass None with ir50"),
        (lambda: ModelConfig(variant="mine:Network", padding="symmetric"), "which decides that itself"),
        (lambda: OptimizerConfig(freeze=("stem",), statistics_images=9), "pass 0 with freeze"),
    ],
)
def test_what_does_not_go_together_is_refused(make, complaint):
    with pytest.raises(UserError, match=complaint):
        make()


def test_what_is_shared_of_a_config_names_no_file():
    data = DataConfig(
        **{name: Path("/home/ada") / name for name in ("data_dir", "val_dir", "test_dir", "table")},
        image_column="path",
        group_by="/home/ada/people.csv:subject",
        image_size=48,
    )
    model = ModelConfig(pretrained=Path("/home/ada/weights.pth"), gray=True)
    config = Config(data=data, model=model, distill=DistillConfig(teachers=(Path("/home/ada/teacher"),)), seed=3)
    shared = without_places(config)
    assert "home" not in json.dumps(shared)
    kept = Config(data=DataConfig(image_size=48), model=ModelConfig(gray=True), distill=DistillConfig(), seed=3)
    wanted = json.loads(to_json(kept))
    wanted["data"]["image_column"] = "path"
    assert shared == wanted
    # A pattern of paths is no path.
    patterned = without_places(Config(data=DataConfig(data_dir=Path("faces"), group_by="(S[0-9]+)_")))
    assert patterned["data"]["group_by"] == "(S[0-9]+)_"
