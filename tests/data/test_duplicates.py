"""Copies are found: exact ones, look-alikes and mirror images, within splits and across them, and nothing else."""

import os
from collections import Counter
from pathlib import Path

import imagehash
import numpy as np
import pytest
from formats import encoded, put
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from jaxfer.data.checking import check
from jaxfer.data.checking.duplicates import first_copies
from jaxfer.data.checking.near import ENOUGH
from jaxfer.data.checking.neighbours import BLOCK, close_pairs
from jaxfer.data.checking.perceptual import hashes, thumbnail
from jaxfer.reports import write_check
from jaxfer.reports.problems import UNSEEN

COPIES = ("duplicate", "leak", "label_conflict", "near_duplicate", "near_leak")


def picture(number, size=96):
    """Return a smooth RGB image unlike that of any other number."""
    small = np.random.default_rng(number).integers(0, 256, (9, 9, 3), np.uint8)
    return Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC)


def write(root, faces):
    """Write faces as PNG files by their paths, or as they are where they are encoded already."""
    for path, face in faces.items():
        put(root / path, face if isinstance(face, bytes) else encoded(face, "PNG"))
    return root


def copies(root, faces):
    """Return the problems of faces by kind: path and other of each. There are none but copies."""
    problems = check(write(root, faces)).problems
    assert not [kind for kind, listed in problems.items() if listed and kind not in COPIES]
    return {kind: [(p.path, p.other) for p in problems[kind]] for kind in COPIES if problems[kind]}


@given(st.integers(0, 2**32), st.integers(8, 120), st.integers(8, 120), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_hash_is_the_one_of_imagehash(seed, width, height, gray):
    image = picture(seed).resize((width, height)).convert("L" if gray else "RGB")
    thumbnails = np.frombuffer(thumbnail(image), np.uint8).reshape(1, 32, 32)
    direct, mirrored = hashes(thumbnails)
    assert int(direct[0]) == int(str(imagehash.phash(image)), 16)
    mirror = Image.fromarray(np.ascontiguousarray(thumbnails[0, :, ::-1]))
    assert int(mirrored[0]) == int(str(imagehash.phash(mirror)), 16)


def test_many_hashes_at_once_are_those_of_each():
    thumbnails = np.random.default_rng(0).integers(0, 256, (50, 32, 32), np.uint8)
    direct, mirrored = hashes(thumbnails)
    for index in range(50):
        assert hashes(thumbnails[index : index + 1]) == (direct[index], mirrored[index])
    np.testing.assert_array_equal(hashes(thumbnails[:, :, ::-1]), (mirrored, direct))


def flipped(value, bits):
    for bit in bits:
        value ^= 1 << bit
    return value


clusters = st.lists(
    st.builds(flipped, st.sampled_from([0, 2**64 - 1, 0x0123456789ABCDEF]), st.sets(st.integers(0, 63), max_size=9)),
    max_size=60,
)


@given(clusters, st.integers(0, 9), st.booleans())
@settings(max_examples=200, deadline=None)
def test_close_pairs_are_all_pairs_within_the_distance_and_each_once(values, distance, mirrored):
    first = np.array(values, np.uint64)
    second = first[::-1] if mirrored else first
    everybody = np.ones(len(first), bool)
    pairs = [
        pair
        for i, j in close_pairs(first, second, distance, seeks_later=everybody, seeks_earlier=everybody)
        for pair in zip(i.tolist(), j.tolist(), strict=True)
    ]
    assert sorted(pairs) == [
        (i, j)
        for i in range(len(first))
        for j in range(i + 1, len(first))
        if (int(first[i]) ^ int(second[j])).bit_count() <= distance
    ]


def test_close_pairs_across_many_blocks_are_those_of_comparing_all_with_all():
    random = np.random.default_rng(0)
    centres = random.integers(0, 2**64, 300, np.uint64)
    values = random.choice(centres, 3 * BLOCK) ^ (np.uint64(1) << random.integers(0, 64, 3 * BLOCK, np.uint64))
    everybody = np.ones(len(values), bool)
    pairs = [np.stack(p) for p in close_pairs(values, values, 2, seeks_later=everybody, seeks_earlier=everybody)]
    i, j = np.nonzero(np.triu(np.bitwise_count(values[:, None] ^ values) <= 2, k=1))
    np.testing.assert_array_equal(np.array(sorted(np.concatenate(pairs, axis=1).T.tolist())), np.stack([i, j], axis=1))


def test_who_is_not_sought_and_does_not_seek_is_in_no_pair():
    values = np.zeros(40, np.uint64)
    later, earlier = np.zeros(40, bool), np.zeros(40, bool)
    later[3], earlier[30] = True, True
    pairs = close_pairs(values, values, 0, seeks_later=later, seeks_earlier=earlier)
    i, j = np.concatenate([np.stack(pair) for pair in pairs], axis=1)
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == {(3, k) for k in range(4, 40)} | {
        (k, 30) for k in range(30)
    }


def test_clearing_who_seeks_bounds_the_work_where_all_hashes_are_equal():
    values = np.zeros(20 * BLOCK, np.uint64)
    later, earlier = np.zeros(len(values), bool), np.ones(len(values), bool)
    blocks = 0
    for _, j in close_pairs(values, values, 8, seeks_later=later, seeks_earlier=earlier):
        earlier[j] = False
        blocks += 1
    assert blocks <= 2 * 20


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=30))
def test_first_copies_are_the_first_of_equal_digests(pairs):
    expected = [pairs.index(pair) for pair in pairs]
    assert first_copies(np.array(pairs, np.uint64).reshape(-1, 2)).tolist() == expected


def test_different_images_have_nothing_in_common(tmp_path):
    names = (f"{split}/{word}/{n}.png" for n in range(30) for split in ("train", "val") for word in ("happy", "sad"))
    assert copies(tmp_path, {name: picture(number) for number, name in enumerate(names)}) == {}


def test_later_copies_in_a_split_are_duplicates_of_the_first_whatever_their_file_format(tmp_path):
    face = picture(0)
    faces = {
        "train/happy/1.png": face,
        "train/happy/2.bmp": encoded(face, "BMP"),
        "train/happy/3.webp": encoded(face, "WEBP", lossless=True),
        "train/happy/4.png": picture(1),
    }
    first = "train/happy/1.png"
    assert copies(tmp_path, faces) == {"duplicate": [("train/happy/2.bmp", first), ("train/happy/3.webp", first)]}


def test_a_gray_image_and_the_same_in_rgb_are_copies(tmp_path):
    gray = picture(0).convert("L")
    faces = {"train/sad/1.png": gray, "train/sad/2.png": gray.convert("RGB")}
    assert copies(tmp_path, faces) == {"duplicate": [("train/sad/2.png", "train/sad/1.png")]}


def test_equal_bytes_of_another_shape_are_no_copies(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    faces = {"train/sad/1.png": Image.fromarray(pixels), "train/sad/2.png": Image.fromarray(pixels.reshape(30, 20, 3))}
    assert copies(tmp_path, faces) == {}


def test_leaks_are_listed_from_the_side_of_what_is_measured(tmp_path):
    one, two, three = picture(1), picture(2), picture(3)
    faces = {
        "train/happy/1.png": one,
        "train/happy/1b.png": one,
        "val/happy/1.png": one,
        "test/happy/1.png": one,
        "val/sad/2.png": two,
        "test/sad/2.png": two,
        "val/fear/3.png": three,
        "val/fear/3b.png": three,
        "train/fear/3.png": three,
    }
    problems = copies(tmp_path, faces)
    assert set(problems) == {"leak", "duplicate"}
    assert sorted(problems["leak"]) == [
        ("test/happy/1.png", "train/happy/1.png"),
        ("test/happy/1.png", "val/happy/1.png"),
        ("test/sad/2.png", "val/sad/2.png"),
        ("val/fear/3.png", "train/fear/3.png"),
        ("val/fear/3b.png", "train/fear/3.png"),
        ("val/happy/1.png", "train/happy/1.png"),
    ]
    assert sorted(problems["duplicate"]) == [
        ("train/happy/1b.png", "train/happy/1.png"),
        ("val/fear/3b.png", "val/fear/3.png"),
    ]


def test_conflicts_are_listed_for_each_face_and_each_split_with_a_copy_under_another_label(tmp_path):
    face = picture(0)
    names = ("train/happy/a.png", "train/happy/b.png", "train/sad/a.png", "val/happy/a.png")
    listed = check(write(tmp_path, dict.fromkeys(names, face))).to_dict()["problems"]["label_conflict"]
    assert sorted((p["path"], p["label"], p["other"], p["other_label"], p["other_split"]) for p in listed) == [
        ("train/happy/a.png", "happy", "train/sad/a.png", "sad", "train"),
        ("train/happy/b.png", "happy", "train/sad/a.png", "sad", "train"),
        ("train/sad/a.png", "sad", "train/happy/a.png", "happy", "train"),
        ("train/sad/a.png", "sad", "val/happy/a.png", "happy", "val"),
        ("val/happy/a.png", "happy", "train/sad/a.png", "sad", "train"),
    ]


CHANGES = {
    "re-encoded": lambda face: encoded(face, "JPEG", quality=60),
    "smaller": lambda face: face.resize((48, 48)),
    "wider": lambda face: face.resize((120, 96)),
    "gray": lambda face: face.convert("L"),
    "darker": lambda face: ImageEnhance.Brightness(face).enhance(0.6),
    "less contrast": lambda face: ImageEnhance.Contrast(face).enhance(0.5),
    "cropped": lambda face: face.crop((2, 2, 95, 95)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("mirrored", [False, True], ids=["", "mirrored"])
def test_changed_copies_are_found_as_look_alikes(tmp_path, change, mirrored):
    def changed(number):
        face = picture(number)
        return change(face.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else face)

    faces = {"train/happy/1.png": picture(1), "train/happy/2.png": picture(2), "val/happy/1.png": changed(1)}
    result = check(write(tmp_path, faces | {"train/happy/3.png": changed(2)}))
    (leak,), (duplicate,) = result.problems["near_leak"], result.problems["near_duplicate"]
    assert (leak.path, leak.other) == ("val/happy/1.png", "train/happy/1.png")
    assert (duplicate.path, duplicate.other) == ("train/happy/3.png", "train/happy/2.png")
    for problem in (leak, duplicate):
        assert 0.9 <= problem.similarity <= 1
        assert ("mirror" in problem.reason) == mirrored
    assert not result.problems["leak"]
    assert not result.problems["duplicate"]


def test_a_mirror_image_itself_has_full_similarity(tmp_path):
    mirror = picture(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    result = check(write(tmp_path, {"val/happy/1.png": mirror, "train/happy/1.png": picture(0)}))
    (leak,) = result.problems["near_leak"]
    assert leak.similarity == pytest.approx(1, abs=1e-3)
    assert "mirror image" in leak.reason


def test_look_alikes_name_the_closest_twin_and_each_exact_copy_is_listed(tmp_path):
    face = picture(0)
    good, bad = encoded(face, "JPEG", quality=95), encoded(face.resize((24, 24)).resize((96, 96)), "JPEG", quality=10)
    faces = {
        "val/happy/1.png": face,
        "val/happy/2.png": face,
        "train/happy/1.jpg": bad,
        "train/happy/2.jpg": good,
        "train/happy/3.jpg": good,
    }
    problems = copies(tmp_path, faces)
    assert problems["near_leak"] == [("val/happy/1.png", "train/happy/2.jpg"), ("val/happy/2.png", "train/happy/2.jpg")]
    assert problems["near_duplicate"] == [("train/happy/2.jpg", "train/happy/1.jpg")]
    assert problems["duplicate"] == [("val/happy/2.png", "val/happy/1.png"), ("train/happy/3.jpg", "train/happy/2.jpg")]


def test_an_exact_leak_does_not_hide_another_copy_that_only_looks_alike(tmp_path):
    face = picture(0)
    faces = {"val/happy/1.png": face, "train/happy/1.png": face, "train/happy/2.jpg": encoded(face, quality=70)}
    problems = copies(tmp_path, faces)
    assert problems["leak"] == [("val/happy/1.png", "train/happy/1.png")]
    assert problems["near_leak"] == [("val/happy/1.png", "train/happy/2.jpg")]


def test_images_of_one_colour_are_copies_of_their_like_only(tmp_path):
    faces = {f"train/happy/{n}.png": Image.new("RGB", (48, 48), (n, n, n)) for n in (0, 1, 2, 128)}
    faces["train/happy/black.png"] = Image.new("RGB", (48, 48))
    assert copies(tmp_path, faces) == {"duplicate": [("train/happy/black.png", "train/happy/0.png")]}


def test_more_look_alikes_than_are_compared_are_all_listed(tmp_path):
    pixels = np.asarray(picture(0, 32)).copy()
    for number in range(2 * ENOUGH + 50):
        pixels[0, 0] = number // 256, number % 256, 7
        put(tmp_path / f"{'train' if number % 2 else 'val'}/sad/{number}.png", encoded(Image.fromarray(pixels), "PNG"))
    result = check(tmp_path)
    assert len(result.problems["near_leak"]) == ENOUGH + 25
    assert len(result.problems["near_duplicate"]) == 2 * (ENOUGH + 25 - 1)


@pytest.mark.skipif(
    "JAXFER_DATA" not in os.environ, reason="JAXFER_DATA does not name a folder with fer2013/fer2013.npz"
)
def test_the_leaks_of_the_real_fer2013_are_found_exactly():
    result = check(Path(os.environ["JAXFER_DATA"]) / "fer2013" / "fer2013.npz")
    leaks = {problem.path: problem for problem in result.problems["leak"]}
    assert len(leaks) == len(result.problems["leak"]) == 280
    assert {(problem.split, problem.other_split) for problem in leaks.values()} == {("PublicTest", "Training")}
    splits = Counter((problem.split, problem.other_split) for problem in result.problems["label_conflict"])
    assert splits["PublicTest", "Training"] == 13
    beyond = {problem.path for problem in result.problems["near_leak"]} - set(leaks)
    assert len(beyond) > 200
    assert result.release.name == "FER2013"
    assert result.release.fits


def test_the_page_says_what_the_search_does_not_see_where_nothing_is_found_too(tmp_path):
    found = check(write(tmp_path / "data", {"train/happy/1.png": picture(1)}))
    assert UNSEEN in write_check(found, tmp_path / "check.html").read_text()
