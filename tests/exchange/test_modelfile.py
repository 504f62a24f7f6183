"""The model file's container: round trips, checks, atomic writing."""

import hashlib
import json
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.exchange.modelfile import read_model_file, write_model_file

TENSORS = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([1, 2], np.int64), "c": np.zeros((0, 4), np.float32)}


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "m.chainrule"
    write_model_file(path, {"x": [1, "zwölf", None, 2.5]}, TENSORS)
    return path


def test_round_trip(written):
    description, tensors = read_model_file(written)
    assert description == {"x": [1, "zwölf", None, 2.5]}
    assert set(tensors) == set(TENSORS)
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        np.testing.assert_array_equal(tensors[name], value)


def test_any_safetensors_reader_gets_the_tensors(written):
    from safetensors.numpy import load_file

    np.testing.assert_array_equal(load_file(written)["a"], TENSORS["a"])


def test_same_content_same_bytes(written, tmp_path):
    again = tmp_path / "again.chainrule"
    write_model_file(again, {"x": [1, "zwölf", None, 2.5]}, TENSORS)
    assert again.read_bytes() == written.read_bytes()


def test_nan_in_the_description_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_model_file(tmp_path / "m", {"x": float("nan")}, {})
    assert not list(tmp_path.iterdir())


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_change_of_any_byte_is_refused(data):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m.chainrule")
        write_model_file(path, {"x": 1}, TENSORS)
        blob = bytearray(Path(path).read_bytes())
        how = data.draw(st.sampled_from(["flip", "cut", "insert"]))
        at = data.draw(st.integers(0, len(blob) - 1))
        if how == "flip":
            blob[at] ^= data.draw(st.integers(1, 255))
        elif how == "cut":
            del blob[at:]
        else:
            blob.insert(at, data.draw(st.integers(0, 255)))
        with open(path, "wb") as file:
            file.write(blob)
        try:
            description, tensors = read_model_file(path)
        except cr.ModelFileError as error:
            message = str(error)
        else:  # white space inside the header may change without changing what it says
            message = f"{path} is still what it was"
            assert description == {"x": 1}
            for name, value in TENSORS.items():
                np.testing.assert_array_equal(tensors[name], value)
        assert "\n" not in message
        assert "m.chainrule" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a chainrule model file"),
        (b"hello", "is not a chainrule model file"),
        (b"\x80\x04K\x01.", "is a pickle, which can run code"),
        (struct.pack("<Q", 2**62) + b"{}", "is truncated"),
        (struct.pack("<Q", 2) + b"[]", "is damaged"),
        (struct.pack("<Q", 2) + b"{}", "is damaged, or not a chainrule model file"),
        (struct.pack("<Q", 60000) + b"[" * 60000, "is damaged"),
    ],
)
def test_what_is_not_a_model_file(tmp_path, content, message):
    path = tmp_path / "x.chainrule"
    path.write_bytes(content)
    with pytest.raises(cr.ModelFileError, match=message):
        read_model_file(path)


def rewrite_envelope(path, **fields):
    """Change fields of the envelope; the checksum stays as it was."""
    blob = path.read_bytes()
    (length,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + length])
    envelope = {**json.loads(header["__metadata__"]["chainrule"]), **fields}
    header["__metadata__"]["chainrule"] = json.dumps({k: v for k, v in envelope.items() if v is not ...})
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + blob[8 + length :])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"version": 999}, "has format version 999, this chainrule reads version 1; install a newer chainrule"),
        ({"version": 2, "more": 1, "model": ...}, "has format version 2, .*; install a newer chainrule"),
        ({"version": 0}, "has format version 0, this chainrule reads version 1; use the chainrule version that wrote"),
        ({"version": True}, "is damaged"),
        ({"version": "1"}, "is damaged"),
        ({"format": "other"}, "is not a chainrule model file"),
        ({"format": ...}, "is damaged"),
        ({"model": 3}, "the envelope is damaged"),
        ({"model": ...}, "the envelope is damaged"),
        ({"more": 1}, "the envelope is damaged"),
        ({"sha256": None}, "the envelope is damaged"),
        ({"sha256": "0"}, "the checksum does not match"),
    ],
)
def test_the_envelope_is_strict(written, fields, message):
    rewrite_envelope(written, **fields)
    with pytest.raises(cr.ModelFileError, match=message) as caught:
        read_model_file(written)
    assert str(caught.value).count("m.chainrule") == 1
    assert "\n" not in str(caught.value)


def file_of(path, entries, data=b""):
    """A file of these tensor entries and bytes, with an envelope that is right but for the checksum."""
    envelope = {"format": "chainrule model", "version": 1, "sha256": "", "model": "{}"}
    text = json.dumps({"__metadata__": {"chainrule": json.dumps(envelope)}, **entries}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def entry(dtype, shape, *offsets):
    return {"dtype": dtype, "shape": shape, "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    ("entries", "data", "message"),
    [
        ({"a": entry("F64", [1], 0, 8)}, bytes(8), "the checksum does not match"),
        ({"a": entry("F64", [2], 0, 8)}, bytes(8), "place of 'a'"),
        ({"a": entry("F64", [1], 0, 8)}, bytes(7), "place of 'a'"),
        ({"a": entry("F64", [1], 0, 8)}, bytes(9), "1 bytes belong to none"),
        ({"a": entry("F64", [1], 8, 16)}, bytes(16), "place of 'a'"),
        ({"a": entry("F64", [1], 0, 8), "b": entry("F64", [1], 0, 8)}, bytes(8), "place of 'b'"),
        ({"a": entry("F64", [-1], 0, -8)}, b"", "type or shape of 'a'"),
        ({"a": entry("F64", [0, 2**62, 2**62], 0, 0)}, b"", "shape of 'a'"),
        ({"a": entry("F64", [1] * 40, 0, 8)}, bytes(8), "type or shape of 'a'"),
        ({"a": entry("C128", [1], 0, 16)}, bytes(16), "type or shape of 'a'"),
        ({"a": entry("BOOL", [2], 0, 2)}, b"\x01\x02", "neither true nor false"),
        ({"a": entry("F64", ["1"], 0, 8)}, bytes(8), "is damaged"),
        ({"a": entry("F64", [1], 0.0, 8)}, bytes(8), "is damaged"),
        ({"a": {**entry("F64", [1], 0, 8), "more": 1}}, bytes(8), "is damaged"),
        ({"a": 1}, b"", "is damaged"),
    ],
)
def test_tensors_fill_the_file_exactly(tmp_path, entries, data, message):
    path = tmp_path / "m.chainrule"
    file_of(path, entries, data)
    with pytest.raises(cr.ModelFileError, match=message):
        read_model_file(path)


@pytest.mark.parametrize("item", ["[],", '{"a":0},', "1.5,", '"ab",', "[[[[[0]]]]],"])
@pytest.mark.parametrize("escaped", [False, True])
def test_json_cannot_swell_in_memory(tmp_path, item, escaped):
    """The header's limits keep what it decodes to below 64 MB, inside strings and outside."""
    path = tmp_path / "m.chainrule"
    text = "[" + item * (8_000_000 // len(item)) + "0]"
    path.write_bytes(b"")
    if escaped:
        write_unchecked(path, '{"facts":' + text + "}")
    else:
        header = ('{"__metadata__":{"chainrule":"{}"},"a":' + text + "}").encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header)
    tracemalloc.start()
    try:
        with pytest.raises(cr.ModelFileError, match=r"items that are allowed|more than|truncated|damaged"):
            read_model_file(path)
        assert tracemalloc.get_traced_memory()[1] < path.stat().st_size + 64 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "item",
    ["[],", '{"a":0},', "1.5,", '"ab",', "[[[[[0]]]]],", '{"%d":1},'],
    ids=["list", "dict", "float", "text", "deep", "key"],
)
def test_the_largest_description_allowed_takes_less_than_64_mb(tmp_path, item, monkeypatch):
    path = tmp_path / "m.chainrule"
    count = min(99_000 // max(item.count("[") + item.count("{"), 1), 490_000)
    write_unchecked(path, '{"facts":[' + "".join(item.replace("%d", str(k)) for k in range(count)) + "0]}")
    tracemalloc.start()
    try:
        description, _ = read_model_file(path)
        assert tracemalloc.get_traced_memory()[1] < path.stat().st_size + 64 * 2**20
    finally:
        tracemalloc.stop()
    assert len(description["facts"]) == count + 1


def write_unchecked(path, text):
    """A file of any description, with the right checksum."""
    envelope = {
        "format": "chainrule model",
        "version": 1,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "model": text,
    }
    header = json.dumps({"__metadata__": {"chainrule": json.dumps(envelope)}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def test_a_description_too_large_to_read_is_not_written(tmp_path):
    with pytest.raises(cr.OptionError, match="larger than a model file holds; use fewer"):
        write_model_file(tmp_path / "m", {"x": list(range(600_000))}, {})
    assert not list(tmp_path.iterdir())


def test_tensors_are_not_copied(tmp_path):
    path = tmp_path / "m.chainrule"
    write_model_file(path, {}, {"theta": np.zeros(4_000_000)})
    tracemalloc.start()
    try:
        _, tensors = read_model_file(path)
        assert tracemalloc.get_traced_memory()[1] < path.stat().st_size + 2**20
    finally:
        tracemalloc.stop()
    assert tensors["theta"].flags.writeable
    assert tensors["theta"].flags.aligned


def test_what_is_no_file_is_not_read():
    with pytest.raises(cr.ModelFileError, match="/dev/zero: is not a regular file"):
        read_model_file("/dev/zero")
    with pytest.raises(cr.ModelFileError, match="is not a file name"):
        read_model_file("a\0b")


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(cr.ModelFileError, match="there is no such file"):
        read_model_file(tmp_path / "none")
    with pytest.raises(cr.ModelFileError, match="is a directory"):
        read_model_file(tmp_path)
