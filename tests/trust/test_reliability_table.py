"""The reliability table: every row of it by itself, the cheap ones here."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import reliability
from benchmarks.reliability_checks import Check
from benchmarks.reliability_tests import run_tests


def test_cheap_sections_hold(capsys):
    sections = ["threads", "diverging trainings", "numerical range"]
    assert reliability.main(["--quick", *(word for title in sections for word in ("--section", title))]) == 0
    table = capsys.readouterr().out.splitlines()[-3:]
    assert [line.split("  ")[0] for line in table] == sections
    assert all(line.endswith("yes") for line in table)


@pytest.mark.parametrize(("failures", "count", "held"), [(["it broke"], 10, "no"), ([], 9, "so far"), ([], 10, "yes")])
def test_what_the_table_says(failures, count, held, monkeypatch, capsys):
    section = reliability.Section(lambda n, seed: iter([Check("one", n, failures)]), "ten tries", full=10, least=10)
    monkeypatch.setattr(reliability, "SECTIONS", {"some": section})
    assert reliability.main(["--count", str(count)]) == bool(failures)
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1].split("  ")[-1] == held
    assert ("it broke" in captured.err) == bool(failures)


def test_tests_that_fail_or_are_not_there_are_failures(tmp_path):
    (tmp_path / "test_some.py").write_text("def test_good(): pass\ndef test_bad(): assert False\n")
    assert run_tests("", str(tmp_path / "test_some.py")).failures == ["test_bad"]
    assert run_tests("", str(tmp_path / "test_none.py")).failures
