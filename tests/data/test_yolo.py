import numpy as np
import pytest
from PIL import Image

from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.reading.images import decode
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError

NAMES = "names: [anger, contempt, disgust, fear, happy, neutral, sad, surprise]\n"
ALPHABETICAL = sorted(AFFECTNET_8)

WHOLE = "0.5 0.5 1 1"


def data(root, texts, *, yaml=NAMES, split="train", size=(64, 48), **options):
    """Write an image for each label file, whose text may be None for no file."""
    images, labels = root / split / "images", root / split / "labels"
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_bytes(yaml if isinstance(yaml, bytes) else yaml.encode())
    for stem, text in texts.items():
        Image.new("RGB", size).save(images / f"{stem}.jpg", **options)
        if text is not None:
            (labels / f"{stem}.txt").write_text(text)
    return root


def read(root, **options):
    layout, match = detect(root)
    assert layout.name == "YOLO"
    records = list(layout.read(match.place, ReadOptions(**options)))
    assert len({r.name for r in records}) == len(records)
    return records


def summary(records):
    return {r.name: r.label if not r.left_out else r.left_out for r in records}


def refusal(root, **options):
    with pytest.raises(UserError) as caught:
        read(root, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    "yaml",
    [
        NAMES,
        NAMES + "nc: 8\n",
        "names:\n" + "".join(f"- {name.title()}\n" for name in ALPHABETICAL),
        "names:\n" + "".join(f"  {index}: {name}\n" for index, name in enumerate(ALPHABETICAL)),
        "names: {" + ", ".join(f"'{index}': {name}" for index, name in reversed([*enumerate(ALPHABETICAL)])) + "}",
        b"\xef\xbb\xbf" + NAMES.replace("\n", "\r\n").encode(),
        "# made by hand\ntrain: ../nowhere/images\nval: /etc\nroboflow: {workspace: w, version: 1}\n" + NAMES,
    ],
    ids=["flow list", "nc", "block list", "mapping", "flow mapping", "BOM and CRLF", "paths"],
)
def test_names_may_be_written_in_every_way(tmp_path, yaml):
    texts = {str(code): f"{code} {WHOLE}\n" for code in range(8)}
    records = read(data(tmp_path, texts, yaml=yaml))
    assert summary(records) == {f"train/images/{code}.jpg": name for code, name in enumerate(ALPHABETICAL)}


def test_names_that_are_digits_need_a_declared_order(tmp_path):
    root = data(tmp_path, {"a": f"3 {WHOLE}"}, yaml="names: ['0', '1', '2', '3', '4', '5', '6', '7']")
    assert "--label-order" in refusal(root)
    assert summary(read(root, label_order="affectnet")) == {"train/images/a.jpg": "surprise"}


def test_a_name_that_is_no_expression_is_left_out_if_known_and_else_refused(tmp_path):
    root = data(tmp_path, {"a": f"0 {WHOLE}", "b": f"1 {WHOLE}"}, yaml="names: [no face, happy]")
    assert summary(read(root)) == {"train/images/a.jpg": "other class", "train/images/b.jpg": "happy"}
    data(root, {}, yaml="names: [suprise, happy]")
    message = refusal(root)
    assert f"class 'suprise' in {root / 'data.yaml'}" in message
    assert "did you mean 'surprise'" in message


def test_the_box_is_in_pixels_of_the_image(tmp_path):
    (record,) = read(data(tmp_path, {"a": "4 0.5 0.25 0.5 0.5\n"}, size=(640, 480)))
    assert record.box == (160, 0, 320, 240)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_box_is_in_pixels_of_the_upright_image(tmp_path, orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    root = data(tmp_path, {"a": "4 0.5 0.5 0.5 1\n"}, size=(60, 40), format=kind, exif=exif)
    (record,) = read(root)
    assert record.box == ((10, 0, 20, 60) if orientation >= 5 else (15, 0, 30, 40))


def test_each_line_is_a_face_with_a_name_of_its_own(tmp_path):
    text = "4 0.25 0.5 0.5 1\n\n6 0.75 0.5 0.5 1\n0 0.5 0.5 0.5 0.5"
    records = read(data(tmp_path, {"a": text}, size=(40, 20)))
    assert [(r.name, r.label, r.box) for r in records] == [
        ("train/images/a.jpg", "happy", (0, 0, 20, 20)),
        ("train/images/a.jpg box 2", "sad", (20, 0, 20, 20)),
        ("train/images/a.jpg box 3", "anger", (10, 5, 20, 10)),
    ]
    assert {r.image for r in records} == {tmp_path / "train/images/a.jpg"}


def test_the_face_is_what_the_box_shows(tmp_path):
    root = data(tmp_path, {"a": "4 0.75 0.5 0.5 1"})
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, 20:] = 200
    Image.fromarray(picture).save(root / "train/images/a.jpg", quality=100)
    (record,) = read(root)
    assert decode(record.image, 32, box=record.box).min() > 190


@pytest.mark.parametrize(
    "numbers", ["0.5 0.5 1.2 1", "-0.1 0.5 1 1", "0.5 0.5 0 1", "nan 0.5 1 1", "0.5 inf 1 1", "96 80 40 40"]
)
def test_a_box_out_of_range_is_remarked_on_and_the_whole_image_used(tmp_path, numbers):
    (record,) = read(data(tmp_path, {"a": f"4 {numbers}"}))
    assert (record.label, record.left_out, record.box) == ("happy", "", None)
    ((kind, reason),) = record.remarks
    assert kind == "box"
    assert numbers in reason


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (None, "no label file"),
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("4 0.5 0.5 1", "line 1 of its label file is not"),
        ("4 0.5 0.5 1 1 0.9", "line 1 of its label file is not"),
        ("happy 0.5 0.5 1 1", "line 1 of its label file is not"),
        ("4 0.5 0.5 wide 1", "line 1 of its label file is not"),
        ("8 0.5 0.5 1 1", "no class 8"),
        ("-1 0.5 0.5 1 1", "no class -1"),
        ("2.5 0.5 0.5 1 1", "no class 2.5"),
        ("nan 0.5 0.5 1 1", "no class nan"),
        ("\0\xff\ufffd", "line 1 of its label file is not"),
    ],
)
def test_images_without_a_usable_label_are_left_out_with_the_reason(tmp_path, text, detail):
    (record,) = read(data(tmp_path, {"a": text}))
    assert (record.label, record.left_out) == ("", "unlabelled")
    assert detail in record.detail


def test_a_malformed_line_spoils_no_other(tmp_path):
    records = read(data(tmp_path, {"a": f"4 {WHOLE}\n4 0.5\n6 {WHOLE}\n"}))
    assert list(summary(records).values()) == ["happy", "unlabelled", "sad"]


def test_label_files_without_an_image_are_counted_and_lists_of_classes_are_no_labels(tmp_path):
    root = data(tmp_path, {"a": f"4 {WHOLE}"})
    (root / "train/labels/b.txt").write_text(f"4 {WHOLE}")
    (root / "train/labels/classes.txt").write_text("anger\n")
    assert summary(read(root)) == {"train/images/a.jpg": "happy", "train/labels/b.txt": "row without a file"}


def test_an_image_whose_header_cannot_be_read_has_no_box_and_fails_when_it_is_decoded(tmp_path):
    root = data(tmp_path, {"a": f"4 {WHOLE}"})
    (root / "train/images/a.jpg").write_bytes(b"")
    (record,) = read(root)
    assert (record.label, record.box) == ("happy", None)


def test_a_folder_in_place_of_a_label_file_is_no_label(tmp_path):
    root = data(tmp_path, {"a": None})
    (root / "train/labels/a.txt").mkdir()
    (record,) = read(root)
    assert record.left_out == "unlabelled"
    assert "cannot be read" in record.detail


@pytest.mark.parametrize(("folder", "split"), [("val", "val"), ("valid", "val"), ("Test", "test"), ("train", "train")])
def test_split_folders_have_many_names(tmp_path, folder, split):
    (record,) = read(data(tmp_path, {"a": f"4 {WHOLE}"}, split=folder))
    assert (record.split, record.split_name) == (split, folder)


def test_a_split_without_labels_is_read_too(tmp_path):
    root = data(data(tmp_path, {"a": f"4 {WHOLE}"}), {"b": None}, split="test")
    (root / "test/labels").rmdir()
    assert summary(read(root)) == {"test/images/b.jpg": "unlabelled", "train/images/a.jpg": "happy"}


def test_images_and_labels_may_be_the_outer_folders(tmp_path):
    for split in ("train", "val"):
        data(tmp_path / split, {"a": f"4 {WHOLE}"}, split="x")
        for kind in ("images", "labels"):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / split / "x" / kind).rename(tmp_path / "data" / kind / split)
    (tmp_path / "data/data.yaml").write_text(NAMES)
    (tmp_path / "data/labels/val/b.txt").write_text("")
    records = read(tmp_path / "data")
    assert [(r.name, r.split) for r in records] == [
        ("images/val/a.jpg", "val"),
        ("labels/val/b.txt", "val"),
        ("images/train/a.jpg", "train"),
    ]


def test_links_that_leave_the_data_are_left_out(tmp_path):
    outside = data(tmp_path / "outside", {"a": f"4 {WHOLE}"})
    root = data(tmp_path / "data", {"a": f"4 {WHOLE}", "b": None, "c": None})
    (root / "train/labels/b.txt").symlink_to(outside / "train/labels/a.txt")
    (root / "train/images/c.jpg").unlink()
    (root / "train/images/c.jpg").symlink_to(outside / "train/images/a.jpg")
    (root / "val").symlink_to(outside / "train")
    assert summary(read(root)) == {
        "val/images": "link out of the folder",
        "val/labels": "link out of the folder",
        "train/images/a.jpg": "happy",
        "train/images/b.jpg": "link out of the folder",
        "train/images/c.jpg": "link out of the folder",
    }
    (root / "data.yaml").unlink()
    (root / "data.yaml").symlink_to(outside / "data.yaml")
    with pytest.raises(UserError, match="has no data that jaxfer reads"):
        detect(root)


@pytest.mark.parametrize(
    ("yaml", "reason"),
    [
        ("", "has no names"),
        ("just text", "has no names"),
        ("- anger\n- happy\n", "has no names"),
        ("nc: 8\n", "has no names"),
        ("names:\n", "has no names"),
        ("names: happy\n", "has no names"),
        ("names: [happy, [sad]]\n", "has no names"),
        ("names: {first: happy}\n", "has no names"),
        ("names: [happy, sad\n", "line 2"),
        ("names: [happy]\nnames", "line 2"),
        (b"names: [\xff\xfe]\n", "not YOLO's list"),
        (b"names: [happy]\0", "not YOLO's list"),
        ("names: [happy, sad]\nnc: 3\n", "names 2 classes, but its nc is 3"),
        ('names: ["\\UFFFFFFFF"]', "not YOLO's list"),
        ("names: *happy", "not YOLO's list"),
        ("[" * 5000, "nested too deeply"),
        (NAMES + "#" * 70_000, "more than it can need"),
    ],
    ids=lambda value: None if isinstance(value, bytes) or len(value) > 60 else value,
)
def test_a_damaged_data_yaml_is_refused_in_one_sentence(tmp_path, yaml, reason):
    message = refusal(data(tmp_path, {"a": f"0 {WHOLE}"}, yaml=yaml))
    assert message.startswith(f"{tmp_path / 'data.yaml'} ")
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "yaml",
    [
        "names: !!python/object/apply:os.mkdir [{trap}]",
        "names: [happy]\nother: !!python/object/apply:os.mkdir [{trap}]",
        "!!python/object/apply:os.mkdir [{trap}]",
        "names: [!!python/name:os.mkdir '']",
        "names: !include {trap}",
    ],
)
def test_tags_are_refused_and_nothing_is_built_from_them(tmp_path, yaml):
    root = data(tmp_path / "data", {"a": f"0 {WHOLE}"}, yaml=yaml.format(trap=tmp_path / "sprung"))
    assert "has the tag" in refusal(root)
    assert not (tmp_path / "sprung").exists()


def test_names_that_unfold_without_end_are_refused_quickly(tmp_path):
    bomb = "a0: &a0 {x: y}\n" + "".join(
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12)
    )
    (record,) = read(data(tmp_path, {"a": f"4 {WHOLE}"}, yaml=bomb + NAMES))
    assert record.label == "happy"
    assert "has no names" in refusal(data(tmp_path, {}, yaml=bomb + "names: *a11\n"))
