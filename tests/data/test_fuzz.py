"""Whatever happens to a file of a data set, in any format, reading ends in records or in a sentence, never in a crash.

A case is a number: it decides which file is damaged and how, and a failure names it with what it did. To repeat it:

    Subject(format_, tmp_path).examine(case)
"""

import contextlib
import math
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from formats import FORMATS

from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.reading.folder import is_image
from jaxfer.data.reading.images import UnreadableError, decode
from jaxfer.data.reading.record import KINDS, SPLITS
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError

FAST = 100
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


def test_damage_ends_in_records_or_a_sentence(subject):
    for case in range(FAST):
        subject.examine(case)


@pytest.mark.torture
def test_much_damage_ends_in_records_or_a_sentence(subject, record_property):
    record_property("damaged files of data", TORTURE)
    for case in range(FAST, FAST + TORTURE):
        subject.examine(case)
