"""Every layout, from the folder as people hold it to a trained network: check, prepare and fit."""

import numpy as np
import pytest
from formats import FORMATS, class_shown

from jaxfer.config import Config, DataConfig, LossConfig
from jaxfer.data import check, load, prepare
from jaxfer.emotions import AFFECTNET_7
from jaxfer.models import ResNetFER
from jaxfer.training import fit


@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
def test_a_layout_is_checked_prepared_and_trained_on(format_, tmp_path):
    raw, out = tmp_path / "raw", tmp_path / "prepared"
    raw.mkdir()
    expected = format_.write(raw, 2)
    used = {name: label for name, (split, label) in expected.items() if split != "test"}

    found = check(raw, label_order=format_.label_order).to_dict()
    assert found["layout"] == format_.layout
    assert sum(split["images"] for split in found["splits"].values()) == len(expected)

    classes = len(format_.classes)
    prepare(raw, out, num_classes=classes, image_size=32, label_order=format_.label_order)
    options = {"image_size": 32, "num_classes": classes, "max_unreadable": 1.0}
    prepared = load(DataConfig(data_dir=out, **options))
    straight = load(DataConfig(data_dir=raw, label_order=format_.label_order, **options))
    assert prepared.fingerprint == straight.fingerprint, "the same images and labels in the same order"
    assert len(prepared.train) + len(prepared.val) == len(used)
    if not format_.gray:
        for split in (prepared.train, prepared.val):
            shown = [class_shown(image) for image in np.asarray(split.images)]
            assert shown == [prepared.class_names[label] for label in split.labels]

    config = Config(data=DataConfig(**options), loss=LossConfig(l2=0.0), epochs=1, batch_size=8)
    _, history = fit(config, prepared, model=ResNetFER(width=4, stage_sizes=(1,), num_classes=classes))
    assert np.isfinite(history[-1]["val_loss"])
    assert prepared.class_names[:7] == AFFECTNET_7
