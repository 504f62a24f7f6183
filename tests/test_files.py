"""Files are written all or nothing, and places are tried before the work."""

import os

import pytest

import chainrule as cr
from chainrule.files import check_writable, refuse_same_file, replacing, write_atomically


def test_permissions_and_links_are_kept(tmp_path):
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"old")
    file.chmod(0o640)
    link.symlink_to(file)
    write_atomically(link, b"new")
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


def test_new_files_have_the_permissions_of_new_files(tmp_path):
    write_atomically(tmp_path / "ours", b"")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_error_in_the_block_leaves_nothing(tmp_path):
    def write() -> None:
        with replacing(tmp_path / "file") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert os.listdir(tmp_path) == []


def test_the_file_before_is_kept(tmp_path):
    for content in (b"1", b"2", b"3"):
        write_atomically(tmp_path / "file", content, tmp_path / "before")
    assert (tmp_path / "file").read_bytes() == b"3"
    assert (tmp_path / "before").read_bytes() == b"2"


def test_what_is_no_regular_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(cr.OptionError, match=r"pipe: it is not a regular file, and cannot be replaced"):
        check_writable(tmp_path / "pipe")


def test_inputs_are_not_written_over(tmp_path):
    (tmp_path / "data").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    refuse_same_file(tmp_path / "new", tmp_path / "data", None)
    with pytest.raises(cr.OptionError, match="would be written over the input"):
        refuse_same_file(tmp_path / "link", tmp_path / "data")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    written = tmp_path / "m.chainrule"
    written.write_bytes(b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(cr.OptionError, match=r"cannot write .*m.chainrule: No space left on device; choose another"):
        write_atomically(written, b"new")
    assert written.read_bytes() == b"old"
    assert os.listdir(written.parent) == [written.name]


def test_check_writable(tmp_path):
    check_writable(tmp_path / "new.chainrule")
    with pytest.raises(cr.OptionError, match="it is a directory"):
        check_writable(tmp_path)
    with pytest.raises(cr.OptionError, match="there is no folder"):
        check_writable(tmp_path / "no" / "m.chainrule")


def test_check_writable_tries_it(tmp_path):
    with pytest.raises(cr.OptionError, match=r"cannot write /proc/m.chainrule: .*; choose another place"):
        check_writable("/proc/m.chainrule")
    (tmp_path / "old").write_bytes(b"old")
    check_writable(tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["old"]
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):  # root may write anywhere
        return
    with pytest.raises(cr.OptionError, match="Permission denied"):
        check_writable(folder / "m")
