"""What must not fail, tried many times: ``python -m benchmarks.reliability``, one table.

Each section is a function of the number of tries and a seed that yields checks as they are done. To add one, write it
in a module ``reliability_<what>.py`` and enter it into `SECTIONS`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator

from benchmarks.reliability_checks import Check
from benchmarks.reliability_files import model_files
from benchmarks.reliability_mixtures import mixtures
from benchmarks.reliability_training import killed_trainings

SECTIONS: dict[str, Callable[[int, int], Iterator[Check]]] = {
    "model-file mutations and truncations": model_files,
    "mixture outputs on adversarial data": mixtures,
    "trainings killed and stopped": killed_trainings,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the sections and print the table; 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=400, help="tries of each section (default: 400)")
    parser.add_argument("--seed", type=int, default=0, help="decides the tries: same seed, same tries (default: 0)")
    parser.add_argument("--section", choices=list(SECTIONS), help="only this one")
    options = parser.parse_args(arguments)
    failed = []
    for title, section in SECTIONS.items():
        if options.section in (None, title):
            print(f"\n{title}\n{'check':<44}{'count':>8}{'failures':>10}{'seconds':>10}", flush=True)
            for check in section(options.count, options.seed):
                print(f"{check.name:<44}{check.count:>8}{len(check.failures):>10}{check.seconds:>10.1f}", flush=True)
                failed += [f"{check.name}: {line}" for line in check.failures]
    for line in failed[:20]:
        print(line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
