"""Damaged Parquet files: what ends the process that reads them is one line to the user."""

import base64
import io
import subprocess
import sys
import zlib
from pathlib import Path

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.reliability_checks import PeakMemory

from chainrule.cli import run
from chainrule.errors import TableError
from chainrule.tables import parquet, read_table
from chainrule.tables.lines import Malformed

#: a column of booleans as polars writes it
WHOLE = zlib.decompress(
    base64.b64decode(
        "eNptUcFOwkAQnaISDp4Iu+kmDekFApEgrCVtjZfBNNiYaEtiPHgqlhUSoIYiiF/i5zq78eDBl8m8mXlv5rCb4HTIgNVZvceaVFRZFeAEAM7WL08WA9GC"
        "qrCtGQPe5B732jUQDq8xj5OHVUTv7nRbFDtWAQatChnJJxzhtG+cf5e5Yg2gutmuca8BdMw+x+n08fm6fF3M15n9bV1qyAIJkU7BnvrP9Lc3o3vEEm8N"
        "p3iRkH446HmM+PbXZ5Kv9aPRjThBI2lKcRzj2HCk7xGMDzH5oqUg0pIOnMQI9kNSrLJt6Xbej7tFsem6+/m2XBYbV/aH/YHbmX0sV7nrq3AgZ/mVUrn0"
        "lQpkPvSkH2SDMJPhSCmp/Gyeh7IrHIceMbIAEvqFH6NhVXs="
    )
)


def test_a_file_that_ends_the_process(tmp_path, capfd, monkeypatch):
    """Got through: with one byte changed polars asks for two exabytes, and the process ended in pages of noise."""
    monkeypatch.chdir(tmp_path)
    damaged = bytearray(WHOLE)
    damaged[12] = 0x7F
    (tmp_path / "t.parquet").write_bytes(damaged)
    assert run(["fit", "t.parquet", "--target", "b"]) == 1
    error = capfd.readouterr().err
    assert error.startswith("chainrule: t.parquet: is a damaged Parquet file")
    assert error.count("\n") == 1
    assert parquet.read_parquet(WHOLE)["b"].to_list() == [True, None, False] * 5


def test_lists_are_not_unpacked():
    """Got through: lists of equal numbers in a file of 19 kB were sixteen gigabytes."""
    buffer = io.BytesIO()
    lists = pl.DataFrame({"a": [[0.0] * 3_000_000, None]})
    table = lists.with_columns(b=pl.Series([1.5, 2.5]), c=pl.struct(pl.lit("x").alias("y")))
    table.write_parquet(buffer)
    assert len(buffer.getvalue()) < 10_000
    with PeakMemory() as peak:
        found = parquet.read_parquet(buffer.getvalue())
    assert peak.bytes < 16 * 2**20
    assert found.schema == table.schema
    assert found["b"].to_list() == [1.5, 2.5]
    assert found["a"].null_count() == 2
    buffer = io.BytesIO()
    lists.write_parquet(buffer)
    assert parquet.read_parquet(buffer.getvalue()).shape == (2, 1)


def test_text_is_unpacked_in_bounded_memory():
    buffer = io.BytesIO()
    pl.DataFrame({"a": ["x" * 20_000_000]}).write_parquet(buffer, compression="zstd")
    with pytest.raises(Malformed, match="GB of cells, more than there is memory for"):
        parquet.try_out(buffer.getvalue(), 150_000_000)
    parquet.try_out(buffer.getvalue(), 170_000_000)


def test_words_of_the_other_process_come_through():
    buffer = io.BytesIO()
    pl.DataFrame({"a": [1.0] * 1000}).write_parquet(buffer)
    with pytest.raises(Malformed, match="GB of cells, more than there is memory for"):
        parquet.try_out(buffer.getvalue(), 23_000)
    with pytest.raises(Malformed, match=r"is a damaged Parquet file \("):
        parquet.try_out(b"PAR1" + b"x" * 100 + b"PAR1", None)
    parquet.try_out(buffer.getvalue(), 25_000)


@pytest.mark.parametrize("program", ["/no/such/program", "/bin/false", "", None])
def test_without_another_process_it_is_read_at_once(monkeypatch, program):
    monkeypatch.setattr(sys, "executable", program)
    assert parquet.read_parquet(WHOLE).height == 15


def test_the_other_process_imports_what_this_one_would(monkeypatch, tmp_path):
    (tmp_path / "polars.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert parquet.read_parquet(WHOLE).height == 15
    assert subprocess.run([sys.executable, "-c", "import polars"]).returncode == 3  # so it is not by chance


def refusals_of_damaged_parquet(path, places):
    """What is said of a file with one byte flipped, where something is; it ends in one line or in a table."""
    pl.DataFrame({"a": list(range(50)), "b": ["x", "y"] * 25}).write_parquet(path)
    whole = path.read_bytes()
    refusals = []
    for place in range(4, len(whole) - 8, len(whole) // places):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            read_table(path)
        except TableError as error:
            refusals.append(str(error))
    assert all(message.startswith(f"{path}: ") and "\n" not in message for message in refusals)
    return refusals


def test_damaged_parquet_is_refused_or_read(tmp_path):
    assert len(refusals_of_damaged_parquet(tmp_path / "t.parquet", 12)) > 3  # each takes a process of its own


def test_parquet_damaged_in_many_places(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "try_out", lambda data, available: None)
    assert len(refusals_of_damaged_parquet(tmp_path / "t.parquet", 130)) > 20


def test_a_file_that_takes_too_long(monkeypatch):
    monkeypatch.setattr(parquet, "_SECONDS", 0.0)
    with pytest.raises(Malformed, match="takes more than 0 s to read"):
        parquet.read_parquet(WHOLE)
