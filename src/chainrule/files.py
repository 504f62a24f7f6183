"""Writing files, all or nothing: beside their place, flushed to the disk, renamed into it.

A reader sees the old file or the new one, never half of one, and a failure leaves the old one as it was.
"""

from __future__ import annotations

import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from chainrule.errors import OptionError


@contextmanager
def replacing(path: str | os.PathLike[str], previous: str | os.PathLike[str] | None = None) -> Iterator[BinaryIO]:
    """A file to write to, which takes its place when the block ends well; otherwise nothing is left of it.

    Links are followed, and the permissions of the file that is replaced are kept.

    Parameters
    ----------
    path : path
    previous : path, optional
        In the same folder; where the file that was there before is kept.

    Raises
    ------
    OSError
    """
    target = Path(os.path.realpath(path))
    descriptor, temporary = _beside(target)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            os.chmod(temporary, target.stat().st_mode & 0o7777)
            if previous is not None:
                _keep(target, Path(previous))
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def try_place(path: str | os.PathLike[str]) -> None:
    """Make a file beside the place and remove it: permissions alone do not tell what can be written.

    Folders such as ``/proc`` claim to be writable, and disks are mounted read-only.

    Raises
    ------
    OSError
    """
    descriptor, temporary = _beside(Path(os.path.realpath(path)))
    os.close(descriptor)
    os.unlink(temporary)


def write_atomically(
    path: str | os.PathLike[str], content: bytes, previous: str | os.PathLike[str] | None = None
) -> None:
    """Write a file, all or nothing, see `replacing`.

    Raises
    ------
    OptionError
        Naming the file and the reason.
    """
    try:
        with replacing(path, previous) as file:
            file.write(content)
    except OSError as error:
        raise _cannot(path, error) from None


def check_writable(path: str | os.PathLike[str]) -> None:
    """Find out before the work, not after it, whether a file can be written to a path.

    Raises
    ------
    OptionError
        Naming the file and the reason.
    """
    target = Path(path)
    if target.is_dir():
        raise OptionError(f"cannot write {target}: it is a directory; name a file in it")
    if target.exists() and not target.is_file():
        raise OptionError(f"cannot write {target}: it is not a regular file, and cannot be replaced; name another one")
    if target.exists() and not os.access(target, os.W_OK):
        raise OptionError(f"cannot write {target}: it is write-protected; change its permissions or name another file")
    if not target.parent.is_dir():
        raise OptionError(
            f"cannot write {target}: there is no folder {target.parent}; create it or choose another place"
        )
    try:
        try_place(target)
    except OSError as error:
        raise _cannot(path, error) from None


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


def _cannot(path: str | os.PathLike[str], error: OSError) -> OptionError:
    return OptionError(f"cannot write {os.fspath(path)}: {error.strerror or error}; choose another place")


def remove_parts(path: str | os.PathLike[str]) -> None:
    """Remove what processes that were killed while they wrote this file have left beside it."""
    target = Path(os.path.realpath(path))
    for left in target.parent.glob(f"{glob.escape(_part_name(target, ''))}*.part"):
        left.unlink(missing_ok=True)


def _part_name(target: Path, own: str) -> str:
    """Name of a file beside another one that is to take its place; names have at most 255 bytes."""
    return f".{target.name[:40]}.{crc32(os.fsencode(target.name)):08x}.{own}"


def _beside(target: Path) -> tuple[int, str]:
    """A new file in the same folder, with the permissions new files get."""
    temporary = str(target.with_name(_part_name(target, f"{secrets.token_hex(8)}.part")))
    return os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666), temporary


def _keep(file: Path, previous: Path) -> None:
    """Give a file a second name; on file systems without links, its only one."""
    if previous.exists() and previous.samefile(file):
        return  # as after a kill between the two renamings; to rename one name of a file to the other does nothing
    link = previous.with_name(_part_name(file, f"{os.getpid()}.part"))
    try:
        link.unlink(missing_ok=True)
        os.link(file, link)
    except OSError:
        os.replace(file, previous)
        return
    try:
        os.replace(link, previous)
    except OSError:
        os.unlink(link)
        raise


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself last, where the system can."""
    with suppress(OSError):  # not on Windows
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
