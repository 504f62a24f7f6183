"""What `pip install chainrule` brings: packages, and megabytes, of the versions in this environment."""

from __future__ import annotations

import tomllib
import zlib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import chainrule

#: as wheels are usually made
_LEVEL = 6


def requirements(extra: str = "") -> list[str]:
    """What the installed package asks for, or, where it runs from its sources, what their ``pyproject.toml`` says."""
    try:
        asked = metadata.requires("chainrule") or []
    except metadata.PackageNotFoundError:
        project = tomllib.loads((Path(chainrule.__file__).parents[2] / "pyproject.toml").read_text())["project"]
        more = project["optional-dependencies"].get(extra, [])
        return [*project["dependencies"], *more]
    return [r for r in asked if applies(r, extra)]


def applies(requirement: str, extra: str = "") -> bool:
    """Whether a requirement such as ``"numpy>=2; python_version < '3.14'"`` holds here, with this extra."""
    from packaging.requirements import Requirement

    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate({"extra": extra})


def installed_with(asked: Iterable[str]) -> tuple[dict[str, metadata.Distribution], set[str]]:
    """The packages that requirements lead to, by name; and names of those that are not installed here."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: dict[str, metadata.Distribution] = {}
    missing: set[str] = set()
    waiting = list(asked)
    while waiting:
        name = canonicalize_name(Requirement(waiting.pop()).name)
        if name in found or name in missing:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            missing.add(name)
            continue
        waiting += [r for r in found[name].requires or [] if applies(r)]
    return found, missing


def compressed_bytes(distribution: metadata.Distribution) -> int:
    """About as many bytes as the package's wheel has: its files, compressed."""
    total = 0
    for file in distribution.files or []:
        place = Path(str(distribution.locate_file(file)))
        if file.suffix == ".pyc" or not place.is_file():
            continue
        packer = zlib.compressobj(_LEVEL)
        with place.open("rb") as stream:
            while part := stream.read(1 << 20):
                total += len(packer.compress(part))
        total += len(packer.flush())
    return total
