"""``chainrule bench``: runs, prints its tables, keeps the numbers; nothing here depends on how fast this machine is."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from chainrule.bench import install, peers
from chainrule.bench.cases import CASES, Case, Problem
from chainrule.bench.latency import Latency, LatencyReport
from chainrule.bench.machine import Machine
from chainrule.bench.ours import Ours
from chainrule.bench.race import WARM_UP, race
from chainrule.bench.sections import digits, verdict
from chainrule.bench.training import TrainingReport
from chainrule.bench.variants import VariantResult, same_bits
from chainrule.cli import run

SHORT = Case("short", (6, 16, 3), 8, 5)


def test_quick_training_without_peers_prints_its_tables(tmp_path, capsys):
    place = tmp_path / "numbers.json"
    assert run(["bench", "training", "--quick", "--peer", "none", "--case", "tiny", "--json", str(place)]) == 0
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if line.startswith("tiny  "))
    assert "10-32-2" in row
    assert "of JAX, PyTorch and scikit-learn none is both asked for and installed" in printed
    assert "a quick run: few steps" in printed
    assert "aims held" not in printed
    assert all(line == line.rstrip() and len(line) <= 120 for line in printed.splitlines())
    assert "1 and 2 threads give the same bits: tiny" in printed
    numbers = json.loads(place.read_text())
    assert numbers["quick"] is True
    (result,) = numbers["races"]["tiny"]
    assert result["peer"] == "chainrule"
    assert f"{result['microseconds']:.4g}" in row
    assert [w["width"] for group in numbers["widths"] for w in group] == [44, 45, 46, 47, 48, 63, 64, 65, 127, 128, 129]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--peer", "caffe"], "--peer takes JAX, PyTorch, scikit-learn; got 'caffe'"),
        (["--case", "huge"], "--case takes tiny, small"),
        (["latency", "--case", "tiny"], "are for the training benchmark"),
        (["--json", "no/such/folder.json"], "there is no folder"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments, what, capsys):
    assert run(["bench", *arguments]) == 1
    refusal = capsys.readouterr().err
    assert what in refusal
    assert len(refusal.strip().splitlines()) == 1


def test_without_native_code_there_is_nothing_to_measure(monkeypatch, capsys):
    monkeypatch.setattr("chainrule.native.runtime.unavailable", lambda: "no executable memory")
    assert run(["bench", "--quick"]) == 1
    assert "measure native code, which cannot run here (no executable memory)" in capsys.readouterr().err


def test_help_imports_no_benchmark():
    code = (
        "import sys; from chainrule.cli import run; run(['--help']); print([m for m in sys.modules if '.bench.' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_judge_agrees_with_the_training_loss_of_one_whole_batch():
    """Over one batch of all rows, the loss an epoch reports is the loss before it."""
    problem = Problem(replace(SHORT, batch_size=40, n_steps=1))
    ours = Ours(problem)
    before = ours.loss(problem)
    assert before == pytest.approx(problem.loss(problem.weights()))
    ours.epoch()
    assert ours.training.curves.training[0] == pytest.approx(before, rel=1e-5)
    assert ours.loss(problem) < before


def test_scikit_learn_starts_from_the_same_weights_and_learns_as_much():
    problem = Problem(replace(SHORT, n_steps=40))
    ours, theirs = Ours(problem), *peers.contenders("scikit-learn", problem)
    assert theirs.loss(problem) == pytest.approx(ours.loss(problem), rel=1e-6)
    first, second = race(problem, [ours, theirs], 2)
    start = problem.loss(problem.weights())
    assert first.loss < 0.9 * start
    assert second.loss == pytest.approx(first.loss, abs=0.1 * (start - first.loss))


def test_two_classes_of_scikit_learn_are_judged_as_a_softmax():
    problem = Problem(Case("two", (4, 8, 2), 8, 4))
    (theirs,) = peers.contenders("scikit-learn", problem)
    probability = theirs._model.predict_proba(problem.x)[np.arange(len(problem.y)), problem.y]
    assert theirs.loss(problem) == pytest.approx(-np.log(probability).mean(), rel=1e-5)


def test_a_peer_that_is_missing_is_left_out(monkeypatch):
    monkeypatch.setitem(peers.PEERS, "JAX", ("no_such_module_anywhere", "jax", peers.PEERS["JAX"][2]))
    assert "JAX" not in peers.present()
    assert list(peers.present(["scikit-learn"])) == ["scikit-learn"]


def test_threads_give_the_same_bits():
    assert same_bits(next(c for c in CASES if c.name == "table").shortened(2))


def test_a_ratio_below_the_aim_is_marked():
    from chainrule.bench.machine import this_machine
    from chainrule.bench.race import Result

    def report(peer_time):
        times = [Result("chainrule", "chainrule", 1.0, 1.0, 0.1), Result("JAX", "JAX", peer_time, peer_time, 0.1)]
        return TrainingReport(this_machine({"JAX": "0"}), {"tiny": times}, [], [], {})

    assert report(9.0).sections()[0].rows[1][-1] == "9×!"
    assert report(11.0).sections()[0].rows[1][-1] == "11× "


def test_short_epochs_get_more_tries_after_the_losses_were_compared():
    problem = Problem(SHORT)
    one, other = Ours(problem), Ours(problem)
    first, second = race(problem, [one, other], 4)
    assert first.loss == second.loss  # after as many epochs each
    assert len(first.seconds) > 4
    assert first.microseconds == min(first.seconds) / SHORT.n_steps * 1e6
    assert one.training.epoch == WARM_UP + len(first.seconds)


def test_the_verdict_names_what_was_missed():
    assert verdict({"a": True, "b (≤ 2)": False, "c": True}) == "aims held: 2 of 3; missed: b (≤ 2)"
    assert verdict({"a": True}) == "aims held: 1 of 1"
    held = [Latency("quick", 1.0, "s", 2.0), Latency("slow", 3.0, "s", 2.0), Latency("no aim", 9.0, "s")]
    assert LatencyReport(Machine("", "", 1, 128, {}), held).sections()[-1].note == (
        "aims held: 1 of 2; missed: slow 3 s (≤ 2)"
    )


def test_a_variant_may_cost_what_its_multiply_adds_ask_for():
    assert VariantResult("small", "twice the work", 1.0, 2.9, 2.0).held
    assert not VariantResult("small", "twice the work", 1.0, 3.1, 2.0).held
    assert not VariantResult("small", "half the work", 1.0, 1.6, 0.5).held


def test_what_an_installation_brings():
    found, missing = install.installed_with(install.requirements())
    assert {"numpy", "scipy", "llvmlite", "scikit-learn", "polars"} <= set(found)
    assert not missing
    assert "matplotlib" not in found
    assert "matplotlib" in install.installed_with(install.requirements("show"))[0]
    assert not install.applies("colorama; sys_platform == 'no such system'")
    size = install.compressed_bytes(found["threadpoolctl"])
    assert 5_000 < size < sum(f.size or 0 for f in found["threadpoolctl"].files)


def test_numbers_are_printed_without_powers_of_ten():
    assert [digits(x) for x in (0.0123456, 1.23456, 9999.4, 9999.6, 17534.2)] == [
        "0.01235",
        "1.235",
        "9999",
        "10000",
        "17530",
    ]
