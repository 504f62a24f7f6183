"""Targets: what they say about a machine, and that the full vector width is really used."""

import pytest

from chainrule.errors import OptionError
from chainrule.native.runtime import emit_assembly
from chainrule.native.target import Target

ADD = """
define void @f(ptr %p) {{
  %a = load {0}, ptr %p, align 4
  %b = fadd {0} %a, %a
  store {0} %b, ptr %p, align 4
  ret void
}}"""


@pytest.mark.parametrize(
    ("name", "vector_bytes", "registers", "fma"),
    [
        ("x86-64", 16, 16, False),
        ("x86-64-v2", 16, 16, False),
        ("x86-64-v3", 32, 16, True),
        ("x86-64-v4", 64, 32, True),
        ("aarch64", 16, 32, True),
    ],
)
def test_named_targets(name: str, vector_bytes: int, registers: int, fma: bool) -> None:
    target = Target.restricted(name)
    assert (target.vector_bytes, target.registers, target.fma) == (vector_bytes, registers, fma)
    assert target.lanes("float32") == vector_bytes // 4
    assert target.lanes("float64") == vector_bytes // 8
    assert str(vector_bytes) in str(target)


def test_host_runs_here_and_is_at_least_the_baseline() -> None:
    host = Target.host()
    assert host.runs_here
    assert host.vector_bytes >= 16
    assert Target.host() is host
    if host.triple.startswith("x86_64"):
        assert Target.restricted("x86-64").runs_here
        assert not Target.restricted("aarch64").runs_here


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(OptionError, match="x86-64-v3"):
        Target.restricted("pentium")


@pytest.mark.parametrize(
    ("name", "width", "register"),
    [("x86-64", 4, "xmm"), ("x86-64-v3", 8, "ymm"), ("x86-64-v4", 16, "zmm"), ("aarch64", 4, "v0.4s")],
)
def test_one_vector_is_one_register(name: str, width: int, register: str) -> None:
    assembly = emit_assembly(ADD.format(f"<{width} x float>"), Target.restricted(name))
    assert register in assembly
    assert assembly.count("add") <= 2  # one instruction (and perhaps an address), not one per part of the vector


def test_host_with_avx512_uses_512_bits() -> None:
    if Target.host().vector_bytes != 64:
        pytest.skip("no AVX-512 here")
    assert "zmm" in emit_assembly(ADD.format("<16 x float>"), Target.host())
