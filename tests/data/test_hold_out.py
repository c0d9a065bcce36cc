"""Held-out images have no copy, look-alike or companion among those that are trained on, whatever form the data has."""

import hashlib
import os
import shutil
import zlib
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from formats import encoded, put
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from jaxfer.config import DataConfig, PrepareConfig
from jaxfer.data import load
from jaxfer.data.checking import check
from jaxfer.data.copies import copies_of
from jaxfer.data.groups import Belonging, belonging
from jaxfer.data.hold_out import Alike, find_alike, hold_out
from jaxfer.data.prepared import prepare
from jaxfer.emotions import AFFECTNET_7
from jaxfer.errors import UserError

SIZE = 48
UNKNOWN = "which person or sequence they show is not known"


def picture(number, size=SIZE):
    """Return a smooth RGB image unlike that of any other number."""
    small = np.random.default_rng(number).integers(0, 256, (9, 9, 3), np.uint8)
    return Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC)


def config(path, **options):
    return DataConfig(data_dir=path, image_size=SIZE, **options)


def sides(data):
    """Return the names of the images on each side."""
    return set(data.train.names), set(data.val.names)


def alone(count):
    return Alike(np.arange(count), np.arange(count))


def known(groups):
    return Belonging(tuple(groups), "a list", list(groups).count(""))


def held(names, labels, groups=None, links=None, fraction=0.1):
    groups = [""] * len(names) if groups is None else groups
    alike = alone(len(names)) if links is None else Alike(links, links)
    return hold_out(names, labels, known(groups), alike, fraction).rows


faces = st.lists(
    st.tuples(st.sampled_from(AFFECTNET_7), st.integers(0, 60), st.booleans()), min_size=60, max_size=300
).map(lambda drawn: drawn + [(label, 100 + i + 2 * k, True) for k, label in enumerate(AFFECTNET_7) for i in (0, 1)])
"""Classes, groups, and whether the group is known; of each class there are two groups at least."""


def columns(drawn):
    labels = [label for label, _, _ in drawn]
    groups = [f"group {group}" if is_known else "" for _, group, is_known in drawn]
    return [f"{place}.png" for place in range(len(drawn))], labels, groups


@given(faces, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_no_group_is_on_both_sides_and_the_order_of_the_images_does_not_matter(drawn, random):
    names, labels, groups = columns(drawn)
    rows = held(names, labels, groups, fraction=0.2)
    found = dict(zip(names, rows, strict=True))
    side_of = defaultdict(set)
    for group, row in zip(groups, rows, strict=True):
        side_of[group].add(bool(row))
    assert all(len(found) == 1 for group, found in side_of.items() if group)
    for label in AFFECTNET_7:
        of_class = [row for row, one in zip(rows, labels, strict=True) if one == label]
        assert 0 < sum(of_class) < len(of_class)
    order = list(range(len(names)))
    random.shuffle(order)
    again = held(*([values[i] for i in order] for values in (names, labels, groups)), fraction=0.2)
    assert {names[i]: row for i, row in zip(order, again, strict=True)} == found


@given(st.lists(st.integers(1, 9), min_size=12, max_size=80), st.sampled_from([0.1, 0.2, 0.35]))
@settings(max_examples=60, deadline=None)
def test_a_class_misses_its_share_by_half_a_group_at_most(sizes, fraction):
    groups = [f"group {number}" for number, size in enumerate(sizes) for _ in range(size)]
    names = [f"{place}.png" for place in range(len(groups))]
    rows = held(names, ["happy"] * len(groups), groups, fraction=fraction)
    assert abs(rows.sum() - max(1, round(fraction * len(groups)))) <= max(sizes) / 2


@pytest.mark.parametrize(("persons", "each"), [(70, 10), (118, 6), (10, 3)])
def test_persons_with_all_classes_leave_each_class_its_share(persons, each):
    drawn = [(person, label) for person in range(persons) for label in AFFECTNET_7 for _ in range(each)]
    names = [f"{place}.png" for place in range(len(drawn))]
    rows = held(names, [label for _, label in drawn], [f"person {person}" for person, _ in drawn])
    shares = Counter(label for (_, label), row in zip(drawn, rows, strict=True) if row)
    assert all(0.08 < count / (persons * each) < 0.12 for count in shares.values())
    assert set(shares) == set(AFFECTNET_7)


@given(st.integers(0, 500), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_an_image_more_moves_few(seed, largest):
    random = np.random.default_rng(seed)
    groups = [f"group {i}" for i in range(120) for _ in range(random.integers(1, largest + 1))]
    names = [f"{place}.png" for place in range(len(groups))]
    labels = [AFFECTNET_7[code] for code in random.integers(0, 7, len(groups))]
    before = {name for name, row in zip(names, held(names, labels, groups), strict=True) if row}
    rows = held([*names, "another.png"], [*labels, "happy"], [*groups, groups[seed % len(groups)]])
    after = {name for name, row in zip([*names, "another.png"], rows, strict=True) if row}
    assert len(before ^ after) <= max(8, 0.5 * len(before))


@given(faces, st.sampled_from([0.05, 0.1, 0.5]))
@settings(max_examples=30, deadline=None)
def test_images_that_nothing_links_are_chosen_as_by_releases_before(drawn, fraction):
    names, labels, _ = columns(drawn)
    expected = set()
    for label in set(labels):
        own = sorted(
            (name for name, one in zip(names, labels, strict=True) if one == label),
            key=lambda name: hashlib.blake2b(name.encode()).digest(),
        )
        expected.update(own[: min(max(1, round(fraction * len(own))), len(own) - 1)])
    rows = held(names, labels, fraction=fraction)
    assert {name for name, row in zip(names, rows, strict=True) if row} == expected


def test_look_alikes_that_link_a_whole_class_may_be_on_both_sides_and_it_is_said():
    names, labels = [f"{i}.png" for i in range(40)], ["happy"] * 20 + ["sad"] * 20
    looks = np.array([0] * 20 + list(range(20, 40)))
    found = hold_out(names, labels, known([""] * 40), Alike(np.arange(40), looks), 0.1)
    assert found.rows[:20].sum() == found.rows[20:].sum() == 2
    assert any("2 of them look like a training image" in note for note in found.notes)


def test_look_alikes_stay_together_where_that_takes_more_than_the_share():
    names, labels = [f"{i}.png" for i in range(24)], ["happy"] * 12 + ["sad"] * 12
    looks = np.arange(24) // 3 * 3
    found = hold_out(names, labels, known([""] * 24), Alike(np.arange(24), looks), 0.1)
    assert found.rows[:12].sum() == found.rows[12:].sum() == 3
    assert not set(looks[found.rows]) & set(looks[~found.rows])
    assert "6 of 24 training images (25.0%) are held out to validate on rather than 10.0%" in found.notes[0]


def test_copies_that_link_a_whole_class_are_refused_in_a_sentence():
    names, labels = [f"{i}.png" for i in range(40)], ["happy"] * 20 + ["sad"] * 20
    with pytest.raises(UserError, match="none of the 20 images of happy can be held out, since they belong together"):
        held(names, labels, links=np.array([0] * 20 + list(range(20, 40))))
    with pytest.raises(UserError, match=r"0\.png, is of the group 'one'"):
        held(names, labels, ["one"] * 20 + [""] * 20)


def test_copies_look_alikes_and_mirror_images_are_alike():
    face, other = picture(0), picture(1)
    shown = [
        face,
        other,
        face,
        face.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        ImageEnhance.Brightness(face).enhance(0.6),
        Image.new("RGB", (SIZE, SIZE), "gray"),
        Image.new("RGB", (SIZE, SIZE), "gray"),
        Image.new("RGB", (SIZE, SIZE), "black"),
    ]
    found = find_alike(np.asarray(one) for one in shown)
    assert found.copies.tolist() == [0, 1, 0, 3, 4, 5, 5, 7]
    assert found.looks.tolist() == [0, 1, 0, 0, 0, 5, 5, 7]


NAMES = {
    "CK+48/anger/S005_001_00000011.png": "S005",
    "happy/S138_005_00000008_flipped.png": "S138",
    "AF01/AF01ANS.JPG": "F01",
    "sad/BF01SAHL.jpg": "F01",
    "jaffe/KA.AN1.39.tiff": "KA",
    "fear/YM.FE4.70.png": "YM",
    "Training_Labeled/3/1207_3_-250_600.jpg": "1207",
    "Training_Labeled/3/1207s3s-250s600.jpg": "1207",
    "train/anger/S010/7.png": "S010",
    "happy/person 3/7.png": "PERSON 3",
    "happy/7.png": "",
    "train/happy/7.png": "",
    "train_set/images/7.jpg": "",
    "happy/12_3_20_5.jpg": "",
    "fer2013.csv line 7": "",
    "images/abc/AFFECTS.JPG": "",
}


def test_names_of_known_forms_say_the_person():
    found = belonging(list(NAMES), None)
    assert [group.rpartition(" ")[2] if "person" not in group else group[-8:] for group in found.groups] == [
        group if "PERSON" not in group else "person 3" for group in NAMES.values()
    ]
    assert found.unknown == 8, "six names say nothing, and two which photograph alone"


def test_a_group_is_named_by_folder_pattern_or_column(tmp_path):
    names = ["a/S1/x_p7.png", "b/S1/y_p8.png", "b/S2/z.png"]
    assert belonging(names, "parent").groups == ("S1", "S1", "S2")
    assert belonging(names, r"_(p\d)").groups == ("p7", "p8", "")
    assert belonging(names, r"(.)/(S\d)/").groups == ("a S1", "b S1", "b S2")
    (tmp_path / "people.csv").write_text("image,who,age\nx_p7.png,Ann,30\nz.png,Ann,\n")
    found = belonging(names, f"{tmp_path}/people.csv:who")
    assert (found.groups, found.unknown) == (("Ann", "", "Ann"), 1)
    with pytest.raises(UserError, match=r"has no column 'subject': group_by .* may name who, age"):
        belonging(names, f"{tmp_path}/people.csv:subject")
    with pytest.raises(UserError, match="says of no image"):
        belonging(names, "(xyz)")
    with pytest.raises(UserError, match=r"none\.csv cannot be read .*: pass another csv"):
        belonging(names, f"{tmp_path}/none.csv:who")


def write(root, per_class=12, frames=1, name="{label}/{number}-{frame}.png", copy=lambda face, frame: face):
    """Write pictures of which each has a few copies, and return the folder."""
    for code, label in enumerate(AFFECTNET_7):
        for number in range(per_class):
            for frame in range(frames):
                face = copy(picture(1000 * code + number), frame)
                put(root / "train" / name.format(label=label, number=number, frame=frame), encoded(face, "PNG"))
    return root


def recoloured(face, frame):
    """Return a picture that shares nothing with a face but where it comes from."""
    return picture(zlib.crc32(face.tobytes()) + frame)


def originals(names):
    return {name.rpartition("-")[0] for name in names}


def test_copies_stay_on_one_side_also_in_another_place_order_form_and_size(tmp_path):
    raw = write(tmp_path / "raw", frames=2)
    data = load(config(raw, val_fraction=0.2))
    train, val = sides(data)
    assert not originals(train) & originals(val)
    assert not copies_of(data.val.images, data.train.images).any()
    assert Counter(data.val.labels.tolist()) == dict.fromkeys(range(7), 4)
    assert data.val.name == "held out 20% of train"
    assert "28 of 168 training images (16.7%) are held out to validate on" in data.warnings
    assert "168 images are copies of others or look like them; these stay on one side" in data.warnings
    assert any(UNKNOWN in warning for warning in data.warnings)

    path = prepare(raw, tmp_path / "out", PrepareConfig(image_size=SIZE)).path
    shutil.copytree(raw / "train", tmp_path / "moved/archive (3)/Train")
    for place, options in ((path, {}), (raw, {"stream": True}), (path, {"stream": True})):
        other = load(config(place, val_fraction=0.2, **options))
        assert other.fingerprint == data.fingerprint
        assert other.warnings == data.warnings
    moved = load(config(tmp_path / "moved", val_fraction=0.2))
    assert not copies_of(moved.val.images, moved.train.images).any()
    larger = load(DataConfig(data_dir=raw, image_size=64, val_fraction=0.2))
    assert sides(larger) == (train, val)


def test_a_kept_entry_says_the_same_of_what_is_held_out(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxfer.data.loading.WORTH_KEEPING", 0)
    raw = write(tmp_path / "raw", frames=2)
    path = prepare(raw, tmp_path / "out", PrepareConfig(image_size=SIZE)).path
    for place, options in ((raw, {}), (raw, {"stream": True}), (path, {}), (path, {"stream": True})):
        first, again = (load(config(place, **options)) for _ in range(2))
        assert (place if place.is_dir() else place.parent).joinpath(".jaxfer").is_dir()
        assert sides(first) == sides(again)
        assert first.warnings == again.warnings
        assert first.fingerprint == again.fingerprint
        np.testing.assert_array_equal(again.val.images[np.arange(7)], first.val.images[np.arange(7)])


def test_near_copies_stay_on_one_side(tmp_path):
    def changed(face, frame):
        return (face, ImageEnhance.Brightness(face).enhance(0.7), face.transpose(Image.Transpose.FLIP_LEFT_RIGHT))[
            frame
        ]

    data = load(config(write(tmp_path, frames=3, copy=changed)))
    train, val = sides(data)
    assert not originals(train) & originals(val)
    assert len(val) == 7 * 3


def test_frames_of_a_person_stay_on_one_side_by_ck_pluss_names(tmp_path):
    root = write(tmp_path, frames=3, name="{label}/S{number:03d}_001_{frame:08d}.png", copy=recoloured)
    data = load(config(root))
    persons = [{name.split("/")[-1][:4] for name in names} for names in sides(data)]
    assert not persons[0] & persons[1]
    assert "12 groups, by the names of CK+'s files, stay on one side" in data.warnings
    assert not any(UNKNOWN in warning for warning in data.warnings)


def test_groups_are_what_group_by_says_and_a_list_that_changes_changes_what_is_held_out(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxfer.data.loading.WORTH_KEEPING", 0)
    raw = write(tmp_path / "raw")
    listed = tmp_path / "people.csv"
    for step in (1, 2):
        rows = [
            f"train/{label}/{number}-0.png,P{number // 2 * step % 6}" for label in AFFECTNET_7 for number in range(12)
        ]
        listed.write_text("\n".join(["image,person", *rows]))
        data = load(config(raw, group_by=f"{listed}:person"))
        person_of = dict(row.split(",") for row in rows)
        persons = [{person_of[name] for name in names} for names in sides(data)]
        assert not persons[0] & persons[1]
        assert any(f"by the column 'person' of {listed.name}" in warning for warning in data.warnings)


def test_a_validation_split_of_the_data_is_kept_and_what_it_shares_is_said(tmp_path):
    for split in ("train", "val"):
        for code, label in enumerate(AFFECTNET_7):
            number = code + (10 if split == "val" else 0)
            put(tmp_path / split / label / f"S00{code % 3}_001_{number:08d}.png", encoded(picture(number), "PNG"))
    data = load(config(tmp_path))
    assert data.val.name == "val"
    assert data.warnings == (
        "7 of the 7 images of 'val' are of groups, by the names of CK+'s files, that 'train' has images of too: scores "
        "on them say nothing of other groups",
    )
    (note,) = load(config(tmp_path, group_by="(xyz)")).warnings
    assert note.startswith("whether 'val' shares groups with 'train' is not known: group_by (--group-by) is '(xyz)'")


def fer2013(path, images, labels, usage):
    np.savez(path, images=images, labels=labels, usage=usage)
    return path


def test_fer2013_without_publictest_has_no_copy_on_both_sides_prepared_or_not(tmp_path):
    codes = np.repeat(np.arange(7, dtype=np.uint8), 30)
    images = np.stack([np.asarray(picture(number).convert("L")) for number in range(len(codes))])
    images[20::30], images[21::30] = images[0::30], images[1::30]  # copies within each class
    images[22], images[52] = images[95], images[95]  # and under other labels
    raw = fer2013(tmp_path / "fer2013.npz", images, codes, np.zeros(len(codes), np.uint8))
    data = load(config(raw))
    assert data.val.name == "held out 10% of Training"
    assert Counter(data.val.labels.tolist()) == dict.fromkeys(range(7), 3)
    path = prepare(raw, tmp_path / "out", PrepareConfig(image_size=SIZE)).path
    for one in (data, load(config(path))):
        assert not copies_of(one.val.images, one.train.images).any()
        assert one.fingerprint == data.fingerprint


@pytest.mark.skipif(
    "JAXFER_DATA" not in os.environ, reason="JAXFER_DATA does not name a folder with fer2013/fer2013.npz"
)
def test_of_the_real_fer2013_nothing_held_out_has_a_copy_or_look_alike_in_training(tmp_path):
    with np.load(Path(os.environ["JAXFER_DATA"]) / "fer2013" / "fer2013.npz", allow_pickle=False) as arrays:
        training = arrays["usage"] == 0
        images, labels = arrays["images"][training][:6000], arrays["labels"][training][:6000]
    raw = fer2013(tmp_path / "fer2013.npz", images, labels, np.zeros(len(labels), np.uint8))
    data = load(config(raw))
    assert not copies_of(data.val.images, data.train.images).any()
    held_out = set(data.val.names)
    usage = [f"fer2013.npz row {row}" in held_out for row in range(len(labels))]
    found = check(fer2013(tmp_path / "split.npz", images, labels, np.array(usage, np.uint8)))
    assert not found.problems["leak"]
    assert not found.problems["near_leak"]
    for label, count in enumerate(np.bincount(data.val.labels)):
        assert 0.09 < count / (count + np.bincount(data.train.labels)[label]) < 0.11


def test_folders_of_persons_within_classes_are_read_and_stay_on_one_side(tmp_path):
    raw = write(tmp_path / "raw", name="{label}/S{number:03d}/{frame}-1.png", frames=2, copy=recoloured)
    put(raw / "train/happy/S001/deeper/1.png", encoded(picture(1), "PNG"))
    put(raw / "train/sad/happy/1.png", encoded(picture(2), "PNG"))
    path = prepare(raw, tmp_path / "out", PrepareConfig(image_size=SIZE)).path
    for place, options in ((raw, {}), (path, {}), (raw, {"group_by": "parent"})):
        data = load(config(place, **options))
        assert len(data.train) + len(data.val) == 7 * 12 * 2
        persons = [{name.split("/")[2] for name in names} for names in sides(data)]
        assert persons[1]
        assert not persons[0] & persons[1]
        assert any(warning.startswith("12 groups, by the folder ") for warning in data.warnings)
    assert load(config(raw)).left_out == {"unlabelled": 2}


def test_a_list_that_is_gone_is_missed_only_where_something_is_held_out(tmp_path):
    missing = f"{tmp_path}/none.csv:who"
    for split in ("train", "test"):
        for code, label in enumerate(AFFECTNET_7):
            for number in range(2):
                put(tmp_path / split / label / f"{number}.png", encoded(picture(10 * code + number), "PNG"))
    assert len(load(config(tmp_path, group_by=missing), only="test").split("test")) == 14
    with pytest.raises(UserError, match=r"none\.csv cannot be read"):
        load(config(tmp_path, group_by=missing))
