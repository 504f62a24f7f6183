"""``chainrule bench``: speed beside whichever peers are installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from chainrule.errors import OptionError

if TYPE_CHECKING:
    from chainrule.bench.latency import LatencyReport
    from chainrule.bench.training import TrainingReport

_WIDTH = 120  # of the notes


def bench(
    what: Literal["training", "latency"] = "training",
    *,
    quick: Annotated[bool, Parameter(help="Few steps and repetitions: shows that it runs, says little.")] = False,
    case: Annotated[list[str] | None, Parameter(help="Only this network; repeat it for several.")] = None,
    peer: Annotated[
        list[str] | None, Parameter(help="Only this peer (JAX, PyTorch, scikit-learn); 'none' for chainrule alone.")
    ] = None,
    json: Annotated[Path | None, Parameter(help="File for all the numbers.")] = None,
    picture: Annotated[Path | None, Parameter(help="Picture of the training times; needs matplotlib.")] = None,
) -> None:
    """Measure speed: training steps beside JAX, PyTorch and scikit-learn, or how long things take to start.

    Everybody trains the same network on the same rows, in turns. A peer that is not installed is skipped.

    Parameters
    ----------
    what
        training or latency.
    """
    from dataclasses import asdict
    from json import dumps
    from textwrap import wrap

    from chainrule.native.function import obstacle

    reason = obstacle()
    if reason is not None:
        raise OptionError(f"the benchmarks measure native code, which cannot run here ({reason})")
    from chainrule.bench.cases import CASES
    from chainrule.bench.latency import run_latency
    from chainrule.bench.peers import PEERS
    from chainrule.bench.training import run_training
    from chainrule.cli.terminal import table

    against = _names(peer, list(PEERS), "--peer")
    chosen = _names(case, [c.name for c in CASES], "--case")
    for place in filter(None, (json, picture)):
        if not place.parent.is_dir():
            raise OptionError(f"cannot write {place}: there is no folder {place.parent}")
    if what == "latency" and (case or picture):
        raise OptionError("--case and --picture are for the training benchmark")

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if what == "latency":
        report: TrainingReport | LatencyReport = run_latency(quick, against, say)
    else:
        report = training = run_training(quick, chosen, against, say)
        if picture is not None:
            from chainrule.bench.picture import draw

            draw(training, picture)
    print(*report.machine.lines(), sep="\n")
    for section in report.sections():
        lines = [line.rstrip() for line in table(section.rows)] if section.rows else []
        print("", *lines, *wrap(section.note, _WIDTH, subsequent_indent="  "), sep="\n")
    if json is not None:
        json.write_text(dumps(asdict(report), indent=1) + "\n")


def _names(given: list[str] | None, known: list[str], option: str) -> list[str] | None:
    """Names as they are written in the tables; None for all of them."""
    if not given:
        return None
    by_name = {k.lower(): k for k in known}
    if option == "--peer" and given == ["none"]:
        return []
    for name in given:
        if name.lower() not in by_name:
            raise OptionError(f"{option} takes {', '.join(known)}; got {name!r}")
    return [by_name[name.lower()] for name in given]
