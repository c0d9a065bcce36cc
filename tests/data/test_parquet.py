"""Parquet: names in the schema, splits in file names, images read lazily and in bounded memory, damage of all kinds."""

import contextlib
import io
import json
import math
import random
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from formats import class_shown, encoded, face, put
from formats.parquet import CLASSES, IMAGE, NAMES, class_label, write_shard
from hypothesis import given
from hypothesis import strategies as st

from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.reading import parquet as parquet_images
from jaxfer.data.reading import parquet_pages
from jaxfer.data.reading.images import decode
from jaxfer.data.reading.parquet_pages import Chunk, chunks, largest_page
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError

NAMED = {"metadata": class_label(NAMES)}


def read(path, order=None):
    layout, match = detect(path)
    assert layout.name == "parquet"
    return list(layout.read(match.place, ReadOptions(label_order=order)))


def refusal(path, order=None):
    with pytest.raises(UserError) as caught:
        read(path, order)
    return str(caught.value)


def write_labels(path, values, label, **options):
    """Write rows whose images are of no interest."""
    write_shard(path, [(b"", value) for value in values], label, **options)
    return path


def outcome(records):
    return [record.left_out or record.label for record in records]


def content_of(number):
    return bytes([number % 256]) * (100 + number % 7)


# Files and splits


@pytest.mark.parametrize(
    ("file", "split", "name"),
    [
        ("train.parquet", "train", "train"),
        ("data/train-00000-of-00001-ee4375a8edde1edf.parquet", "train", "train"),
        ("fer_train2.parquet", "train", "train"),
        ("validation-00000-of-00001.parquet", "val", "validation"),
        ("valid.parquet", "val", "valid"),
        ("Dev.parquet", "val", "dev"),
        ("test-00000-of-00001.PARQUET", "test", "test"),
        ("eval.parquet", "test", "eval"),
        ("default/validation/0000.parquet", "val", "validation"),
        ("default/Test/0000.parquet", "test", "test"),
        ("faces.parquet", "train", "train"),
        ("contest.parquet", "train", "train"),
    ],
)
def test_the_split_is_in_the_name_of_the_file_or_its_folder(tmp_path, file, split, name):
    write_labels(tmp_path / file, [0], pa.int64(), **NAMED)
    (record,) = read(tmp_path)
    assert (record.split, record.split_name, record.label) == (split, name, "anger")


def test_a_name_of_two_splits_is_refused(tmp_path):
    write_labels(tmp_path / "train_and_test.parquet", [0], pa.int64(), **NAMED)
    assert "several splits, train and test: rename it" in refusal(tmp_path)


@pytest.mark.parametrize("passed", ["", "default", "default/train/0000.parquet"])
def test_split_folders_are_one_data_set_and_a_file_may_be_passed_alone(tmp_path, passed):
    for folder in ("train", "test"):
        write_labels(tmp_path / f"default/{folder}/0000.parquet", [0], pa.int64(), **NAMED)
    names = [record.name for record in read(tmp_path / passed)]
    assert names == (
        ["0000.parquet row 0"] if "." in passed else [f"{f}/0000.parquet row 0" for f in ("test", "train")]
    )


def test_rows_are_numbered_through_row_groups_and_shards_come_in_natural_order(tmp_path):
    for shard in (10, 9):
        write_labels(tmp_path / f"train-{shard}.parquet", [0] * 5, pa.int64(), row_group_size=2, **NAMED)
    assert [r.name for r in read(tmp_path)] == [f"train-{s}.parquet row {n}" for s in (9, 10) for n in range(5)]


def test_parquet_without_images_or_labels_of_expressions_is_no_data(tmp_path):
    pq.write_table(pa.table({"image": pa.array([b""]), "caption": ["a"]}), tmp_path / "train.parquet")
    pq.write_table(pa.table({"label": [1]}), tmp_path / "test.parquet")
    write_labels(tmp_path / "pets.parquet", [0], pa.int64(), metadata=class_label(["cat", "dog"]))
    (tmp_path / "unrelated.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(UserError, match="has no data that jaxfer reads"):
        detect(tmp_path)


def test_a_file_of_another_kind_beside_the_data_is_refused_by_name(tmp_path):
    write_labels(tmp_path / "train.parquet", [0], pa.int64(), **NAMED)
    pq.write_table(pa.table({"embedding": [0.5]}), tmp_path / "vectors.parquet")
    assert f"{tmp_path / 'vectors.parquet'} lacks the columns" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["train.parquet", "0000.parquet"])
def test_without_pyarrow_the_extra_to_install_is_named(tmp_path, name, monkeypatch):
    put(tmp_path / "train" / name, b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = refusal(tmp_path)
    assert str(tmp_path / "train" / name) in message
    assert "reading parquet needs pyarrow: pip install 'jaxfer[parquet]'" in message


def test_without_pyarrow_other_data_is_read_beside_unrelated_parquet(tmp_path, monkeypatch):
    put(tmp_path / "embeddings.parquet", b"PAR1")
    put(tmp_path / "train/happy/1.jpg", b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert detect(tmp_path)[0].name == "class folders"


@pytest.mark.parametrize("kind", [pa.binary(), pa.null()])
def test_images_beside_the_files_are_counted_unless_a_row_names_them(tmp_path, kind):
    for name in ("faces/1.png", "faces/2.png", "cover.jpg"):
        put(tmp_path / name, encoded(face("sad", 1)))
    put(tmp_path / "README.md", b"")
    image = pa.struct({"bytes": kind, "path": pa.string()})
    images = pa.array([{"bytes": None, "path": "./faces/1.png"}, None, {"bytes": None, "path": None}], image)
    pq.write_table(pa.table({"image": images, "label": ["sad"] * 3}), tmp_path / "train.parquet")
    *rows, cover, second = read(tmp_path)
    assert [record.name for record in rows] == [f"train.parquet row {number}" for number in range(3)]
    assert decode(rows[0].image, 32).shape == (32, 32, 3)
    for record, name in ((cover, "cover.jpg"), (second, "faces/2.png")):
        assert (record.name, record.left_out, record.split) == (name, "file without a row", None)
    assert len(read(tmp_path / "train.parquet")) == 3


def test_links_out_of_the_data_are_refused_and_a_link_may_be_passed(tmp_path):
    blob = write_labels(tmp_path / "blobs/train.parquet", [0], pa.int64(), **NAMED)
    (tmp_path / "data").mkdir()
    link = tmp_path / "data/train.parquet"
    put(tmp_path / "data/README.md", b"")
    link.symlink_to(blob)
    assert f"{link} is a link out of {tmp_path / 'data'}" in refusal(tmp_path / "data")
    assert outcome(read(link)) == ["anger"]


# Labels


def test_numbers_mean_what_the_schema_names_them(tmp_path):
    write_labels(tmp_path / "train.parquet", [*range(len(NAMES)), -1, 9, None], pa.int64(), **NAMED)
    records = read(tmp_path, order="affectnet")
    assert outcome(records) == [*CLASSES, "other class", *["unlabelled"] * 3]
    assert [record.detail for record in records[8:]] == [
        "none",
        "its label is -1",
        "its label is 9",
        "its label is None",
    ]


def test_names_may_be_nested_and_differ_between_shards(tmp_path):
    feature = {"feature": {"names": ["sad", "happy"], "_type": "ClassLabel"}, "_type": "Sequence"}
    metadata = {b"huggingface": json.dumps({"info": {"features": {"label": feature}}}).encode()}
    write_labels(tmp_path / "train-1.parquet", [0, 1], pa.int32(), metadata=metadata)
    write_labels(tmp_path / "train-2.parquet", [0, 1], pa.uint8(), metadata=class_label(["fear", "sadness"]))
    assert outcome(read(tmp_path)) == ["sad", "happy", "fear", "sad"]


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        class_label(None),
        {b"huggingface": b"{"},
        {b"huggingface": b"\xff\xfe"},
        {b"huggingface": b"[" * 100_000},
        {b"huggingface": b'{"info": {"features": {"label": [1]}}}'},
        {b"huggingface": b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": null}}}}'},
        {b"huggingface": b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": [0, 1]}}}}'},
        {b"pandas": b"{}"},
    ],
)
def test_numbers_without_names_need_a_declared_order(tmp_path, metadata):
    write_labels(tmp_path / "train.parquet", range(8), pa.int64(), metadata=metadata)
    message = refusal(tmp_path)
    assert "--label-order" in message
    assert "affectnet: 0 neutral, 1 happy" in message
    assert outcome(read(tmp_path, order="affectnet")) == list(AFFECTNET_8)
    assert outcome(read(tmp_path, order="alphabetical")) == sorted(AFFECTNET_8)


def test_numbers_that_count_from_0_in_one_split_and_from_1_in_another_are_refused(tmp_path):
    write_labels(tmp_path / "train.parquet", range(7), pa.int64())
    write_labels(tmp_path / "val.parquet", range(1, 8), pa.int64())
    assert "by the digits 0 to 6 in train and by 1 to 7 in val" in refusal(tmp_path, order="affectnet")
    rows = [
        {"image": b"", "label": code + (split == "test"), "split": split}
        for split in ("train", "test")
        for code in range(7)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "alone.parquet")
    assert "by the digits 0 to 6 in train and by 1 to 7 in test" in refusal(
        tmp_path / "alone.parquet", order="affectnet"
    )


def test_columns_are_told_by_their_names_in_any_case(tmp_path):
    rows = [{"Image": b"", "Label": "Happy", "Valence": 0.5, "AROUSAL": -0.5, "Split": "test"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "faces.parquet")
    (record,) = read(tmp_path)
    assert (record.label, record.split, record.valence, record.arousal) == ("happy", "test", 0.5, -0.5)


def test_a_file_of_images_without_labels_says_which_columns_it_has(tmp_path):
    pq.write_table(pa.table({"image": pa.array([b""]), "feeling": ["happy"], "age": [3]}), tmp_path / "train.parquet")
    with pytest.raises(UserError, match=r"no column of labels called label, .* its others are 'feeling', 'age'"):
        detect(tmp_path)


def test_names_that_are_digits_need_a_declared_order_too(tmp_path):
    names = list("76543210")
    write_labels(tmp_path / "train.parquet", range(8), pa.int64(), metadata=class_label(names))
    assert "--label-order" in refusal(tmp_path)
    assert outcome(read(tmp_path, order="affectnet")) == list(AFFECTNET_8[::-1])


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_labels_may_be_words(tmp_path, kind):
    write_labels(tmp_path / "train.parquet", ["Happiness", " sad", "uncertain", "", None, "ANGRY"], kind)
    assert outcome(read(tmp_path)) == ["happy", "sad", "other class", "unlabelled", "unlabelled", "anger"]


@pytest.mark.parametrize(
    ("values", "kind", "options"),
    [(["happy", "suprise"], pa.string(), {}), ([0], pa.int64(), {"metadata": class_label(["happy", "suprise"])})],
)
def test_a_word_for_no_expression_is_refused_with_file_column_and_the_nearest(tmp_path, values, kind, options):
    path = write_labels(tmp_path / "train.parquet", values, kind, **options)
    message = refusal(tmp_path)
    assert f"the class 'suprise' in the column label of {path}" in message
    assert "did you mean 'surprise'" in message


def test_shares_are_votes_and_the_largest_is_the_label(tmp_path):
    def row(**shares):
        return [shares.get(name, 0.0) for name in NAMES]

    values = [
        row(happiness=0.75, sadness=0.25),
        row(happiness=0.5, sadness=0.5),
        row(none=0.75, sadness=0.25),
        row(),
        [1.0],
        None,
        [math.nan] * len(NAMES),
        [-1.0] + [1.0] * (len(NAMES) - 1),
        [None] * len(NAMES),
    ]
    feature = {"feature": {"names": list(NAMES), "_type": "ClassLabel"}, "_type": "List"}
    metadata = {b"huggingface": json.dumps({"info": {"features": {"label": feature}}}).encode()}
    write_labels(tmp_path / "train.parquet", values, pa.list_(pa.float32()), metadata=metadata)
    records = read(tmp_path)
    assert outcome(records) == ["happy", "unlabelled", "other class", *["unlabelled"] * 6]
    assert records[0].votes == tuple({"happy": 0.75, "sad": 0.25}.get(name, 0.0) for name in AFFECTNET_8)
    assert records[1].detail == "happy and sad have equal shares"
    assert [record.votes for record in records[3:]] == [None] * 6


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.list_(pa.float16(), 8), pa.large_list(pa.float32())])
def test_shares_without_names_need_a_declared_order(tmp_path, kind):
    values = list(np.eye(8)[[0, 3, 7]])
    write_labels(tmp_path / "train.parquet", values, kind)
    write_labels(tmp_path / "test.parquet", ["sad"], pa.string())
    assert "--label-order" in refusal(tmp_path)
    assert outcome(read(tmp_path, order="affectnet")) == ["sad", "neutral", "surprise", "contempt"]


def test_valence_and_arousal_are_read_where_they_are_and_nan_where_invalid(tmp_path):
    table = pa.table(
        {
            "img": pa.array([b""] * 4),
            "emotion": ["happy"] * 4,
            "valence": pa.array([0.5, -2.0, None, math.nan], pa.float32()),
            "arousal": pa.array([-1.0, 1.5, 1.0, 0.0]),
        }
    )
    pq.write_table(table, tmp_path / "train.parquet")
    records = read(tmp_path)
    np.testing.assert_array_equal([r.valence for r in records], [0.5, math.nan, math.nan, math.nan])
    np.testing.assert_array_equal([r.arousal for r in records], [-1.0, math.nan, 1.0, 0.0])
    pq.write_table(table.drop_columns(["valence", "arousal"]), tmp_path / "train.parquet")
    assert math.isnan(read(tmp_path)[0].valence)


def test_reading_labels_leaves_the_images_alone(tmp_path):
    path = tmp_path / "train.parquet"
    write_shard(path, [(b"\xab" * 5000, 0)], pa.int64(), use_dictionary=False, compression="none", **NAMED)
    path.write_bytes(path.read_bytes().replace(b"\xab" * 5000, b"\xcd" * 5000))
    (record,) = read(tmp_path)
    assert record.label == "anger"
    start = pq.read_metadata(path).row_group(0).column(0).data_page_offset
    damaged = bytearray(path.read_bytes())
    damaged[start : start + 20] = b"\xff" * 20
    path.write_bytes(damaged)
    (record,) = read(tmp_path)
    assert record.label == "anger"
    with pytest.raises(OSError, match=r"row group 0 of train\.parquet cannot be read"):
        record.image.read()


# Images


@pytest.mark.parametrize("kind", [IMAGE, pa.struct({"bytes": pa.large_binary()}), pa.binary(), pa.large_binary()])
def test_images_are_structs_or_bytes(tmp_path, kind):
    contents = [encoded(face(label, 0)) for label in ("happy", "fear")]
    images = [{"bytes": content} for content in contents] if pa.types.is_struct(kind) else contents
    table = pa.table({"image": pa.array(images, kind), "label": ["happy", "fear"]})
    pq.write_table(table, tmp_path / "train.parquet")
    for record in read(tmp_path):
        assert class_shown(decode(record.image, 32)) == record.label


def test_where_there_are_no_bytes_a_path_inside_of_the_data_counts(tmp_path):
    put(tmp_path / "secret.jpg", b"outside")
    put(tmp_path / "data/faces/1.jpg", b"inside")
    (tmp_path / "data/link.jpg").symlink_to(tmp_path / "secret.jpg")
    paths = ["faces/1.jpg", "../secret.jpg", str(tmp_path / "secret.jpg"), "link.jpg", "gone.jpg", "faces", "", None]
    images = [{"bytes": None, "path": path} for path in paths] + [None, {"bytes": b"own", "path": "faces/1.jpg"}]
    table = pa.table({"image": pa.array(images, IMAGE), "label": ["happy"] * len(images)})
    pq.write_table(table, tmp_path / "data/train.parquet")
    first, *refused, last = [record.image for record in read(tmp_path / "data")]
    assert (first.read(), last.read()) == (b"inside", b"own")
    for image in refused:
        with pytest.raises(OSError, match="this row has no image"):
            image.read()


@pytest.fixture
def small_cache(monkeypatch):
    """Hold so little that every test makes the reader forget and read again."""
    monkeypatch.setattr(parquet_images, "BATCH", 8)
    monkeypatch.setattr(parquet_images, "HELD", 4000)


@pytest.mark.parametrize("group", [1, 8, 13, 400])
@pytest.mark.parametrize("order", ["forward", "backward", "shuffled"])
def test_every_row_gives_its_own_image_in_any_order(tmp_path, small_cache, group, order):
    for shard in range(2):
        rows = [(content_of(shard * 100 + number), 0) for number in range(100)]
        write_shard(tmp_path / f"train-{shard}.parquet", rows, pa.int64(), row_group_size=group, **NAMED)
    images = list(enumerate(record.image for record in read(tmp_path)))
    if order == "backward":
        images.reverse()
    if order == "shuffled":
        random.Random(0).shuffle(images)
    for number, image in images:
        assert image.read() == content_of(number)


def test_threads_share_a_reader(tmp_path, small_cache):
    rows = [(content_of(number), 0) for number in range(500)]
    write_shard(tmp_path / "train.parquet", rows, pa.int64(), row_group_size=90, **NAMED)
    images = [record.image for record in read(tmp_path)]
    order = [random.Random(0).randrange(500) for _ in range(1000)]
    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(lambda number: images[number].read(), order))
    assert contents == [content_of(number) for number in order]


def test_one_row_group_of_everything_is_read_in_order_once_and_never_held_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_images, "HELD", 1 << 20)
    size, count = 4000, 10_000
    contents = [np.random.default_rng(number).bytes(size) for number in range(count)]
    write_shard(tmp_path / "train.parquet", [(content, 0) for content in contents], pa.int64(), **NAMED)
    opened = []
    stream = parquet_images._Stream
    monkeypatch.setattr(parquet_images, "_Stream", lambda *key: opened.append(key) or stream(*key))
    records = read(tmp_path)
    before = pa.total_allocated_bytes()
    held = 0
    for record, content in zip(records, contents, strict=True):
        assert record.image.read() == content
        held = max(held, pa.total_allocated_bytes() - before)
    assert len(opened) == 1
    assert held < size * count / 3


# What it unpacks into


PAGES = {
    "compression": ["none", "snappy", "zstd"],
    "use_dictionary": [False, True],
    "data_page_version": ["1.0", "2.0"],
}


@pytest.mark.parametrize(
    "options", [dict(zip(PAGES, values, strict=True)) for values in product(*PAGES.values())], ids=str
)
def test_the_headers_of_pages_say_how_many_values_and_bytes_there_are(tmp_path, options):
    path, label = tmp_path / "train.parquet", pa.list_(pa.float32())
    rows = [(content_of(number % 50), [0.5] * (number % 9)) for number in range(500)]
    write_shard(path, rows, label, data_page_size=2000, write_batch_size=10, row_group_size=300, **options)
    footer = pq.read_metadata(path)
    with path.open("rb") as file:
        of_groups = chunks(file)
        assert [len(group) for group in of_groups] == [3, 3]
        for group, found in zip(map(footer.row_group, range(2)), of_groups, strict=True):
            for theirs, chunk in zip(map(group.column, range(3)), found, strict=True):
                places = theirs.data_page_offset, theirs.dictionary_page_offset or 0
                assert chunk == Chunk(theirs.num_values, theirs.total_compressed_size, *places)
                assert 0 < largest_page(file, chunk, chunk.values) <= theirs.total_uncompressed_size
                with pytest.raises(OSError, match="more than the"):
                    largest_page(file, chunk, chunk.values - 1)


def test_an_image_that_is_said_once_and_meant_often_is_not_unpacked_often(tmp_path):
    size, path = 1 << 24, tmp_path / "train.parquet"
    limit = {"compression": "zstd", "dictionary_pagesize_limit": 2 * size}
    write_shard(path, [(bytes(size), 0)] * 24, pa.int64(), **limit, **NAMED)
    assert path.stat().st_size < 8192
    records = read(tmp_path)
    before = pa.total_allocated_bytes()
    assert records[23].image.read() == bytes(size)
    assert pa.total_allocated_bytes() - before < 2 * parquet_images.HELD


def test_a_page_that_unpacks_into_more_than_any_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_pages, "LARGEST", 1 << 20)
    write_shard(tmp_path / "train.parquet", [(bytes(1 << 21), 0)], pa.int64(), compression="zstd", **NAMED)
    (record,) = read(tmp_path)
    with pytest.raises(OSError, match=r"a page unpacks into 2,097,\d+ bytes, and 1,048,576 are the most"):
        record.image.read()
    write_labels(tmp_path / "train.parquet", ["sad" * (1 << 20)], pa.string(), compression="zstd")
    assert "train.parquet cannot be read (a page unpacks into" in refusal(tmp_path)


def test_more_rows_than_any_data_has_are_refused_before_they_are_read(tmp_path, monkeypatch):
    for name in ("train", "test"):
        write_labels(tmp_path / f"{name}.parquet", [0] * 6, pa.int64(), **NAMED)
    monkeypatch.setattr("jaxfer.data.layouts.parquet.MOST_LINES", 11)
    assert "has more than 11 rows" in refusal(tmp_path)
    monkeypatch.setattr(parquet_images, "MOST_LINES", 5)
    assert "cannot be read (it has more than 5 rows)" in refusal(tmp_path)


def test_labels_that_unpack_into_more_than_any_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_images, "MOST_READ", 1 << 24)
    monkeypatch.setattr(parquet_images, "HELD", 1 << 22)
    path = write_labels(tmp_path / "train.parquet", ["sad" * 100_000] * 1000, pa.string(), compression="zstd")
    assert path.stat().st_size < 20_000
    before = pa.total_allocated_bytes()
    assert "label have more than 16 MiB" in refusal(tmp_path)
    assert pa.total_allocated_bytes() - before < 1 << 26


def test_shares_of_more_classes_than_there_are_are_refused(tmp_path):
    write_labels(tmp_path / "train.parquet", [[0.0] * 5000], pa.list_(pa.float32()), compression="zstd")
    assert "more than the 64 values that its rows can have" in refusal(tmp_path)


def test_a_footer_larger_than_any_is_not_read(tmp_path, monkeypatch):
    write_labels(tmp_path / "train.parquet", [0], pa.int64(), **NAMED)
    monkeypatch.setattr(parquet_images, "LARGEST_FOOTER", 100)
    assert "its footer has more than" in refusal(tmp_path)


# Damage


def shard_bytes(**options):
    buffer = io.BytesIO()
    rows = [(content_of(number), number % 8) for number in range(6)]
    images = [{"bytes": content, "path": None} for content, _ in rows]
    schema = pa.schema({"image": IMAGE, "label": pa.int64()}, metadata=class_label(NAMES))
    pq.write_table(pa.table([images, [label for _, label in rows]], schema=schema), buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("content", [b"", b"PAR1", shard_bytes()[:-20], shard_bytes()[20:], b"<html>"])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, content):
    put(tmp_path / "data/train-0.parquet", content)
    message = refusal(tmp_path / "data")
    assert str(tmp_path / "data/train-0.parquet") in message
    assert "download or copy it again" in message
    put(tmp_path / "data/test-0.parquet", shard_bytes())
    assert str(tmp_path / "data/train-0.parquet") in refusal(tmp_path / "data")


def test_damaged_labels_are_found_before_the_first_record(tmp_path):
    path = put(tmp_path / "train.parquet", shard_bytes(compression="none", use_dictionary=False))
    start = pq.read_metadata(path).row_group(0).column(2).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 8] = b"\xff" * 8
    path.write_bytes(content)
    layout, match = detect(tmp_path)
    with pytest.raises(UserError, match=r"train\.parquet cannot be read"):
        next(layout.read(match.place, ReadOptions()))


SHARD = shard_bytes(row_group_size=4)
EDITS = st.lists(st.tuples(st.integers(0, len(SHARD) - 1), st.binary(min_size=1, max_size=3)), min_size=1, max_size=3)


@given(edits=EDITS, length=st.sampled_from([len(SHARD), len(SHARD) - 1, 40]))
def test_no_damage_crashes_the_reader(tmp_path_factory, edits, length):
    content = bytearray(SHARD)
    for start, new in edits:
        content[start : start + len(new)] = new
    path = put(tmp_path_factory.getbasetemp() / "mutated/train.parquet", bytes(content[:length]))
    try:
        records = read(path)
    except UserError:
        return
    for record in records:
        assert bool(record.left_out) != bool(record.label)
        try:
            record.image.read()
        except (OSError, ValueError):
            continue


def test_a_list_in_a_footer_that_is_longer_than_it_ends_at_once():
    endless = b"\x49\xf7" + b"\xff" * 8 + b"\x7f" + b"\0"  # 2**63 - 1 numbers of eight bytes as field 4
    with pytest.raises(OSError, match="footer is damaged"):
        chunks(io.BytesIO(endless + len(endless).to_bytes(4, "little") + b"PAR1"))


def test_columns_that_sizes_in_the_footer_do_not_fit_are_damage_and_end_no_process(tmp_path):
    start = len(SHARD) - 8 - int.from_bytes(SHARD[-8:-4], "little")
    optional = [start + found.start() for found in re.finditer(rb"[\x25\x35]\x02", SHARD[start:])]
    assert len(optional) == 4
    for place in optional:  # which may then not be missing
        path = put(tmp_path / "train.parquet", SHARD[: place + 1] + b"\0" + SHARD[place + 2 :])
        with contextlib.suppress(UserError):
            for record in read(path):
                with contextlib.suppress(OSError):
                    record.image.read()


@given(metadata=st.dictionaries(st.sampled_from([b"huggingface", b"x"]), st.binary(max_size=50)), value=st.integers())
def test_no_metadata_crashes_the_reader(tmp_path_factory, metadata, value):
    path = tmp_path_factory.getbasetemp() / "metadata/train.parquet"
    write_labels(path, [0, value % 2**63, -1], pa.int64(), metadata=metadata)
    found = outcome(read(path, order="affectnet"))
    assert (found[0], found[2]) == ("neutral", "unlabelled")
    assert found[1] in {*AFFECTNET_8, "unlabelled", "other class"}


def write_splits(path, values, kind, metadata=None):
    """Write a file with a column `Usage`, and a label that differs between its rows."""
    rows = [(content_of(number), label) for number, label in enumerate(("sad", "fear", "happy"))]
    write_shard(path, rows, pa.string())
    table = pq.read_table(path).append_column("Usage", pa.array(values, kind))
    pq.write_table(table.replace_schema_metadata(metadata), path)


@pytest.mark.parametrize("named", [False, True])
def test_a_column_says_the_split_of_each_row(tmp_path, named):
    names = ["Training", "PublicTest", "test"]
    feature = {"info": {"features": {"Usage": {"names": names, "_type": "ClassLabel"}}}}
    metadata = {b"huggingface": json.dumps(feature).encode()} if named else None
    values = [0, 2, -1] if named else ["Training", "test", None]
    write_splits(tmp_path / "faces.parquet", values, pa.int64() if named else pa.string(), metadata)
    assert [(r.name, r.split, r.split_name, r.left_out) for r in read(tmp_path)] == [
        ("faces.parquet row 2", None, "", "unknown split"),
        ("faces.parquet row 1", "test", "test", ""),
        ("faces.parquet row 0", "train", "Training", ""),
    ]


def test_a_column_of_splits_that_nobody_knows_is_refused_by_its_name(tmp_path):
    write_splits(tmp_path / "faces.parquet", [0, 1, 1], pa.int64())
    assert "column Usage, in which no row says a split that jaxfer knows, but '0': write train" in refusal(tmp_path)


def test_codes_may_be_numbers_with_a_point(tmp_path):
    path = tmp_path / "train.parquet"
    write_shard(path, [(content_of(0), 3.0), (content_of(1), None), (content_of(2), 0.0)], pa.float64())
    assert [r.label or r.left_out for r in read(path, "affectnet")] == ["surprise", "unlabelled", "neutral"]


@pytest.mark.parametrize("named", [False, True])
def test_a_column_of_another_name_that_says_the_split_is_refused(tmp_path, named):
    names = ["train", "validation", "test"]
    feature = {"info": {"features": {"phase": {"names": names, "_type": "ClassLabel"}}}}
    metadata = {b"huggingface": json.dumps(feature).encode()} if named else None
    path = tmp_path / "faces.parquet"
    write_splits(path, [0, 2, 1] if named else names, pa.int64() if named else pa.string(), metadata)
    table = pq.read_table(path)
    table = table.rename_columns([name.replace("Usage", "phase") for name in table.column_names])
    pq.write_table(table.replace_schema_metadata(metadata), path)
    assert "seems to say of which split each row is in 'phase', a name" in refusal(tmp_path)


def test_several_columns_of_labels_are_asked_about(tmp_path):
    path = tmp_path / "train.parquet"
    write_shard(path, [(content_of(0), "sad"), (content_of(1), "fear")], pa.string())
    pq.write_table(pq.read_table(path).append_column("emotion", pa.array(["fear", "sad"])), path)
    assert "several columns that may have the labels, label and emotion: take out" in refusal(tmp_path)


def test_codes_from_minus_one_on_are_asked_about(tmp_path):
    write_shard(tmp_path / "train.parquet", [(content_of(code), code) for code in range(-1, 7)], pa.int64())
    assert "the code -1 beside 0 to 6, which may mark" in refusal(tmp_path, order="affectnet")
    found = read(tmp_path, order="fer2013")  # which has seven classes
    assert [r.left_out for r in found] == ["unlabelled", *[""] * 7]


def test_files_in_a_folder_of_no_split_are_not_passed_over(tmp_path):
    for folder in ("train", "holdout"):
        write_shard(tmp_path / folder / "0.parquet", [(content_of(0), "sad")], pa.string())
    assert "holdout/0.parquet lies in a folder that is named after no split that jaxfer knows" in refusal(tmp_path)
