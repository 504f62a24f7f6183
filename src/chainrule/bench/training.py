"""The comparison of training speed: the table, and what else has to hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chainrule.bench import peers
from chainrule.bench.cases import CASES, Case, Problem
from chainrule.bench.machine import Machine, this_machine
from chainrule.bench.ours import Ours
from chainrule.bench.race import Result, race
from chainrule.bench.sections import QUICK, Section, digits, mark, verdict
from chainrule.bench.variants import (
    CLIFF_BAR,
    VARIANT_BAR,
    VariantResult,
    WidthResult,
    run_variants,
    run_widths,
    same_bits,
)


@dataclass(frozen=True)
class TrainingReport:
    """What was measured.

    Parameters
    ----------
    machine : Machine
    races : dict
        Results by case name.
    variants : list of VariantResult
    widths : list of lists of WidthResult
    same_bits : dict
        By case name: whether one and two threads gave the same bits.
    quick : bool
        Whether there were too few steps to judge by.
    """

    machine: Machine
    races: dict[str, list[Result]]
    variants: list[VariantResult]
    widths: list[list[WidthResult]]
    same_bits: dict[str, bool]
    quick: bool = False

    def sections(self) -> list[Section]:
        """The report as tables, the most important first."""
        tables = [self._summary(), self._details(), self._variants(), self._widths()]
        return [*tables, Section([], self._bits()), Section([], QUICK if self.quick else verdict(self._aims()))]

    def _aims(self) -> dict[str, bool]:
        """All that chainrule aims at, and whether it was reached."""
        aims: dict[str, bool] = {}
        for case in CASES:
            results = self.races.get(case.name, [])
            for peer, bar in case.bars:
                times = [r.microseconds for r in results if r.peer == peer]
                if times:
                    ratio = min(times) / results[0].microseconds
                    aims[f"{case.name} {ratio:.3g}× {peer} (≥ {bar:g}×)"] = ratio >= bar
        for v in self.variants[1:]:
            aims[f"{v.case}: {v.name} {v.ratio:.2f}× (≤ {VARIANT_BAR:g}×)"] = v.held
        for w in (w for group in self.widths for w in group):
            aims[f"width {w.width} +{w.excess:.0%} (< {CLIFF_BAR:.0%})"] = w.excess < CLIFF_BAR
        return aims | {f"{name}: the same bits for 1 and 2 threads": same for name, same in self.same_bits.items()}

    def _summary(self) -> Section:
        """One line per case: microseconds per step, and how many times faster than each peer at its best."""
        names = [p for p in peers.PEERS if p in self.machine.versions]
        rows = [["µs per step", "layers", "batch", "chainrule", *names, *(f"÷ {n}" for n in names)]]
        chosen = [c for c in CASES if c.name in self.races]
        for case in chosen:
            ours = self.races[case.name][0].microseconds
            best = {n: min(r.microseconds for r in self.races[case.name] if r.peer == n) for n in names}
            ratios = [f"{best[n] / ours:.3g}×{mark(best[n] / ours >= bar)}" for n, bar in case.bars if n in best]
            cells = [case.name, "-".join(map(str, case.layers)), str(case.batch_size), digits(ours)]
            rows.append([*cells, *(digits(t) for t in best.values()), *ratios])
        if not names:
            return Section(rows, "of JAX, PyTorch and scikit-learn none is both asked for and installed")
        bars = ", ".join(f"{c.name} {'/'.join(f'{bar:g}' for n, bar in c.bars if n in names)}" for c in chosen)
        return Section(rows, f"! below what chainrule aims at, times faster than {' / '.join(names)}: {bars}")

    def _details(self) -> Section:
        """Every contender of every case, with the loss it reached."""
        rows = [["contender", "best µs/step", "median", "final loss"]]
        for name, results in self.races.items():
            rows += [[f"{name}: {r.name}", digits(r.microseconds), digits(r.median), f"{r.loss:.4f}"] for r in results]
        return Section(rows, "same rows, same number of epochs; the loss is that of all rows at the last weights")

    def _variants(self) -> Section:
        rows = [["variant", "µs/step", "time ÷ built-in ", "multiply-adds ÷ built-in"]]
        for v in self.variants:
            ratio = f"{v.ratio:.2f}{mark(v.held)}"
            rows.append([f"{v.case}: {v.name}", digits(v.microseconds), ratio, f"{v.products:.2f}"])
        note = f"! more than {VARIANT_BAR:g} times the built-in net of the same layers, beyond more multiply-adds"
        return Section(rows, note)

    def _widths(self) -> Section:
        rows = [["width w of 20-w-w-2, batch 32", "µs/step", "per multiply-add "]]
        for w in (w for group in self.widths for w in group):
            rows.append([str(w.width), digits(w.microseconds), f"+{w.excess:.0%}{mark(w.excess < CLIFF_BAR)}"])
        return Section(rows, f"! {CLIFF_BAR:.0%} dearer per multiply-add than a width next to it")

    def _bits(self) -> str:
        same = [name for name, same in self.same_bits.items() if same]
        other = [name for name, same in self.same_bits.items() if not same]
        text = f"1 and 2 threads give the same bits: {', '.join(same) or 'none'}"
        return f"{text}; DIFFERENT BITS: {', '.join(other)}" if other else text


def run_training(
    quick: bool = False,
    cases: Sequence[str] | None = None,
    against: list[str] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> TrainingReport:
    """Measure.

    Parameters
    ----------
    quick : bool
        Few steps and repetitions: shows that everything runs, says little about speed.
    cases : sequence of str, optional
        Names; all by default, without the large ones if quick.
    against : list of str, optional
        Peers to look for; all by default.
    say : callable
        Told what is being measured.
    """
    found = peers.present(against)
    for peer in peers.PEERS if against is None else against:
        if peer not in found:
            say(f"{peer} is not installed: skipped")
    repetitions = 2 if quick else 10
    chosen = [c for c in CASES if (c.name in cases if cases else not quick or c.name in ("tiny", "small"))]
    chosen = [c.shortened(10) for c in chosen] if quick else chosen
    races: dict[str, list[Result]] = {}
    for case in chosen:
        say(f"training {case.name}")
        races[case.name] = _race(case, list(found), repetitions)
    variants: list[VariantResult] = []
    for case in chosen:
        if case.name in ("small", "table"):
            say(f"variants of {case.name}")
            variants += run_variants(case, repetitions)
    say("widths")
    widths = run_widths(repetitions, 10 if quick else 200)
    say("threads")
    bits = {c.name: same_bits(c.shortened(4)) for c in chosen}
    return TrainingReport(this_machine(found), races, variants, widths, bits, quick)


def _race(case: Case, names: list[str], repetitions: int) -> list[Result]:
    problem = Problem(case)
    return race(problem, [Ours(problem), *(c for n in names for c in peers.contenders(n, problem))], repetitions)
