"""Every layout, from the folder as people hold it to a trained network: check, prepare and fit."""

import numpy as np
import pytest
from formats import FORMATS, class_shown

from jaxfer.config import Config, DataConfig, LossConfig, PrepareConfig
from jaxfer.data import check, load, prepare
from jaxfer.emotions import AFFECTNET_7
from jaxfer.models import ResNetFER
from jaxfer.training import fit

pytestmark = pytest.mark.long


def options(format_):
    return {"image_size": 32, "num_classes": len(format_.classes), "max_unreadable": 1.0}


@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
def test_a_layout_is_checked_and_prepared(format_, tmp_path):
    raw, out = tmp_path / "raw", tmp_path / "prepared"
    raw.mkdir()
    expected = format_.write(raw, 2)
    used = {name: label for name, (split, label) in expected.items() if split != "test"}

    found = check(raw, label_order=format_.label_order).to_dict()
    assert found["layout"] == format_.layout
    assert sum(split["images"] for split in found["splits"].values()) == len(expected)

    classes = len(format_.classes)
    prepare(raw, out, PrepareConfig(num_classes=classes, image_size=32, label_order=format_.label_order))
    prepared = load(DataConfig(data_dir=out, **options(format_)))
    straight = load(DataConfig(data_dir=raw, label_order=format_.label_order, **options(format_)))
    assert prepared.fingerprint == straight.fingerprint, "the same images and labels in the same order"
    assert len(prepared.train) + len(prepared.val) == len(used)
    if not format_.gray:
        for split in (prepared.train, prepared.val):
            shown = [class_shown(image) for image in np.asarray(split.images)]
            assert shown == [prepared.class_names[label] for label in split.labels]
    assert prepared.class_names[:7] == AFFECTNET_7


# What is trained on has the same shapes for every layout of as many classes.
SHAPES = {len(format_.classes): format_ for format_ in FORMATS}


@pytest.mark.parametrize(
    "format_",
    [
        pytest.param(format_, marks=() if format_ in SHAPES.values() else pytest.mark.slow, id=format_.name)
        for format_ in FORMATS
    ],
)
def test_a_layout_is_trained_on(format_, tmp_path):
    format_.write(tmp_path, 2)
    config = Config(
        data=DataConfig(data_dir=tmp_path, label_order=format_.label_order, **options(format_)),
        loss=LossConfig(l2=0.0),
        epochs=1,
        batch_size=8,
    )
    network = ResNetFER(width=4, stage_sizes=(1,), num_classes=len(format_.classes))
    _, history = fit(config, load(config.data), model=network)
    assert np.isfinite(history[-1]["val_loss"])
