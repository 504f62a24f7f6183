"""The model file: one safetensors file whose metadata holds the model's description as JSON.

Tensors can be read by any safetensors reader; the description is data over closed lists (primitives, layers, outputs,
column kinds), so loading runs no code and needs none of the user's. Layout::

    8 bytes   length of the header
    header    JSON: tensors' dtypes, shapes and places; __metadata__.chainrule: JSON text of an object with
              format, version, sha256 and model (JSON text again, the description)
    tensors   raw little-endian numbers

The checksum covers the description and every tensor's bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
from safetensors.numpy import save as save_safetensors

from chainrule.errors import ModelFileError, OptionError
from chainrule.files import write_atomically

FORMAT = "chainrule model"
VERSION = 1
#: bytes, containers and items (commas) of the header; what it takes in memory is bounded by these
MAX_HEADER, MAX_CONTAINERS, MAX_ITEMS = 8 * 2**20, 100_000, 500_000
_HELP = "train the model again with chainrule fit, or restore the file from a copy"


def write_model_file(
    path: str | os.PathLike[str],
    description: Mapping[str, Any],
    tensors: Mapping[str, Any],
    format: str = FORMAT,
    previous: str | os.PathLike[str] | None = None,
) -> None:
    """Write a model file, all or nothing.

    Parameters
    ----------
    path : path
    description : mapping
        Plain data that JSON can hold (no NaN or infinity).
    tensors : mapping of str to array
    format : str
        What the file calls itself; checkpoints have the same form.
    previous : path, optional
        Where the file that was there before is kept.

    Raises
    ------
    OptionError
        If the file cannot be written there, or the description is larger than what can be read back.
    """
    arrays = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    text = json.dumps(description, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    envelope = {"format": format, "version": VERSION, "sha256": _checksum(text, arrays), "model": text}
    # one entry, since safetensors writes several in any order, and equal models shall have equal bytes
    blob = save_safetensors(arrays, {"chainrule": json.dumps(envelope, ensure_ascii=False)})
    (length,) = struct.unpack("<Q", blob[:8])
    containers, items = _measure(blob[8 : 8 + length])
    if length > MAX_HEADER or containers > MAX_CONTAINERS or items > MAX_ITEMS:
        raise OptionError(
            f"cannot write {os.fspath(path)}: a description of {length} bytes, {containers} containers and {items} "
            "items is larger than a model file holds; use fewer layers, members, categories or epochs"
        )
    write_atomically(path, blob, previous)


def read_model_file(path: str | os.PathLike[str], format: str = FORMAT) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a model file and check it.

    The file is read once; tensors are views of what was read, so that memory stays near the file's own size.

    Returns
    -------
    description : dict
    tensors : dict of arrays

    Raises
    ------
    ModelFileError
        In one line: what is wrong with which file, and what to do.
    """
    try:
        blob = _read(path)
        header, start = _header(blob)
        text, sha256 = _envelope(header.pop("__metadata__"), format)
        tensors = _tensors(header, memoryview(blob)[start:])
        if sha256 != _checksum(text, tensors):
            raise ModelFileError(f"the checksum does not match, the file was damaged or changed; {_HELP}")
        return _description(text), tensors
    except ModelFileError as error:  # the name is put in front once, here
        raise ModelFileError(f"{os.fspath(path)}: {error}") from None


def refuse_repeated_names(text: str | bytes) -> None:
    """Refuse JSON in which an object has a name twice, of which readers take one or the other.

    Raises
    ------
    ModelFileError
    """
    repeated: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:  # what is read is thrown away at once
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                repeated.append(name)
            seen.add(name)

    with suppress(ValueError, RecursionError):  # not JSON, which the decoders say in their own words
        json.loads(text, object_pairs_hook=look)
    if repeated:
        raise ModelFileError(f"the name {repeated[0][:60]!r} stands twice in one object of the header; {_HELP}")


# -- reading; the messages lack the file's name, which read_model_file puts in front


class _Tensor(msgspec.Struct, forbid_unknown_fields=True):
    """A tensor's entry in the header."""

    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


class _Metadata(msgspec.Struct, forbid_unknown_fields=True):
    chainrule: str


class _Stamp(msgspec.Struct):
    """What every version of the format has."""

    format: str
    version: int


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    """What this version has."""

    format: str
    version: int
    sha256: str
    model: str


#: what can go wrong in decoding untrusted JSON
_BAD_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def _read(path: str | os.PathLike[str]) -> bytearray:
    try:
        mode = os.stat(path).st_mode  # before opening, since to open a pipe waits
        if stat.S_ISREG(mode):
            with open(path, "rb") as file:
                blob = bytearray(os.fstat(file.fileno()).st_size)
                size = file.readinto(blob)
                return blob if size == len(blob) else blob[:size]
    except FileNotFoundError:
        raise ModelFileError("there is no such file; check the name") from None
    except MemoryError:
        raise ModelFileError("is larger than this machine's memory; use a machine with more") from None
    except ValueError:  # a zero byte in the name
        raise ModelFileError("is not a file name; check the name") from None
    except OSError as error:
        raise ModelFileError(f"cannot be read ({error.strerror}); check its permissions") from None
    if stat.S_ISDIR(mode):
        raise ModelFileError("is a directory, not a model file; name a file")
    raise ModelFileError("is not a regular file; name a model file")


def _header(blob: bytearray) -> tuple[dict[str, Any], int]:
    """The header, each entry of its type, and where the tensors begin."""
    if blob[:2] in (b"\x80\x04", b"\x80\x05", b"\x80\x03"):
        raise ModelFileError("is a pickle, which can run code when loaded; chainrule only reads its own files")
    if len(blob) < 8:
        raise ModelFileError(f"is not a chainrule model file (only {len(blob)} bytes); {_HELP}")
    (length,) = struct.unpack("<Q", blob[:8])
    if length > len(blob) - 8 or length > MAX_HEADER:
        raise ModelFileError(f"is truncated, or not a chainrule model file; {_HELP}")
    text = bytes(blob[8 : 8 + length])
    containers, items = _measure(text)
    if containers > MAX_CONTAINERS or items > MAX_ITEMS:
        raise ModelFileError(
            f"the header has {containers} containers and {items} items, more than the {MAX_CONTAINERS} and {MAX_ITEMS} "
            f"that are allowed; {_HELP}"
        )
    refuse_repeated_names(text)
    try:
        raw = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        header: dict[str, Any] = {"__metadata__": msgspec.json.decode(raw.pop("__metadata__"), type=_Metadata)}
        return header | {k: msgspec.json.decode(v, type=_Tensor) for k, v in raw.items()}, 8 + length
    except (*_BAD_JSON, KeyError):
        raise ModelFileError(f"is damaged, or not a chainrule model file; {_HELP}") from None


def _measure(text: bytes) -> tuple[int, int]:
    """Numbers of containers and of items in JSON text, JSON inside its strings included, before it takes memory."""
    return text.count(b"[") + text.count(b"{"), text.count(b",")


def _envelope(metadata: _Metadata, format: str) -> tuple[str, str]:
    """The description's text and the checksum."""
    refuse_repeated_names(metadata.chainrule)
    try:
        stamp = msgspec.json.decode(metadata.chainrule, type=_Stamp)
    except _BAD_JSON:
        raise ModelFileError(f"is damaged, or not a chainrule model file; {_HELP}") from None
    if stamp.format != format:
        raise ModelFileError(f"is not a {format} file; {_HELP}")
    if stamp.version != VERSION:
        advice = "install a newer chainrule" if stamp.version > VERSION else "use the chainrule version that wrote it"
        raise ModelFileError(
            f"has format version {stamp.version}, this chainrule reads version {VERSION}; {advice}, or train the model "
            "again"
        )
    try:
        envelope = msgspec.json.decode(metadata.chainrule, type=_Envelope)
    except _BAD_JSON as error:
        raise ModelFileError(f"the envelope is damaged ({one_line(error)}); {_HELP}") from None
    return envelope.model, envelope.sha256


def _tensors(header: Mapping[str, _Tensor], data: memoryview) -> dict[str, np.ndarray]:
    """Views of the tensors, which must fill the file one behind the other, without gap or overlap."""
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda pair: pair[1].data_offsets):
        dtype = _DTYPES.get(entry.dtype)
        begin, stop = entry.data_offsets
        if dtype is None or len(entry.shape) > _MAX_NDIM or any(size < 0 for size in entry.shape):
            raise ModelFileError(f"the tensors are damaged (type or shape of {name[:60]!r}); {_HELP}")
        if math.prod(max(size, 1) for size in entry.shape) > _MAX_ELEMENTS:
            raise ModelFileError(f"the tensors are damaged (shape of {name[:60]!r}); {_HELP}")
        if begin != end or stop > len(data) or stop - begin != math.prod(entry.shape) * dtype.itemsize:
            raise ModelFileError(f"the tensors are damaged (place of {name[:60]!r}); {_HELP}")
        array = np.frombuffer(data[begin:stop], dtype).reshape(entry.shape)
        if dtype.kind == "b" and (array.view(np.uint8) > 1).any():
            raise ModelFileError(f"the tensors are damaged ({name[:60]!r} is neither true nor false); {_HELP}")
        tensors[name] = array if array.flags.aligned else array.copy()
        end = stop
    if end != len(data):
        raise ModelFileError(f"the tensors are damaged ({len(data) - end} bytes belong to none); {_HELP}")
    return tensors


#: element types by safetensors' names
_DTYPES = {
    "BOOL": np.dtype(np.bool_),
    **{f"{kind}{8 * size}": np.dtype(f"<{kind.lower()}{size}") for kind in "IU" for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}
_MAX_NDIM, _MAX_ELEMENTS = 32, 2**40


def _description(text: str) -> dict[str, Any]:
    refuse_repeated_names(text)
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.ValidationError:
        raise ModelFileError(f"the description is not an object; {_HELP}") from None
    except _BAD_JSON as error:
        raise ModelFileError(f"the description is not valid JSON ({one_line(error)}); {_HELP}") from None


def _checksum(text: str, tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def one_line(error: object) -> str:
    """An error in a line, control characters written out: it may repeat what a hostile file says."""
    text = " ".join(str(error).split())[:200]
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
