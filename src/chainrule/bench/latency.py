"""How long things take to start, to compile, to answer; 40 fits; memory."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import pairwise
from time import perf_counter, process_time
from typing import Any

import numpy as np

from chainrule.bench import children, install, peers
from chainrule.bench.machine import Machine, this_machine
from chainrule.bench.sections import QUICK, Section, digits, mark, verdict

Say = Callable[[str], None]
MEGABYTE = 2**20
#: what the peers' estimators are: one ReLU network on the columns as they are, no rows held out
PLAIN: dict[str, Any] = {"activation": "relu", "n_members": 1, "embedding": "none", "early_stopping": False}
#: how many times as much a row may cost among ten million as among ten thousand, and still count as flat
FLAT = 1.5
#: for which a call is timed at the longest, so that a busy machine ends too
SECONDS = 2.0


@dataclass(frozen=True)
class Latency:
    """One measurement.

    Parameters
    ----------
    name : str
    value : float
    unit : str
    bar : float, optional
        What chainrule aims at; None for what is there for comparison.
    """

    name: str
    value: float
    unit: str
    bar: float | None = None


@dataclass(frozen=True)
class LatencyReport:
    """What was measured."""

    machine: Machine
    measured: list[Latency]
    quick: bool = False

    def sections(self) -> list[Section]:
        """The report as a table."""
        rows = [["", "measured ", "unit", "aim"]]
        for m in self.measured:
            reached = m.bar is None or m.value <= m.bar
            rows.append(
                [m.name, f"{digits(m.value, 3)}{mark(reached)}", m.unit, "" if m.bar is None else f"≤ {m.bar:g}"]
            )
        aims = {
            f"{m.name} {digits(m.value, 3)} {m.unit} (≤ {m.bar:g})": m.value <= m.bar for m in self.measured if m.bar
        }
        note = "the best of several repetitions each; ! above what chainrule aims at"
        return [Section(rows, note), Section([], QUICK if self.quick else verdict(aims))]


def run_latency(quick: bool = False, against: list[str] | None = None, say: Say = lambda line: None) -> LatencyReport:
    """Measure.

    Parameters
    ----------
    quick : bool
        Few repetitions, and no 40 fits.
    against : list of str, optional
        Peers to look for; all by default.
    say : callable
        Told what is being measured.
    """
    found = peers.present(against)
    repetitions = 1 if quick else 5
    measured: list[Latency] = []
    for part in (_start_up, _first_step, _memory, _cost_per_row):
        say(part.__name__.strip("_").replace("_", " "))
        measured += part(repetitions)
    say("prediction")
    measured += _prediction(quick, found)
    if not quick:
        say("40 fits")
        measured += _many_fits(found)
        say("install")
        measured += _install()
    return LatencyReport(this_machine(found), measured, quick)


def _start_up(repetitions: int) -> list[Latency]:
    nothing = min(children.seconds_of(["-c", "pass"]) for _ in range(repetitions))
    imported = min(children.seconds_of(["-c", "import chainrule"]) for _ in range(repetitions))
    helped = min(children.seconds_of(["-m", "chainrule", "--help"]) for _ in range(repetitions))
    estimator = "import chainrule; chainrule.FeedForwardClassifier"
    touched = min(children.seconds_of(["-c", estimator]) for _ in range(repetitions))
    return [
        Latency("Python itself, start to end", nothing, "s"),
        Latency("import chainrule, Python included", imported, "s", 0.15),
        Latency("chainrule --help, Python included", helped, "s", 0.4),
        Latency("an estimator touched (scikit-learn loaded), Python included", touched, "s"),
    ]


def _first_step(repetitions: int) -> list[Latency]:
    cold, warm = [], []
    children.run_child(children.FIRST_STEP)  # makes bytecode
    for _ in range(min(repetitions, 3)):
        with tempfile.TemporaryDirectory() as folder:
            place = {"CHAINRULE_CACHE_DIR": folder}
            cold.append(children.run_child(children.FIRST_STEP, environment=place))
            warm += [children.run_child(children.FIRST_STEP, environment=place) for _ in range(2)]
    return [
        Latency("first step of 20-64-64-2, nothing compiled before", min(cold), "s", 0.4),
        Latency("the same in a new process, code on disk", min(warm), "s", 0.05),
    ]


def _memory(repetitions: int) -> list[Latency]:
    if sys.platform != "linux":
        return []
    rows = "20000" if repetitions == 1 else "400000"
    what = f"memory beyond the data and 4 × parameters, {rows} rows × 54"
    with tempfile.TemporaryDirectory() as folder:
        place = {"CHAINRULE_CACHE_DIR": folder}
        compiling, training = (children.run_child(children.MEMORY, rows, environment=place) for _ in range(2))
    with tempfile.TemporaryDirectory() as folder:
        code = children.run_child(children.MEMORY, "20000", "code", environment={"CHAINRULE_CACHE_DIR": folder})
    return [
        Latency(what, training / MEGABYTE, "MB", 64),
        Latency("the same in a process that compiles first", compiling / MEGABYTE, "MB"),
        Latency("of these, code mapped from library files (LLVM)", code / MEGABYTE, "MB"),
    ]


def _cost_per_row(repetitions: int) -> list[Latency]:
    """Processor time of an epoch per row, one thread, 10-64-64-2, batches of 256, from ten thousand rows on."""
    from chainrule.learn.options import Options
    from chainrule.learn.rows import Rows
    from chainrule.learn.training import Training
    from chainrule.networks import Network
    from chainrule.outputs import Categorical

    rng = np.random.default_rng(0)
    costs = []
    for n in (10**4, 10**5) if repetitions == 1 else (10**4, 10**5, 10**6, 10**7):
        x = rng.standard_normal((n, 10), np.float32)
        y = (x[:, :1] + rng.standard_normal((n, 1), np.float32) > 0).astype(np.float32)
        rows = Rows(x, y, np.ones(n, np.float32))
        training = Training(Network([64, 64], Categorical(2)), rows, Options(batch_size=256, threads=1))
        training.compile()
        best = np.inf
        for _ in range(max(2, min(repetitions * 10, 3 * 10**6 // n))):
            start = process_time()
            training.run_epoch()
            best = min(best, process_time() - start)
        costs.append(best / n)
    shown = ", ".join(f"{1e9 * c:.0f}" for c in costs)
    name = (
        f"an epoch's cost per row, 10⁴ to {'10⁵' if repetitions == 1 else '10⁷'} rows ({shown} ns): dearest ÷ cheapest"
    )
    return [Latency(name, max(costs) / min(costs), "", FLAT)]


def _install() -> list[Latency]:
    """Packages that come with chainrule, and how large they are, from what is installed here."""
    try:
        base, missing = install.installed_with(install.requirements())
        show, lacking = install.installed_with([*install.requirements(), *install.requirements("show")])
        size = sum(map(install.compressed_bytes, base.values())) / 1e6
    except (ImportError, OSError):  # reading requirements needs a package of its own, or there are none to read
        return []
    return [
        Latency("packages that come with chainrule", len(base) + len(missing), "", 30),
        Latency("packages with chainrule[show]", len(show) + len(lacking), "", 42),
        Latency("their files compressed (base), about what is downloaded", size, "MB", 200),
    ]


def _prediction(quick: bool, found: dict[str, str]) -> list[Latency]:
    """One row and 2000 rows through a fitted 20-64-64-2."""
    from chainrule.estimators import FeedForwardClassifier

    rng = np.random.default_rng(0)
    x = rng.standard_normal((2000, 20)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    model = FeedForwardClassifier((64, 64), max_iter=2, random_state=0, **PLAIN).fit(x, y)
    measured = []
    measured.append(Latency("one row, compiled function", _microseconds(_compiled(x[:1]), quick), "µs", 10))
    calls: dict[str, Callable[[Any], Any]] = {"predict_proba": model.predict_proba}
    alone = _network_alone()
    if "scikit-learn" in found:
        calls["scikit-learn's predict_proba"] = _sklearn_predictor(x, y)
    if "PyTorch" in found:
        calls["PyTorch"] = _torch_predictor()
    if "JAX" in found:
        calls["JAX, jitted"] = _jax_predictor()
    for rows, bar in ((1, 60.0), (2000, 120.0)):
        part = np.ascontiguousarray(x[:rows])
        if rows > 1:
            measured.append(
                Latency(f"{rows} rows, the network alone", _microseconds(partial(alone, part), quick), "µs", bar)
            )
        for name, call in calls.items():
            time = _microseconds(partial(call, part), quick)
            what = f"{rows} rows" if rows > 1 else "one row"
            measured.append(Latency(f"{what}, {name}", time, "µs", bar if name == "predict_proba" else None))
    return measured


def _compiled(rows: np.ndarray) -> Callable[[], Any]:
    """A network's function of these rows, through `chainrule.compile`."""
    from chainrule.native.function import compile
    from chainrule.networks import Network
    from chainrule.outputs import Categorical

    network = Network([64, 64], Categorical(2))
    pieces = network.layout(20).unflatten(network.initial(20, np.random.default_rng(0)).astype(np.float32))
    return partial(compile(network.raw), pieces, rows)


def _network_alone() -> Callable[[np.ndarray], Any]:
    """The same network on encoded rows, in blocks as predictions are: what the peers' networks do."""
    from chainrule.learn.blocks import BLOCK, BlockRunner
    from chainrule.learn.step import prediction_graph
    from chainrule.networks import Network
    from chainrule.outputs import Categorical

    network = Network([64, 64], Categorical(2))
    theta = network.initial(20, np.random.default_rng(0)).astype(np.float32)
    run = BlockRunner(prediction_graph(network, 20, 1, BLOCK), 1)
    return lambda x: run([theta], [x])


def _sklearn_predictor(x: np.ndarray, y: np.ndarray) -> Callable[[Any], Any]:
    make: Any = import_module("sklearn.neural_network").MLPClassifier
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it did not converge in two epochs: it need not
        return make((64, 64), max_iter=2).fit(x, y).predict_proba


def _torch_predictor() -> Callable[[Any], Any]:
    torch: Any = import_module("torch")
    nn = torch.nn
    net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2), nn.Softmax(1))

    def predict(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return net(torch.from_numpy(x)).numpy()

    return predict


def _jax_predictor() -> Callable[[Any], Any]:
    jax: Any = import_module("jax")
    rng = np.random.default_rng(0)
    sizes = (20, 64, 64, 2)
    weights = [rng.standard_normal(s).astype(np.float32) for s in pairwise(sizes)]

    def network(weights: Any, x: Any) -> Any:
        h = x
        for w in weights[:-1]:
            h = jax.nn.relu(h @ w)
        return jax.nn.softmax(h @ weights[-1])

    run = jax.jit(network)
    return lambda x: np.asarray(run(weights, x))


def _microseconds(call: Callable[[], Any], quick: bool) -> float:
    """Of one call, in the best of several rounds."""
    call()
    calls, best, began = 10, np.inf, perf_counter()
    for _ in range(2 if quick else 300):
        start = perf_counter()
        for _ in range(calls):
            call()
        best = min(best, (perf_counter() - start) / calls)
        if perf_counter() - began > SECONDS:
            break
    return best * 1e6


def _many_fits(found: dict[str, str]) -> list[Latency]:
    """`GridSearchCV`: 8 settings × 5 folds of digits, 64 hidden units, 100 epochs each, batches of 200, two workers."""
    from sklearn.datasets import load_digits

    from chainrule.estimators import FeedForwardClassifier

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    common: dict[str, Any] = {
        "hidden_layer_sizes": (64,),
        "max_iter": 100,
        "batch_size": 200,
        "random_state": 0,
        "n_iter_no_change": 100,
    }
    rates = [1e-3, 3e-3]
    strengths = [1e-5, 1e-4, 1e-3, 1e-2]
    grid = {"l2": strengths, "learning_rate_init": rates}
    ours = FeedForwardClassifier(**common, **PLAIN)
    busy = process_time()
    searches = [_search(ours, grid, x, y, "threading") for _ in range(3)]
    busy, (seconds, score) = (process_time() - busy) / 3, min(searches)
    measured = [
        Latency(f"40 fits, GridSearchCV on two threads (best accuracy {score:.3f})", seconds, "s", 1.2),
        Latency("their processor time, both threads together", busy, "s"),
    ]
    for how, factor in (("all to the end", None), ("successive halving", 3)):
        seconds, score = min(_own_search(ours, grid, x, y, factor) for _ in range(3))
        name = f"40 fits and the best on all rows, SearchCV, {how} (best accuracy {score:.3f})"
        measured.append(Latency(name, seconds, "s", 1.2))
    seconds, score = _search(ours, grid, x, y, "loky")
    measured.append(Latency(f"40 fits, GridSearchCV on two processes (best accuracy {score:.3f})", seconds, "s"))
    if "scikit-learn" in found:
        make: Any = import_module("sklearn.neural_network").MLPClassifier
        theirs = make(**common)
        seconds, score = _search(theirs, {"alpha": strengths, "learning_rate_init": rates}, x, y, "loky")
        name = f"40 fits, scikit-learn's MLPClassifier, two processes (best accuracy {score:.3f})"
        measured.append(Latency(name, seconds, "s"))
    return measured


def _search(model: Any, grid: dict[str, Any], x: np.ndarray, y: np.ndarray, backend: str) -> tuple[float, float]:
    """Seconds and best accuracy of a search, its workers started before the clock."""
    joblib: Any = import_module("joblib")
    search: Any = import_module("sklearn.model_selection").GridSearchCV(model, grid, cv=5, n_jobs=2, refit=False)
    with joblib.parallel_config(backend=backend):
        joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(k) for k in range(4))
        return _timed(search, x, y)


def _own_search(
    model: Any, grid: dict[str, Any], x: np.ndarray, y: np.ndarray, factor: int | None
) -> tuple[float, float]:
    """Seconds and best accuracy of chainrule's own search, on two threads."""
    from chainrule.estimators.search import SearchCV

    return _timed(SearchCV(model, grid, cv=5, n_jobs=2, factor=factor), x, y)


def _timed(search: Any, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the limit of epochs is the point
        start = perf_counter()
        search.fit(x, y)
        return perf_counter() - start, float(search.best_score_)
