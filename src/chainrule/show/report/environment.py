"""Where and how the fit was made, and how to make it again."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib import metadata
from pathlib import Path

from chainrule import __version__
from chainrule.show.document import Document
from chainrule.show.report.data import ReportData

LIBRARIES = ("numpy", "scipy", "polars", "llvmlite", "scikit-learn")


def environment(data: ReportData, page: Document) -> None:
    """The section."""
    page.section("Environment")
    facts = data.model.facts
    found = [
        ("chainrule", __version__),
        ("Python", f"{platform.python_version()}, {platform.platform(terse=True)}"),
        ("libraries", ", ".join(f"{name} {v}" for name in LIBRARIES if (v := _version(name)))),
        ("processor", processor()),
        ("seed", str(facts["seed"]) if "seed" in facts else ""),
        *data.facts.items(),
    ]
    page.facts([(name, value) for name, value in found if value])
    command = str(facts.get("command", ""))
    if command:
        page.text("The exact command to repeat it; the same data, versions and seed give the same bits:")
        page.code(command)


def file_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def processor() -> str:
    """The processor's name, and how many cores there are."""
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        lines = information.read_text(errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {os.cpu_count()} cores"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
