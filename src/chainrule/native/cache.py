"""Compiled object code kept on disk, so that a network seen before starts in milliseconds.

One file per piece of code, named by the digest of all that determines it. What is read back is executed, therefore the
folder and every file in it must belong to this user and be writable by nobody else, and a checksum guards against
torn or damaged files; whatever fails these checks counts as absent and is compiled anew. A file appears under its name
in one step (rename), so processes that compile the same code side by side never see half of one. The least recently
used files go when the folder outgrows its bound. No failure of the file system is an error: the cache then forgets.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

_MAGIC = b"chainrule object 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size
_SUFFIX, _TEMPORARY = ".object", ".partial"
_TEMPORARY_SECONDS = 3600.0
_TOUCH_SECONDS = 3600.0
DEFAULT_LIMIT = 128 * 2**20


def default_directory() -> Path:
    """``CHAINRULE_CACHE_DIR``, else ``chainrule`` in the user's cache folder (XDG, macOS or Windows convention)."""
    if chosen := os.environ.get("CHAINRULE_CACHE_DIR"):
        return Path(chosen).expanduser() / "native"
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "chainrule" / "native"


@cache
def source_digest() -> str:
    """Digest of the code generators' own source, part of every key: a changed emitter never meets its old output."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def digest(*parts: str) -> str:
    """Hexadecimal SHA-256 of text parts; no two different sequences of parts share their bytes."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode()
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()


class ObjectCache:
    """Object code by key, in one folder, bounded in bytes.

    Parameters
    ----------
    directory : Path, optional
        Folder, made on first use with rights for the owner alone. Default: :func:`default_directory`.
    limit : int
        Bytes the folder may hold (approximately: it is swept once this process has written a part of the limit).
    """

    def __init__(self, directory: Path | None = None, limit: int = DEFAULT_LIMIT) -> None:
        self.directory = default_directory() if directory is None else Path(directory)
        self.limit = limit
        self._unswept = limit  # sweep at the first write: this process cannot know what others left

    def get(self, key: str) -> bytes | None:
        """The code stored under a key, or None if there is none that can be trusted."""
        path = self._path(key)
        try:
            if not _private(os.stat(self.directory)):
                return None
            descriptor = os.open(path, os.O_RDONLY | _flag("O_NOFOLLOW") | _flag("O_BINARY"))
            with open(descriptor, "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or not _private(status):
                    return None
                data = file.read()
        except OSError:
            return None
        code = _unwrap(key, data)
        if code is not None and time.time() - status.st_mtime > _TOUCH_SECONDS:
            with contextlib.suppress(OSError):
                os.utime(path)  # recently used: swept last
        return code

    def put(self, key: str, code: bytes) -> bool:
        """Store code under a key; False if the folder cannot be used."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _private(os.stat(self.directory)):
                return False
            descriptor, temporary = tempfile.mkstemp(suffix=_TEMPORARY, dir=self.directory)
            try:
                with open(descriptor, "wb") as file:
                    file.write(_wrap(key, code))
                os.replace(temporary, self._path(key))
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise
        except OSError:
            return False
        self._unswept += len(code)
        if self._unswept > self.limit // 32:
            self.sweep()
        return True

    def clear(self) -> None:
        """Remove every stored piece of code."""
        self.sweep(keep=0)

    def sweep(self, keep: int | None = None) -> None:
        """Remove the least recently used files until ``keep`` bytes (the limit) are left, and stale fragments."""
        keep = self.limit if keep is None else keep
        self._unswept = 0
        entries: list[tuple[float, int, str]] = []
        try:
            with os.scandir(self.directory) as listing:
                for entry in listing:
                    with contextlib.suppress(OSError):
                        status = entry.stat(follow_symlinks=False)
                        if entry.name.endswith(_SUFFIX):
                            entries.append((status.st_mtime, status.st_size, entry.path))
                        elif entry.name.endswith(_TEMPORARY) and time.time() - status.st_mtime > _TEMPORARY_SECONDS:
                            os.unlink(entry.path)
        except OSError:
            return
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= keep:
                return
            with contextlib.suppress(OSError):
                os.unlink(path)
            total -= size

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}{_SUFFIX}"


def _flag(name: str) -> int:
    return int(vars(os).get(name, 0))  # O_NOFOLLOW exists on POSIX only, O_BINARY on Windows only


def _private(status: os.stat_result) -> bool:
    """Owned by this user and writable by nobody else. Windows keeps the user's own folder private by itself."""
    if sys.platform == "win32":
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _checksum(key: str, code: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\0" + code).digest()


def _wrap(key: str, code: bytes) -> bytes:
    return _MAGIC + _checksum(key, code) + code


def _unwrap(key: str, data: bytes) -> bytes | None:
    start = len(_MAGIC) + _DIGEST_BYTES
    code = data[start:]
    intact = data.startswith(_MAGIC) and data[len(_MAGIC) : start] == _checksum(key, code)
    return code if intact and code else None
