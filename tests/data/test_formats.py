"""Every layout, written in its true format, is recognised and read with the right splits and labels."""

import pytest
from formats import FORMATS, class_shown

from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.reading.images import decode
from jaxfer.data.reading.record import KINDS, SPLITS

each_format = pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)


def read(format_, root):
    layout, match = detect(root)
    assert layout.name == format_.layout
    return list(layout.read(match.place, ReadOptions(label_order=format_.label_order)))


@each_format
def test_each_row_has_its_split_and_label(format_, tmp_path):
    expected = format_.write(tmp_path, 2)
    assert {label for _, label in expected.values()} == set(format_.classes)
    records = read(format_, tmp_path)
    assert {r.name: (r.split, r.label) for r in records if not r.left_out} == expected
    assert len({r.name for r in records}) == len(records)
    assert {r.left_out for r in records if r.left_out} <= set(KINDS)


@each_format
def test_splits_come_one_after_the_other(format_, tmp_path):
    format_.write(tmp_path, 2)
    order = [SPLITS.index(r.split) for r in read(format_, tmp_path) if r.split]
    assert order == sorted(order)


@each_format
def test_each_image_shows_what_its_label_says(format_, tmp_path):
    if format_.gray:
        pytest.skip("gray pixels")
    format_.write(tmp_path, 1)
    for record in read(format_, tmp_path):
        if not record.left_out:
            assert class_shown(decode(record.image, 32, box=record.box)) == record.label
