"""Whatever happens to a file of a data set, in any format, reading ends in records or in a sentence, never in a crash.

A case is a number: it decides which file is damaged and how, and a failure names it with what it did. To repeat it:

    Subject(format_, tmp_path).examine(case)
"""

import contextlib
import math
import re
import shutil
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from formats import FORMATS, class_shown

from jaxfer.config import DataConfig
from jaxfer.data import check, load
from jaxfer.data.copies import copies_of
from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.reading.folder import is_image
from jaxfer.data.reading.images import UnreadableError, decode
from jaxfer.data.reading.record import KINDS, SPLITS
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError

FAST = 10
"""Cases of each format that every run of the suite tries."""

TORTURE = -(-10_000 // len(FORMATS))
"""Further cases of each format, ten thousand in all."""

PIECES = (
    *(b"\0", b"\xff", b'"', b"'", b",", b";", b" ", b"\n", b"\r", b"-", b".", b":", b"/", b"[", b"{", b"&a ", b"*a"),
    *(b"nan", b"1e999", b"-2", b"99999999999999999999", b"../", b"\xef\xbb\xbf", b"!!python/name:os ", "표".encode()),
)
"""What is inserted: bytes that mean something in one format or another."""

NAMES = ("größe 표정", "\udcff", "a\nb", " ", "١٢", "½", "-1", "%s", "7", "x" * 200, "none", "train", "sad")
"""What files and folders are renamed to, with a suffix or without."""


def damaged(content, random):
    """Return the content after a few flips, insertions, repetitions, deletions and truncations."""
    content = bytearray(content)
    for _ in range(random.integers(1, 5)):
        start, stop = sorted(random.integers(0, len(content) + 1, 2).tolist())
        stop = min(stop, start + int(random.choice([1, 4, 64, 10**9])))
        match random.choice(["flip", "replace", "insert", "repeat", "delete", "truncate"]):
            case "flip" if start < len(content):
                content[start] ^= 1 << int(random.integers(8))
            case "replace":
                piece = PIECES[random.integers(len(PIECES))]
                content[start : start + len(piece)] = piece
            case "insert":
                content[start:start] = PIECES[random.integers(len(PIECES))]
            case "repeat":
                content[start:start] = content[start:stop]
            case "delete":
                del content[start:stop]
            case "truncate":
                del content[start:]
    return bytes(content)


class Subject:
    """A small copy of a data set, in which one file or folder at a time is damaged and put back."""

    def __init__(self, format_, place):
        self.format = format_
        self.root = place / "data"
        self.aside = place / "aside"
        self.root.mkdir()
        expected = format_.write(self.root, 1)
        paths = sorted(self.root.rglob("*"))
        self.folders = [path for path in paths if path.is_dir()]
        self.images = [path for path in paths if path.is_file() and is_image(path.name)]
        self.others = [path for path in paths if path.is_file() and not is_image(path.name)]
        self.decoded = set()
        self.whole = self.read(changed=self.aside)
        assert {name: found[:2] for name, found in self.whole.items() if not found[2]} == expected

    def examine(self, case):
        """Damage what the case says, read all of it, and put it back."""
        random = np.random.default_rng((zlib.crc32(self.format.name.encode()), case))
        kinds = [kind for kind in (self.others, self.others, self.images, self.folders) if kind]
        kind = kinds[random.integers(len(kinds))]
        path = kind[random.integers(len(kind))]
        path.rename(self.aside)
        new = None
        action = "nothing"
        try:
            action, new = self.replace(path, random)
            found = self.read(changed=path)
            if found is not None and kind is self.images:
                self.assert_labels_are_unchanged(found, in_place=new == path and path.is_file())
        except BaseException as error:
            error.add_note(f"case {case} of {self.format.name!r}: {path.relative_to(self.root)}: {action}")
            raise
        finally:
            for left in {path, new} - {None}:
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
            self.aside.rename(path)

    def replace(self, path, random):
        """Put something in the place of what was moved aside; return what was done, and where."""
        actions = ["delete", "rename", "empty file"]
        if self.aside.is_file():
            actions += ["folder", "other content", *["damage"] * 6]
        action = random.choice(actions)
        if action == "rename":
            suffix = random.choice(["", path.suffix, ".jpg", ".csv"])
            new = path.with_name(f"{NAMES[random.integers(len(NAMES))]}{suffix}")
            if new.exists():
                return "deleted", None
            (shutil.copytree if self.aside.is_dir() else shutil.copy)(self.aside, new)
            return f"renamed to {new.name!r}", new
        if action == "empty file":
            path.touch()
        elif action == "folder":
            path.mkdir()
        elif action == "other content":
            files = [other for other in self.images + self.others if other != path]
            path.write_bytes(files[random.integers(len(files))].read_bytes() if files else b"")
        elif action == "damage":
            path.write_bytes(damaged(self.aside.read_bytes(), random))
        return action, path

    def read(self, changed):
        """Return split, class and reason to be left out of each record, by name; None where the data is refused."""
        try:
            layout, match = detect(self.root)
            options = ReadOptions(label_order=self.format.label_order, landmarks=True)
            records = list(layout.read(match.place, options))
        except UserError:
            return None
        assert len({record.name for record in records}) == len(records)
        for record in records:
            self.assert_is_sound(record)
            self.decode(record, changed)
        return {record.name: (record.split, record.label, record.left_out) for record in records}

    def assert_is_sound(self, record):
        if record.left_out:
            assert record.left_out in KINDS
        else:
            assert record.label in AFFECTNET_8
            assert record.split in SPLITS
        assert all(math.isnan(value) or -1 <= value <= 1 for value in (record.valence, record.arousal))
        assert record.box is None or np.isfinite(record.box).all()
        assert all(kind in KINDS.values() or kind in ("label_conflict", "box", "affect") for kind, _ in record.remarks)

    def decode(self, record, changed):
        """Decode the record's image, unless it is a file that was decoded before and has not changed since."""
        is_file = isinstance(record.image, Path)
        key = (record.image, record.box) if is_file else None
        if key not in self.decoded:
            with contextlib.suppress(UnreadableError):
                assert decode(record.image, 32, box=record.box).shape == (32, 32, 3)
            if is_file and not record.image.is_relative_to(changed):
                self.decoded.add(key)

    def assert_labels_are_unchanged(self, found, in_place):
        """Damage within an image changes no record, and its loss or another name none but its own."""
        if in_place:
            assert found == self.whole
        for name in found.keys() & self.whole.keys():
            assert found[name][2] or found[name] == self.whole[name]


@pytest.fixture(scope="module", params=FORMATS, ids=lambda format_: format_.name)
def subject(request, tmp_path_factory):
    return Subject(request.param, tmp_path_factory.mktemp("fuzz"))


@pytest.mark.one_of(4)  # each other layout: every second case is `long` anyway
@pytest.mark.parametrize("cases", [range(FAST), pytest.param(range(FAST, 2 * FAST), marks=pytest.mark.long)], ids=str)
def test_damage_ends_in_records_or_a_sentence(subject, cases):
    for case in cases:
        subject.examine(case)


@pytest.mark.torture
def test_much_damage_ends_in_records_or_a_sentence(subject, record_property):
    record_property("damaged files of data", TORTURE)
    for case in range(FAST, FAST + TORTURE):
        subject.examine(case)


MISTAKES = [range(1), pytest.param(range(1, 3), marks=pytest.mark.slow)]
"""Cases of each kind of mistake in each format: those of every run of the suite, and further ones."""

SPLIT_TYPOS = {"train": "tarin", "val": "vla", "valid": "vaild", "test": "tset", "dev": "dve", "public": "pubilc"}

ODD_SUFFIXES = (".jfif", ".JPE", ".heic", ".jp2", ".txt", "", ".jpg_large", ".part")


def extra_column(root, random):
    """Give each line of one kind of lists a further value, at the end or anywhere before; perhaps the header, too."""
    texts = [path for path in root.rglob("*") if path.suffix in (".csv", ".txt", ".lst", ".tsv")]
    suffix = random.choice(sorted({path.suffix for path in texts})) if texts else ""
    place, value, header = random.random(), str(random.integers(0, 9)), random.random() < 0.5
    for path in texts:
        if path.suffix == suffix:
            lines = path.read_text(errors="surrogateescape").splitlines()
            parted = next((one for one in (",", ";", "\t") if lines and one in lines[0]), " ")
            for number, line in enumerate(lines):
                values = line.split(parted)
                is_header = number == 0 and not any(character.isdigit() for character in line)
                if not is_header or header:
                    more = "noise" if is_header else value
                    values.insert(len(values) if place > 0.5 else int(2 * place * len(values)), more)
                lines[number] = parted.join(values)
            path.write_text("\n".join([*lines, ""]), errors="surrogateescape")


def shifted_code(root, random):
    """Add 1 to one of the values of each line of the lists, or of each name of a file or folder, or take 1."""
    step, place = int(random.choice([-1, 1])), int(random.integers(-12, 12))

    def shifted(text):
        parts = re.split(r"([,;_s \t])", text)
        values = parts[::2]
        if -len(values) <= place < len(values) and re.fullmatch("(class)?[0-9]{1,2}", values[place]):
            number = re.search("[0-9]+", values[place])[0]
            values[place] = values[place].replace(number, str(int(number) + step))
        parts[::2] = values
        return "".join(parts)

    texts = [path for path in root.rglob("*") if path.suffix in (".csv", ".txt", ".lst") and path.stat().st_size]
    if texts and random.random() < 0.8:
        for path in texts:
            lines = path.read_text(errors="surrogateescape").splitlines()
            path.write_text("\n".join([*map(shifted, lines), ""]), errors="surrogateescape")
        return
    for folder in sorted(
        [root, *(path for path in root.rglob("*") if path.is_dir())], key=lambda path: -len(path.parts)
    ):
        paths = sorted(folder.iterdir())
        for path in paths:  # aside first: the new name of one is the old name of another
            path.rename(path.with_name(f"{path.name}.moving"))
        for path in paths:
            new = path.with_name(shifted(path.stem) + path.suffix)
            path.with_name(f"{path.name}.moving").rename(path if new.exists() else new)


def odd_suffix(root, random):
    """Give one image in three another suffix."""
    suffix = random.choice(ODD_SUFFIXES)
    for path in sorted(root.rglob("*")):
        beside = sum(is_image(other.name) for other in path.parent.iterdir()) > 1
        if path.is_file() and is_image(path.name) and beside and random.random() < 0.34:
            path.rename(path.with_name(path.stem + suffix))


def misspelt_split(root, random):
    """Misspell one split wherever it is a name, or in the lists."""
    word = random.choice(sorted(SPLIT_TYPOS))

    def misspelt(text):
        return re.sub(word, lambda found: SPLIT_TYPOS[found[0].lower()], text, flags=re.IGNORECASE)

    for path in sorted(root.rglob("*"), key=lambda path: -len(path.parts)):
        if path.suffix in (".csv", ".txt", ".lst") and random.random() < 0.5:
            path.write_text(misspelt(path.read_text(errors="surrogateescape")), errors="surrogateescape")
        new = path.with_name(misspelt(path.name))
        if new != path and not new.exists():
            path.rename(new)


def read_by_content(root, format_):
    """Return split and class of each usable face, by its pixels; its image; and how many images are left out."""
    try:
        layout, match = detect(root)
        records = list(layout.read(match.place, ReadOptions(label_order=format_.label_order)))
    except UserError:
        return None
    faces, used, left_out = {}, set(), set()
    for record in records:
        try:
            face = None if record.left_out else decode(record.image, 32, box=record.box)
        except UnreadableError:
            face = None
        if face is None:
            left_out.add(
                record.image if isinstance(record.image, Path) and is_image(record.image.name) else record.name
            )
        else:
            used.add(record.image if isinstance(record.image, Path) else record.name)
            faces[face.tobytes()] = record.split, record.label, format_.gray or class_shown(face) == record.label
    return faces, len(used), len(left_out)


@pytest.mark.one_of(3)
@pytest.mark.parametrize("cases", MISTAKES, ids=lambda cases: f"{cases.start}-{cases.stop}")
@pytest.mark.parametrize("mistake", [extra_column, shifted_code, odd_suffix, misspelt_split])
@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
def test_mistakes_of_people_end_in_right_labels_or_a_sentence(format_, mistake, cases, tmp_path):
    (tmp_path / "whole").mkdir()
    format_.write(tmp_path / "whole", 1)
    whole, images, before = read_by_content(tmp_path / "whole", format_)
    for case in cases:
        random = np.random.default_rng((zlib.crc32(f"{format_.name} {mistake.__name__}".encode()), case))
        root = tmp_path / str(case)
        shutil.copytree(tmp_path / "whole", root)
        mistake(root, random)
        found = read_by_content(root, format_)
        if found is None:
            continue
        faces, used, left_out = found
        for pixels, (split, label, is_shown) in faces.items():
            # A number that was changed may be one of a box or of a pixel.
            assert is_shown if pixels not in whole else (split, label, is_shown) == whole[pixels], f"case {case}"
        assert left_out - before >= images - used, f"case {case} drops images in silence"


@pytest.mark.one_of(3)
@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
def test_copies_are_on_one_side_of_what_is_held_out_or_told(format_, tmp_path):
    """Files of one class are written over each other, within the training split and from there into others."""
    (tmp_path / "data").mkdir()
    format_.write(tmp_path / "data", 4)
    options = ReadOptions(label_order=format_.label_order)
    layout, match = detect(tmp_path / "data", options)
    files = [r for r in layout.read(match.place, options) if not r.left_out and isinstance(r.image, Path) and not r.box]
    random = np.random.default_rng(zlib.crc32(format_.name.encode()))
    first = {record.label: record for record in files if record.split == "train"}
    copied = {}
    for record in files:
        other = first.get(record.label)
        if other and other is not record and random.random() < 0.4:
            record.image.write_bytes(other.image.read_bytes())
            copied[record.name] = record.split
    leaks = {name for name, split in copied.items() if split != "train"}
    found = check(tmp_path / "data", label_order=format_.label_order)
    assert leaks <= {problem.path for problem in found.problems["leak"]}
    config = DataConfig(
        data_dir=tmp_path / "data", image_size=32, classes=format_.classes, label_order=format_.label_order
    )
    try:
        data = load(replace(config, max_unreadable=1.0))
    except UserError as error:
        assert "belong together" in str(error)  # noqa: PT017 - it is read, or such a sentence says why not
        return
    if data.val.name.startswith("held out"):
        assert not copies_of(data.val.images, data.train.images).any()
