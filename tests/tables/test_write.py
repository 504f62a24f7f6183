"""Writing tables: all or nothing, and early word about places that cannot be written."""

import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.errors import TableError
from chainrule.tables import check_writable, read_table, write_table

FRAME = pl.DataFrame({"prediction": [1.5, 0.1 + 0.2, None, 1e300], "class": ["a, b", 'say "so"', None, "two\nlines"]})


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.parquet", "out.pq", "OUT.CSV"])
def test_round_trip(tmp_path, name):
    path = tmp_path / name
    check_writable(path)
    assert not path.exists()
    write_table(FRAME, path)
    assert read_table(path).equals(FRAME)
    assert os.listdir(tmp_path) == [name]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.sampled_from(["csv", "parquet"]))
def test_numbers_keep_every_bit(tmp_path_factory, values, suffix):
    path = tmp_path_factory.mktemp("bits") / f"t.{suffix}"
    write_table(pl.DataFrame({"x": values}), path)
    assert [float(v) for v in read_table(path)["x"]] == values


def test_permissions_and_links(tmp_path):
    (tmp_path / "probe").touch()
    path = tmp_path / "out.csv"
    write_table(FRAME, path)
    assert path.stat().st_mode == (tmp_path / "probe").stat().st_mode
    path.chmod(0o640)
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    write_table(FRAME[:1], link)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert read_table(path).height == 1


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "out.csv"
    path.write_text("old\n")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TableError) as caught:
        write_table(FRAME, path)
    assert str(caught.value) == (f"{path}: cannot be written (No space left on device); name another place")
    assert path.read_text() == "old\n"
    assert os.listdir(tmp_path) == ["out.csv"]


def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "out.csv"
    path.write_text("old\n")

    def interrupted(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_table(FRAME, path)
    assert path.read_text() == "old\n"
    assert os.listdir(tmp_path) == ["out.csv"]


def test_columns_that_a_format_cannot_hold(tmp_path):
    path = tmp_path / "out.csv"
    with pytest.raises(TableError, match="cannot be written") as caught:
        write_table(pl.DataFrame({"a": [[1, 2]]}), path)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("act", [check_writable, lambda path: write_table(FRAME, path)])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.xlsx", "cannot write the format '.xlsx'; use a name ending in .csv, .tsv, .parquet, .pq"),
        ("out", "cannot write the format ''; use a name ending in .csv, .tsv, .parquet, .pq"),
        ("folder.csv", "is a directory; name a file in it"),
        ("none/out.csv", "there is no folder {folder}; create it or name another one"),
        ("pipe.csv", "is not a regular file, and cannot be replaced; name another one"),
    ],
)
def test_places_that_cannot_be_written(tmp_path, act, name, message):
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    path = tmp_path / name
    with pytest.raises(TableError) as caught:
        act(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    head, _, tail = message.partition("{folder}")
    assert text.removeprefix(f"{path}: ").startswith(head)
    assert text.endswith(tail)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the super-user may write everything")
def test_protected_places(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old\n")
    path.chmod(0o400)
    with pytest.raises(TableError, match=r"is write-protected; change its permissions or name another file$"):
        check_writable(path)
    tmp_path.chmod(0o500)
    with pytest.raises(TableError, match=r"cannot be written \(Permission denied\)"):
        check_writable(tmp_path / "new.csv")
    tmp_path.chmod(0o700)


def test_names_of_great_length(tmp_path):
    with pytest.raises(TableError, match=r"cannot be written \(File name too long\); name another place$") as caught:
        write_table(FRAME, tmp_path / ("x" * 300 + ".csv"))
    assert "\n" not in str(caught.value)
    assert list(Path(tmp_path).iterdir()) == []
