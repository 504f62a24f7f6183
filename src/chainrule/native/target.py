"""The machine that code is generated for: its instruction set, vector width and registers.

Every choice that depends on the machine (vector width, tile of a matrix product, fused multiply-add or not, the key of
the object cache) is read from one :class:`Target`. The host's is the default; a narrower one can be named, so that a
machine with AVX-512 can build, run and test what a machine with AVX2 or plain SSE2 would get.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import llvmlite.binding as llvm

from chainrule.errors import OptionError
from chainrule.native.forks import LLVM

# LLVM prefers 256-bit vectors on several Intel cores with AVX-512, for fear of lower clock rates with mixed code. The
# loops generated here do nothing but vector arithmetic, so the full width is taken.
_FULL_WIDTH = "-prefer-256-bit"

_X86_LEVELS = {
    "x86-64": (),
    "x86-64-v2": ("sse4.2", "ssse3", "popcnt", "cx16"),
    "x86-64-v3": ("avx2", "fma", "bmi", "bmi2", "f16c", "lzcnt", "movbe"),
    "x86-64-v4": ("avx2", "fma", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}
_AARCH64 = "aarch64"
_AARCH64_TRIPLE = "aarch64-unknown-linux-gnu"


@dataclass(frozen=True)
class Target:
    """An instruction set and what the code generators need to know about it.

    Use :meth:`host`, or :meth:`restricted` for a narrower machine.

    Parameters
    ----------
    triple : str
        LLVM's name of architecture, vendor and operating system.
    cpu : str
        LLVM's name of the processor, which selects instructions and scheduling model.
    features : str
        LLVM's comma-separated features, each with ``+`` or ``-``; part of the key of the object cache.
    vector_bytes : int
        Width of one vector register in bytes: AVX-512 64, AVX2 32, SSE2 and NEON 16.
    registers : int
        Number of vector registers.
    fma : bool
        Whether a fused multiply-add is one instruction. Without it ``llvm.fma`` calls a slow exact function.
    broadcasts_memory : bool
        Whether an arithmetic instruction can take one number of memory in all its lanes (AVX-512), at no register.
    masks_memory : bool
        Whether loads and stores of some lanes are one instruction (AVX, AVX-512).
    cache_bytes : int
        Of the second-level cache of one core: beyond it, matrices are worth packing.
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    fma: bool
    broadcasts_memory: bool = False
    masks_memory: bool = False
    cache_bytes: int = 1 << 20

    @staticmethod
    def host() -> Target:
        """The machine this process runs on, with all that it offers."""
        return _host()

    @staticmethod
    def restricted(name: str) -> Target:
        """A machine of a named level: ``x86-64`` (SSE2), ``x86-64-v2``, ``-v3`` (AVX2), ``-v4`` (AVX-512), ``aarch64``.

        Raises
        ------
        OptionError
            If there is no such name.
        """
        if name == _AARCH64:
            host = _process_triple()
            return _aarch64(host if host.startswith((_AARCH64, "arm64")) else _AARCH64_TRIPLE, "generic", "+neon")
        if name not in _X86_LEVELS:
            known = ", ".join([*_X86_LEVELS, _AARCH64])
            raise OptionError(f"unknown target {name!r}: expected one of {known}")
        host = _process_triple()
        triple = host if host.startswith("x86_64") else "x86_64-unknown-linux-gnu"
        return _x86_64(triple, name, _FULL_WIDTH, set(_X86_LEVELS[name]))

    @property
    def runs_here(self) -> bool:
        """Whether this process can execute code made for this target."""
        if self == _host():
            return True
        if self.triple != _process_triple():
            return False
        if self.cpu in _X86_LEVELS:
            available = {name for name, present in _host_features().items() if present}
            return available.issuperset(_X86_LEVELS[self.cpu])
        return self.cpu == "generic"

    def lanes(self, dtype: str) -> int:
        """Numbers of a dtype (``float32`` or ``float64``) in one vector register."""
        return self.vector_bytes // {"float32": 4, "float64": 8}[dtype]

    def __str__(self) -> str:
        fma = "with" if self.fma else "without"
        return f"{self.cpu}: {self.registers} vector registers of {self.vector_bytes} bytes, {fma} fused multiply-add"


def _process_triple() -> str:
    with LLVM:
        return llvm.get_process_triple()


def _host_features() -> dict[str, bool]:
    with LLVM:
        return llvm.get_host_cpu_features()


@cache
def _host() -> Target:
    return replace(_host_instructions(), cache_bytes=_second_level_cache())


def _second_level_cache() -> int:
    """As the Linux kernel reports it; elsewhere 1 MiB, the usual size."""
    try:
        text = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip()
        return int(text.removesuffix("K").removesuffix("M")) << (20 if text.endswith("M") else 10)
    except (OSError, ValueError):
        return 1 << 20


def _host_instructions() -> Target:
    with LLVM:
        triple, cpu, features = llvm.get_process_triple(), llvm.get_host_cpu_name(), _host_features()
        text = llvm.FeatureMap(features).flatten()
    if triple.startswith("x86_64"):
        return _x86_64(triple, cpu, f"{text},{_FULL_WIDTH}", {name for name, present in features.items() if present})
    if triple.startswith((_AARCH64, "arm64")):
        return _aarch64(triple, cpu, text)
    return Target(triple, cpu, text, vector_bytes=16, registers=16, fma=False)


def _x86_64(triple: str, cpu: str, features: str, present: set[str]) -> Target:
    avx512 = {"avx512f", "avx512vl", "avx512dq", "avx512bw"} <= present
    avx2 = "avx2" in present
    return Target(
        triple,
        cpu,
        features,
        vector_bytes=64 if avx512 else 32 if avx2 else 16,
        registers=32 if avx512 else 16,
        fma="fma" in present,
        broadcasts_memory=avx512,
        masks_memory=avx2 or avx512,
    )


def _aarch64(triple: str, cpu: str, features: str) -> Target:
    return Target(triple, cpu, features, vector_bytes=16, registers=32, fma=True)
