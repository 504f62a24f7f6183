"""What must not fail, tried many times, beside its bar: ``python -m benchmarks.reliability``, one table.

Each section is a function of the number of tries and a seed that yields checks as they are done. To add one, write it
in a module ``reliability_<what>.py`` and enter it into `SECTIONS`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.reliability_checks import Check
from benchmarks.reliability_files import model_files
from benchmarks.reliability_inputs import bad_inputs, diverging, threads
from benchmarks.reliability_mixtures import mixtures
from benchmarks.reliability_networks import networks
from benchmarks.reliability_tests import derivatives, programs, ranges, resumption, scikit_learn
from benchmarks.reliability_training import killed_trainings


@dataclass(frozen=True)
class Section:
    """A row of the table.

    Parameters
    ----------
    run : callable
        Of the number of tries and the seed.
    bar : str
        What is asked for, besides that nothing fails.
    full, quick : int
        Tries; sections of a fixed extent ignore them.
    least : int
        Tries that the bar asks for.
    """

    run: Callable[[int, int], Iterator[Check]]
    bar: str
    full: int = 0
    quick: int = 0
    least: int = 1


SECTIONS: dict[str, Section] = {
    "scikit-learn's checks": Section(scikit_learn, "every estimator, float32 and float64: 0 failed"),
    "derivatives": Section(derivatives, "every primitive, 100 shapes, two orders: 0 wrong"),
    "random programs": Section(programs, "10 000, NumPy and native: 0 mismatches", 10_000, 200, 10_000),
    "random networks": Section(networks, "10 000, NumPy, native and JAX: 0 mismatches", 10_000, 40, 10_000),
    "numerical range": Section(ranges, "raw numbers ±1e4, float32: all finite"),
    "threads": Section(threads, "1, 2 and 4: identical bits"),
    "resumption": Section(resumption, "at any step: identical bits"),
    "trainings killed and stopped": Section(killed_trainings, "200 kills: 0 unreadable, an interval lost", 200, 8, 200),
    "model-file mutations and truncations": Section(
        model_files, "100 000: 0 crashes, 0 hangs, 64 MB", 100_000, 400, 100_000
    ),
    "bad inputs": Section(bad_inputs, "150 cases: one line or a documented success", least=150),
    "diverging trainings": Section(diverging, "a clear error, or a finite model"),
    "mixture outputs on adversarial data": Section(mixtures, "no failure", 400, 40),
}


def _tries(checks: Sequence[Check]) -> int:
    return sum(check.count for check in checks if not check.name.startswith(" "))


def outcome(checks: Sequence[Check]) -> str:
    """How many tries there were, and how many of them ended in an error in one line, as documented."""
    refused: Counter[str] = Counter()
    for check in checks:
        refused.update(check.refused)
    kinds = ", ".join(sorted(refused))
    return f"{_tries(checks):,} tries" + (f", {refused.total()} refused in one line ({kinds})" if refused else "")


def main(arguments: list[str] | None = None) -> int:
    """Run the sections and print the table; 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few tries: minutes, where all of them take hours")
    parser.add_argument("--count", type=int, help="tries of each section, instead of its own number")
    parser.add_argument("--seed", type=int, default=0, help="decides the tries: same seed, same tries (default: 0)")
    parser.add_argument(
        "--section", choices=list(SECTIONS), action="append", help="only this one; repeat it for several"
    )
    options = parser.parse_args(arguments)
    failed: list[str] = []
    rows = []
    for title in options.section or SECTIONS:
        section = SECTIONS[title]
        count = options.count or (section.quick if options.quick else section.full)
        print(f"\n{title}\n{'check':<44}{'count':>8}{'failures':>10}{'seconds':>10}", flush=True)
        checks = []
        for check in section.run(count, options.seed):
            print(f"{check.name:<44}{check.count:>8}{len(check.failures):>10}{check.seconds:>10.1f}", flush=True)
            checks.append(check)
        failures = [f"{check.name}: {line}" for check in checks for line in check.failures]
        failed += failures
        tries = _tries(checks)
        held = "no" if failures else "yes" if tries >= section.least else "so far"
        rows.append((title, section.bar, f"{outcome(checks)}, {len(failures)} failed", held))
    print()
    rows.insert(0, ("", "bar", "seen", "held"))
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
    for line in failed[:20]:
        print(line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
