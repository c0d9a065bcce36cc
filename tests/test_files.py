"""Files and folders that jaxfer writes: whole, never through a link, and nothing of others removed."""

import errno
import os
import re
import socket
import subprocess
import sys
import threading

import pytest

from jaxfer.errors import UserError
from jaxfer.files import LOCK, TAG, append, begin, hold, lines, opened, opened_text, own, read_bytes, remove, write

OURS = re.compile("[0-9]+-[0-9]+")


def everything_below(path):
    return sorted(str(found.relative_to(path)) for found in path.rglob("*"))


@pytest.mark.parametrize("content", ["Ärger\n", "caf\udce9", b"\x00\xff"])
def test_a_file_is_written_whole_with_the_permissions_of_any_other(tmp_path, content):
    assert write(content, tmp_path / "file") == tmp_path / "file"
    assert (tmp_path / "file").read_bytes() == (
        content if isinstance(content, bytes) else content.replace("\udce9", "\\udce9").encode()
    )
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
    for path, advice in ((tmp_path / "folder", "free disk space"), (tmp_path / "no" / "file", "make its folder first")):
        with pytest.raises(UserError, match=rf"{path.name} cannot be written \(.+\): {advice}"):
            write("ours", path)
    assert everything_below(tmp_path) == ["folder"]


@pytest.mark.parametrize(("written", "left"), [("", False), ("a row\n", True)])
def test_what_was_written_stays_where_the_work_fails_and_an_empty_file_does_not(tmp_path, written, left):
    def work():
        with begin(tmp_path / "rows") as file:
            file.write(written)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert (tmp_path / "rows").exists() == left
    with begin(tmp_path / "none"):
        pass
    assert (tmp_path / "none").read_text() == ""


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


def test_a_folder_is_held_by_one_and_free_when_that_one_ends(tmp_path):
    with hold(tmp_path):
        with pytest.raises(UserError, match=rf"is in use by process {os.getpid()} on \S+, since .+: wait until"):
            hold(tmp_path).__enter__()
        (tmp_path / "theirs").touch()
    with hold(tmp_path):
        pass
    assert everything_below(tmp_path) == ["theirs"]


def test_a_folder_is_free_when_its_holder_is_killed(tmp_path):
    program = (
        f"from jaxfer.files import *\nwith hold(Path({str(tmp_path)!r})): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"is in use by process {holder.pid} on"):
            hold(tmp_path).__enter__()
        holder.kill()
        holder.wait()
        with hold(tmp_path):
            pass


def test_of_many_who_want_a_folder_at_once_one_holds_it(tmp_path):
    inside, most, entered = 0, 0, 0
    guard = threading.Lock()

    def enter():
        nonlocal inside, most, entered
        for _ in range(50):
            try:
                with hold(tmp_path):
                    with guard:
                        inside, entered = inside + 1, entered + 1
                        most = max(most, inside)
                    with guard:
                        inside -= 1
            except UserError:
                pass

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, inside) == (1, 0)
    assert entered > 0


def test_a_lock_that_is_a_link_or_that_the_disk_does_not_know_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / LOCK).symlink_to(tmp_path / "theirs")
    with pytest.raises(UserError, match="is a link"):
        hold(tmp_path).__enter__()
    assert not (tmp_path / "theirs").exists()
    (tmp_path / LOCK).unlink()

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(UserError, match=r"its disk knows no locks \(No locks available\): choose a folder on another"):
        hold(tmp_path).__enter__()


def test_only_files_are_opened_and_nothing_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # paths of sockets may have a hundred characters
    os.mkfifo("pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        kinds = {"link": "a pipe", "folder": "a folder", "pipe": "a pipe"}
        for name in ("pipe", "link", "folder", "device", "socket"):
            with pytest.raises(OSError, match=f"{kinds.get(name, 'a socket or a device')}, not a file"):
                opened(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        opened(tmp_path / "nothing")


def test_no_more_is_read_than_is_wanted(tmp_path):
    (tmp_path / "file").write_bytes(b"12345678" * 256)
    assert read_bytes(tmp_path / "file", 2048) == b"12345678" * 256
    with pytest.raises(OSError, match="more than 1 KiB"):
        read_bytes(tmp_path / "file", 2047)


def test_lines_are_cut_off_and_counted(tmp_path, monkeypatch):
    text = "\ufeffone\r\n" + "x" * 100_000 + "\n\n12345\n123456\nend"
    (tmp_path / "file").write_bytes(text.encode())
    with opened_text(tmp_path / "file") as file:
        assert list(lines(file, 5)) == ["one\n", "xxxxxx", "\n", "12345\n", "123456", "end"]
    with opened(tmp_path / "file") as file:
        assert [line[-3:] for line in lines(file, 10**6)] == [b"e\r\n", b"xx\n", b"\n", b"45\n", b"56\n", b"end"]
    monkeypatch.setattr("jaxfer.files.MOST_LINES", 5)
    with opened(tmp_path / "file") as file, pytest.raises(OSError, match="more than 5 lines"):
        list(lines(file, 10))
