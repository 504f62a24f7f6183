"""Where and when a measurement was made."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path

from chainrule import __version__
from chainrule.native.target import Target
from chainrule.native.threads import available_cores


@dataclass(frozen=True)
class Machine:
    """The machine and the versions.

    Parameters
    ----------
    date : str
    processor : str
    cores : int
        That this process may use.
    vector_bits : int
        Of the widest vectors native code uses here.
    versions : dict
    """

    date: str
    processor: str
    cores: int
    vector_bits: int
    versions: dict[str, str]

    def lines(self) -> list[str]:
        versions = ", ".join(f"{k} {v}" for k, v in self.versions.items())
        return [f"{self.date}: {self.processor}, {self.cores} cores, vectors of {self.vector_bits} bits", versions]


def this_machine(peers: dict[str, str]) -> Machine:
    """This machine, today."""
    versions = {"chainrule": __version__, "Python": platform.python_version()}
    versions |= {k: metadata.version(k) for k in ("numpy", "llvmlite")} | peers
    return Machine(date.today().isoformat(), _processor(), available_cores(), _vector_bits(), versions)


def _vector_bits() -> int:
    return 8 * Target.host().vector_bytes


def _processor() -> str:
    """Name, and on Linux family and model, which tell processors apart that are all called the same."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    facts: dict[str, str] = {}
    for line in text.split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        facts[key.strip()] = value.strip()
    numbers = ", ".join(f"{k} {facts[k]}" for k in ("cpu family", "model") if k in facts)
    return f"{facts.get('model name', platform.machine())}" + (f" ({numbers})" if numbers else "")
