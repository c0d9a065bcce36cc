"""Files and folders that jaxfer writes: whole, never through a link, and nothing of others removed."""

import os
import re

import pytest

from jaxfer.errors import UserError
from jaxfer.files import TAG, append, own, remove, write

OURS = re.compile("[0-9]+-[0-9]+")


def everything_below(path):
    return sorted(str(found.relative_to(path)) for found in path.rglob("*"))


@pytest.mark.parametrize("content", ["Ärger\n", b"\x00\xff"])
def test_a_file_is_written_whole_with_the_permissions_of_any_other(tmp_path, content):
    assert write(content, tmp_path / "file") == tmp_path / "file"
    assert (tmp_path / "file").read_bytes() == (content.encode() if isinstance(content, str) else content)
    (tmp_path / "other").touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode
    assert everything_below(tmp_path) == ["file", "other"]


@pytest.mark.parametrize("link", ["file", "file.partial"])
def test_writing_follows_no_link(tmp_path, link):
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / link).symlink_to(tmp_path / "theirs")
    write("ours", tmp_path / "file")
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert (tmp_path / "file").read_text() == "ours"
    assert not (tmp_path / "file").is_symlink()


def test_what_cannot_be_written_is_a_sentence_and_leaves_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "no" / "file"):
        with pytest.raises(UserError, match=rf"{path.name} cannot be written \(.+\): free disk space"):
            write("ours", path)
    assert everything_below(tmp_path) == ["folder"]


def test_lines_are_added_to_a_file_and_not_through_a_link(tmp_path):
    for line in ("one\n", "two\n"):
        append(line, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "one\ntwo\n"
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(UserError, match="link is a link"):
        append("three\n", tmp_path / "link")
    assert (tmp_path / "file").read_text() == "one\ntwo\n"


def test_only_what_is_named_and_no_link_is_removed_from_a_marked_folder(tmp_path):
    own(tmp_path / "home", OURS)
    own(tmp_path / "home", OURS)
    for name in ("1-1", "2-2", "a-b"):
        (tmp_path / "home" / name).mkdir()
    (tmp_path / "theirs" / "inside").mkdir(parents=True)
    (tmp_path / "home" / "3-3").symlink_to(tmp_path / "theirs")
    (tmp_path / "home" / "1-1" / "link").symlink_to(tmp_path / "theirs")
    (tmp_path / "home" / "4-4").write_text("a file")
    remove(tmp_path / "home", lambda name: OURS.fullmatch(name) and name != "2-2")
    assert everything_below(tmp_path / "home") == ["2-2", "3-3", "4-4", TAG, "a-b"]
    assert everything_below(tmp_path / "theirs") == ["inside"]


@pytest.mark.parametrize("mark", ["none", "another's", "link", "pipe"])
def test_nothing_is_removed_from_a_folder_that_is_not_marked(tmp_path, mark):
    own(tmp_path / "ours", OURS)
    (tmp_path / "home" / "1-1").mkdir(parents=True)
    if mark == "another's":
        (tmp_path / "home" / TAG).write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    elif mark == "link":
        (tmp_path / "home" / TAG).symlink_to(tmp_path / "ours" / TAG)
    elif mark == "pipe":
        os.mkfifo(tmp_path / "home" / TAG)
    remove(tmp_path / "home", OURS.fullmatch)
    assert (tmp_path / "home" / "1-1").is_dir()


def test_nothing_is_removed_through_a_link_to_a_marked_folder(tmp_path):
    own(tmp_path / "ours", OURS)
    (tmp_path / "ours" / "1-1").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "ours")
    remove(tmp_path / "link", OURS.fullmatch)
    assert (tmp_path / "ours" / "1-1").is_dir()
    with pytest.raises(UserError, match="link is a link"):
        own(tmp_path / "link", OURS)


def test_a_folder_becomes_ours_where_it_holds_nothing_else(tmp_path):
    (tmp_path / "old" / "1-1").mkdir(parents=True)
    (tmp_path / "old" / ".hidden").mkdir()
    own(tmp_path / "old", OURS)
    remove(tmp_path / "old", OURS.fullmatch)
    assert everything_below(tmp_path / "old") == [".hidden", TAG]
    (tmp_path / "theirs" / "1-1").mkdir(parents=True)
    (tmp_path / "theirs" / "a-b").mkdir()
    with pytest.raises(UserError, match="is not a folder that jaxfer made"):
        own(tmp_path / "theirs", OURS)
    assert everything_below(tmp_path / "theirs") == ["1-1", "a-b"]
