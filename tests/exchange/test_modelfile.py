"""The model file's container: round trips, checks, atomic writing."""

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.exchange.modelfile import check_writable, read_model_file, write_atomically, write_model_file

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


def test_another_version_is_refused_with_advice(written):
    blob = written.read_bytes()
    (length,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + length])
    envelope = json.loads(header["__metadata__"]["chainrule"])
    header["__metadata__"]["chainrule"] = json.dumps({**envelope, "version": 999})
    text = json.dumps(header).encode()
    written.write_bytes(struct.pack("<Q", len(text)) + text + blob[8 + length :])
    with pytest.raises(cr.ModelFileError, match="has format version 999, this chainrule reads version 1; use"):
        read_model_file(written)


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(cr.ModelFileError, match="there is no such file"):
        read_model_file(tmp_path / "none")
    with pytest.raises(cr.ModelFileError, match="is a directory"):
        read_model_file(tmp_path)


def test_a_failed_write_leaves_the_old_file(written, monkeypatch):
    before = written.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(cr.OptionError, match=r"cannot write .*m.chainrule: No space left on device; choose another"):
        write_atomically(written, b"new")
    assert written.read_bytes() == before
    assert os.listdir(written.parent) == [written.name]


def test_check_writable(tmp_path):
    check_writable(tmp_path / "new.chainrule")
    with pytest.raises(cr.OptionError, match="it is a directory"):
        check_writable(tmp_path)
    with pytest.raises(cr.OptionError, match="there is no folder"):
        check_writable(tmp_path / "no" / "m.chainrule")
