"""The model file: one safetensors file whose metadata holds the model's description as JSON.

Tensors can be read by any safetensors reader; the description is data over closed lists (primitives, layers, outputs,
column kinds), so loading runs no code and needs none of the user's. Layout::

    8 bytes   length of the header
    header    JSON: tensors' dtypes, shapes and places; __metadata__.chainrule: JSON text of an object with
              format, version, sha256 and model (JSON text again, the description)
    tensors   raw little-endian numbers

The checksum covers the description and every tensor's bytes. Files are written beside the target and renamed, so a
reader sees the old file or the new one, never half of one.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from chainrule.errors import ModelFileError, OptionError

FORMAT = "chainrule model"
VERSION = 1
#: the description may not be longer than this
MAX_HEADER = 64 * 2**20
_HELP = "train the model again with chainrule fit, or restore the file from a copy"


def write_model_file(path: str | os.PathLike[str], description: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
    """Write a model file, all or nothing.

    Parameters
    ----------
    path : path
    description : mapping
        Plain data that JSON can hold (no NaN or infinity).
    tensors : mapping of str to array

    Raises
    ------
    OptionError
        If the file cannot be written there.
    """
    arrays = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    text = json.dumps(description, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    envelope = {"format": FORMAT, "version": VERSION, "sha256": _checksum(text, arrays), "model": text}
    # one entry, since safetensors writes several in any order, and equal models shall have equal bytes
    write_atomically(path, save_safetensors(arrays, {"chainrule": json.dumps(envelope, ensure_ascii=False)}))


def read_model_file(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a model file and check it.

    Returns
    -------
    description : dict
    tensors : dict of arrays

    Raises
    ------
    ModelFileError
        In one line: what is wrong with which file, and what to do.
    """
    name = os.fspath(path)
    blob = _read(path)
    metadata = _envelope(name, blob)
    if metadata.get("format") != FORMAT:
        raise ModelFileError(f"{name}: is not a chainrule model file; {_HELP}")
    version = metadata.get("version")
    if version != VERSION:
        raise ModelFileError(
            f"{name}: has format version {version!r}, this chainrule reads version {VERSION}; "
            "use the chainrule version that wrote it, or train the model again"
        )
    text = metadata.get("model")
    if not isinstance(text, str):
        raise ModelFileError(f"{name}: the description is missing; {_HELP}")
    try:
        tensors = load_safetensors(blob)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise ModelFileError(f"{name}: the tensors are damaged ({_one_line(error)}); {_HELP}") from None
    if metadata.get("sha256") != _checksum(text, tensors):
        raise ModelFileError(f"{name}: the checksum does not match, the file was damaged or changed; {_HELP}")
    try:
        description = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFileError(f"{name}: the description is not valid JSON ({_one_line(error)}); {_HELP}") from None
    if not isinstance(description, dict):
        raise ModelFileError(f"{name}: the description is not an object; {_HELP}")
    return description, tensors


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file beside its place, flush it to disk, and rename it into place.

    Raises
    ------
    OptionError
        Naming the file and the reason.
    """
    target = Path(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
        temporary = None
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise OptionError(f"cannot write {target}: {error.strerror or error}; choose another place") from None
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def refuse_same_file(output: str | os.PathLike[str], *inputs: str | os.PathLike[str] | None) -> None:
    """Refuse to write over a file that is read.

    Raises
    ------
    OptionError
        Naming the file.
    """
    for given in inputs:
        if given is not None and os.path.exists(output) and os.path.exists(given) and os.path.samefile(output, given):
            raise OptionError(f"{output} would be written over the input {given}; name another output file")


def check_writable(path: str | os.PathLike[str]) -> None:
    """Find out before the work, not after it, whether a model file can be written to a path.

    Raises
    ------
    OptionError
        Naming the file and the reason.
    """
    target = Path(path)
    if target.is_dir():
        raise OptionError(f"cannot write {target}: it is a directory; name a file in it")
    if not target.parent.is_dir():
        raise OptionError(
            f"cannot write {target}: there is no folder {target.parent}; create it or choose another place"
        )
    writable = os.access(target, os.W_OK) if target.exists() else os.access(target.parent, os.W_OK)
    if not writable:
        raise OptionError(f"cannot write {target}: permission denied; choose another place")


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise ModelFileError(f"{os.fspath(path)}: there is no such file; check the name") from None
    except IsADirectoryError:
        raise ModelFileError(f"{os.fspath(path)}: is a directory, not a model file; name a file") from None
    except OSError as error:
        raise ModelFileError(f"{os.fspath(path)}: cannot be read ({error.strerror}); check its permissions") from None


def _envelope(name: str, blob: bytes) -> dict[str, Any]:
    if blob[:2] in (b"\x80\x04", b"\x80\x05", b"\x80\x03"):
        raise ModelFileError(f"{name}: is a pickle, which can run code when loaded; chainrule only reads its own files")
    if len(blob) < 8:
        raise ModelFileError(f"{name}: is not a chainrule model file (only {len(blob)} bytes); {_HELP}")
    (length,) = struct.unpack("<Q", blob[:8])
    if length > len(blob) - 8 or length > MAX_HEADER:
        raise ModelFileError(f"{name}: is truncated, or not a chainrule model file; {_HELP}")
    try:
        header = msgspec.json.decode(blob[8 : 8 + length])
        envelope = msgspec.json.decode(header["__metadata__"]["chainrule"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        raise ModelFileError(f"{name}: is damaged, or not a chainrule model file; {_HELP}") from None
    if not isinstance(envelope, dict):
        raise ModelFileError(f"{name}: is damaged, or not a chainrule model file; {_HELP}")
    return envelope


def _checksum(text: str, tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
