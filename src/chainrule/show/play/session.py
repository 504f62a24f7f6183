"""One training under the user's eyes: it runs, stops, takes single steps and goes back."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from chainrule.errors import ChainruleError, OptionError
from chainrule.learn.loop import NumpyEpoch
from chainrule.learn.optimizers import SGD, Adam, AdamW, FirstOrder, RMSProp
from chainrule.learn.options import Options
from chainrule.learn.penalties import L1, L2, GroupL1, Penalty
from chainrule.learn.rows import Rows
from chainrule.learn.training import Training
from chainrule.models.fit import finish, split_rows
from chainrule.models.model import Model
from chainrule.models.table import output_of_name
from chainrule.networks import UNITS, Network, Pass, hidden_layers
from chainrule.show.play.data import MADE_UP, VALIDATION, Data

OPTIMIZERS: dict[str, Callable[[float], FirstOrder]] = {
    "gradient descent": SGD,
    "momentum": lambda lr: SGD(lr, momentum=0.9),
    "RMSProp": RMSProp,
    "Adam": Adam,
    "AdamW": AdamW,
}
PENALTIES: dict[str, Callable[[float], Penalty] | None] = {"none": None, "L2": L2, "L1": L1, "group L1": GroupL1}
OUTPUTS_OF = {
    "binary": ["bernoulli"],
    "classes": ["categorical"],
    "numeric": ["gaussian", "mixture:3", "laplace", "student_t"],
}
#: snapshots that are kept to go back to; epochs of a training at most; points of the pictures
SNAPSHOTS, MOST_EPOCHS = 240, 20_000
PLANE, LINE, UNIT_PLANE = 72, (120, 80), 24
MOST_UNITS = 16


@dataclass(frozen=True)
class Settings:
    """What the user chose.

    Parameters
    ----------
    layers : tuple of int
        Units of each hidden layer.
    unit, output, penalty, optimizer : str
    strength : float
        λ.
    learning_rate : float
        η.
    batch_size : int
    seed : int
    """

    layers: tuple[int, ...] = (8, 8)
    unit: str = "tanh"
    output: str = ""
    penalty: str = "none"
    strength: float = 0.001
    optimizer: str = "Adam"
    learning_rate: float = 0.01
    batch_size: int = 32
    seed: int = 0

    @classmethod
    def of(cls, record: dict[str, Any], data: Data) -> Settings:
        """Settings as a page sends them, checked.

        Raises
        ------
        OptionError
            Naming the setting.
        """
        known = {k: record[k] for k in asdict(cls()) if k in record}
        try:
            made = cls(
                **{
                    **known,
                    "layers": tuple(int(n) for n in known.get("layers", (8, 8))),
                    "strength": float(known.get("strength", 0.001)),
                    "learning_rate": float(known.get("learning_rate", 0.01)),
                    "batch_size": int(known.get("batch_size", 32)),
                    "seed": int(known.get("seed", 0)),
                }
            )
        except (TypeError, ValueError):
            raise OptionError("settings must be numbers where numbers are asked for") from None
        outputs = OUTPUTS_OF[data.task]
        made = replace(made, output=made.output if made.output in outputs else outputs[0])
        if len(made.layers) > 6 or any(not 1 <= n <= 512 for n in made.layers):
            raise OptionError("layers: at most six, of 1 to 512 units each")
        if not 1 <= made.batch_size <= 100_000:
            raise OptionError("batch size must be at least 1")
        if not 0.0 < made.learning_rate <= 1e6 or not 0.0 <= made.strength <= 1e6 or not 0 <= made.seed < 2**31:
            raise OptionError("learning rate, strength and seed must be positive numbers")
        for name, value, choices in (
            ("unit", made.unit, UNITS),
            ("penalty", made.penalty, PENALTIES),
            ("optimizer", made.optimizer, OPTIMIZERS),
        ):
            if value not in choices:
                raise OptionError(f"{name}: there is no {value!r}")
        return made


@dataclass(frozen=True)
class Snapshot:
    """A moment to go back to."""

    epoch: int
    batch: int
    carry: list[np.ndarray]
    n_losses: int


class Session:
    """A training and its past.

    Parameters
    ----------
    data : Data
    settings : Settings
    """

    def __init__(self, data: Data, settings: Settings) -> None:
        self.data, self.settings = data, settings
        network = Network(
            hidden_layers(list(settings.layers), settings.unit),
            output_of_name(settings.output, len(data.target.classes[0])),
        )
        strata = data.y[:, 0] if data.task != "numeric" else None
        self.train, self.held = split_rows(len(data.X), VALIDATION, settings.seed, strata)
        x = np.asarray(data.inputs.encode([data.X]))
        y = data.target.standardise(data.y)
        make = PENALTIES[settings.penalty]
        options = Options(
            optimizer=OPTIMIZERS[settings.optimizer](settings.learning_rate),
            batch_size=min(settings.batch_size, len(self.train)),
            penalties=() if make is None else (make(settings.strength),),
            groups=data.inputs.groups,
            seed=settings.seed,
        )
        self.training = Training(
            network, Rows.of(x[self.train], y[self.train]), options, Rows.of(x[self.held], y[self.held])
        )
        self.lock, self.running, self.message = threading.RLock(), False, ""
        self.batch = 0
        self.version = 0
        self.pace = 50  # epochs per second at most, so that there is something to see; 0 for no limit
        self._past = [self._now()]
        self._stride = 1
        self._seconds = 0.0

    # -- moving

    def run(self) -> None:
        """Train until paused; for a thread of its own."""
        self.running = True
        while self.running:
            begun = time.perf_counter()
            self.epoch()
            if self.pace:
                time.sleep(max(0.0, 1.0 / self.pace - (time.perf_counter() - begun)))
            if self.training.epoch >= MOST_EPOCHS:
                self._stop(f"stopped after {MOST_EPOCHS} epochs")

    def pause(self) -> None:
        """Stop after the epoch under way."""
        self.running = False

    def epoch(self) -> None:
        """One epoch, natively; what is left of a begun one first."""
        with self.lock:
            begun = time.perf_counter()
            try:
                if self.batch:
                    self._batches(self.n_batches - self.batch)
                else:
                    self.training.run_epoch()
            except ChainruleError as error:
                self._stop(str(error))
                return
            self._seconds = time.perf_counter() - begun
            self._remember()

    def step(self) -> None:
        """One mini-batch."""
        with self.lock:
            self.running = False
            try:
                self._batches(1)
            except ChainruleError as error:
                self._stop(str(error))
                return
            self._remember()

    def back(self, position: int) -> None:
        """Go back to a remembered moment; what came after it is forgotten once training goes on."""
        with self.lock:
            self.running = False
            moment = self._past[max(0, min(position, len(self._past) - 1))]
            self.training.carry = [a.copy() for a in moment.carry]
            self.training.epoch, self.batch = moment.epoch, moment.batch
            del self.training.curves.training[moment.n_losses :]
            del self.training.curves.validation[moment.n_losses :]
            self._past = [m for m in self._past if (m.epoch, m.batch) <= (moment.epoch, moment.batch)]
            self.message = ""
            self.version += 1

    @property
    def n_batches(self) -> int:
        """Mini-batches of an epoch."""
        return -(-len(self.training.rows) // self.training.step.batch_size)

    def _batches(self, count: int) -> None:
        t, step = self.training, self.training.step
        rows = t.order(t.epoch + 1)[self.batch * step.batch_size : (self.batch + count) * step.batch_size]
        runner = NumpyEpoch(step.graph, len(step.carry), len(step.hyper), step.batch_size)
        with np.errstate(all="ignore"):
            carry, _ = runner(t.carry, t.hyper(), (t.rows.x, t.rows.y, t.rows.w), rows)
        if not all(np.isfinite(a).all() for a in carry if a.dtype.kind == "f"):
            raise OptionError("training diverged: values became infinite or NaN; lower the learning rate")
        t.carry = carry
        self.batch += count
        if self.batch >= self.n_batches:
            self.batch = 0
            t.note_epoch(t.loss(t.rows) - t.options.shift)

    def _stop(self, message: str) -> None:
        self.running, self.message = False, message
        self.version += 1

    def _now(self) -> Snapshot:
        t = self.training
        return Snapshot(t.epoch, self.batch, [np.array(a) for a in t.carry], len(t.curves.training))

    def _remember(self) -> None:
        self.version += 1
        if self.batch or self.training.epoch % self._stride == 0:
            self._past.append(self._now())
        if len(self._past) > SNAPSHOTS:
            self._past = [self._past[0], *self._past[2::2]]
            self._stride *= 2

    # -- looking

    def model(self) -> Model:
        """The network as it is now, with preprocessing and output: what a model file holds."""
        with self.lock:
            return finish(
                self.training.network, self.data.inputs, self.data.target, [self.training], {"seed": self.settings.seed}
            )

    def state(self) -> dict[str, Any]:
        """All that is to be seen now, as plain data."""
        with self.lock:
            t = self.training
            curves = t.curves
            keep: Any = (
                np.unique(np.linspace(0, max(len(curves.training) - 1, 0), 500).astype(int)) if curves.training else []
            )
            return {
                "version": self.version,
                "epoch": t.epoch,
                "batch": self.batch,
                "batches": self.n_batches,
                "running": self.running,
                "message": self.message,
                "milliseconds": 1e3 * self._seconds,
                "past": len(self._past),
                "losses": {
                    "epochs": [int(k) + 1 for k in keep],
                    "training": [float(curves.training[k]) for k in keep],
                    "validation": [float(curves.validation[k]) for k in keep],
                },
                "weights": self._weights(),
                "units": self._units(),
                "picture": self._picture(),
            }

    def _weights(self) -> list[dict[str, Any]]:
        pieces = self.training.layout.unflatten(self.training.theta)
        found = []
        for name, value in pieces.items():
            if name.endswith("weight"):
                shown = value[:32, :32]
                largest = float(np.abs(value).max(initial=0.0)) or 1.0
                found.append(
                    {
                        "name": name,
                        "shape": list(value.shape),
                        "rows": shown.shape[0],
                        "columns": shown.shape[1],
                        "largest": largest,
                        "zeros": int((value == 0.0).sum()),
                        "pixels": _bytes(127.5 + 127.5 * shown / largest),
                    }
                )
        return found

    def _hidden(self, raw_rows: np.ndarray) -> list[np.ndarray]:
        t = self.training
        x = np.asarray(self.data.inputs.encode([raw_rows])).astype(np.float32)
        state = Pass(training=False, buffers=t.buffers)
        with np.errstate(all="ignore"):
            return t.network.hidden(t.layout.unflatten(t.theta), x, state)[1:]

    def _units(self) -> list[list[str]]:
        """Each unit's activation over the shown columns, scaled to its own range."""
        sizes = (UNIT_PLANE, UNIT_PLANE) if len(self.data.axes) == 2 else (UNIT_PLANE * 2,)
        layers = []
        for values in self._hidden(self.data.grid(sizes)):
            units = []
            for unit in values.T[:MOST_UNITS]:
                low, high = float(np.min(unit)), float(np.max(unit))
                units.append(_bytes(255.0 * (unit - low) / ((high - low) or 1.0)))
            layers.append(units)
        return layers

    def _picture(self) -> dict[str, Any]:
        """Class probabilities over a plane, or the predictive density along a line."""
        t, target = self.training, self.data.target
        two = len(self.data.axes) == 2
        grid = self.data.grid((PLANE, PLANE) if two else (LINE[0],))
        hidden = self._hidden(grid)
        pieces = t.layout.unflatten(t.theta)
        x = hidden[-1] if hidden else np.asarray(self.data.inputs.encode([grid])).astype(np.float32)
        with np.errstate(all="ignore"):
            raw = np.asarray(x @ pieces["output.weight"] + pieces["output.bias"], np.float64)
        if not np.isfinite(raw).all():
            return {"kind": "none"}
        output = t.network.output
        scaling = {"location": np.array(target.center), "scale": np.array(target.scale)} if output.scales_target else {}
        dist = output.distribution(raw, **scaling)
        if two:
            p = np.asarray(dist.mean()).reshape(len(grid), -1)
            p = np.concatenate([1.0 - p, p], axis=1) if p.shape[1] == 1 else p
            return {"kind": "classes", "size": PLANE, "planes": [_bytes(255.0 * c) for c in p.T]}
        low, high = self.value_range()
        values = np.linspace(low, high, LINE[1])
        with np.errstate(all="ignore"):
            rows = output.distribution(np.repeat(raw, LINE[1], axis=0), **scaling)
            density = np.exp(np.asarray(rows.logpdf(np.tile(values, len(grid)))).reshape(len(grid), LINE[1]))
            density /= np.maximum(density.max(axis=1, keepdims=True), 1e-300)
            mean = np.asarray(dist.mean()).ravel()
        return {
            "kind": "density",
            "size": list(LINE),
            "plane": _bytes(255.0 * np.nan_to_num(density)),
            "mean": [float(m) for m in np.nan_to_num(mean)],
        }

    def value_range(self) -> tuple[float, float]:
        """A little more than the range of a numeric target."""
        low, high = float(self.data.y.min()), float(self.data.y.max())
        air = 0.12 * (high - low) or 1.0
        return low - air, high + air

    def about(self) -> dict[str, Any]:
        """What does not change while training: rows, names, choices."""
        data, t = self.data, self.training
        most = np.random.default_rng(0).permutation(len(data.X))[:1500]
        held = np.zeros(len(data.X), bool)
        held[self.held] = True
        return {
            "data": data.name,
            "task": data.task,
            "rows": [len(self.train), len(self.held)],
            "axes": [data.inputs.columns[k] for k in data.axes],
            "others": [c for k, c in enumerate(data.inputs.columns) if k not in data.axes],
            "target": data.target.names[0],
            "classes": [str(c) for c in data.target.classes[0]] if data.task != "numeric" else [],
            "extent": data.extent(),
            "range": list(self.value_range()) if data.task == "numeric" else None,
            "points": np.column_stack([data.shown, data.y[:, 0], held])[most].tolist(),
            "settings": asdict(self.settings),
            "outputs": OUTPUTS_OF[data.task],
            "parameters": t.layout.size,
            "itself": repr(t.network),
        }

    def code(self) -> str:
        """Python that fits such a network to the same data, a script that runs as it is."""
        s, n = self.settings, self.data.target.task
        kind = "FeedForwardRegressor" if n == "numeric" else "FeedForwardClassifier"
        penalty = {"none": "l2=0.0", "L2": f"l2={s.strength:g}", "L1": f"l1={s.strength:g}, l2=0.0"}.get(
            s.penalty, f"group_l1={s.strength:g}, l2=0.0"
        )
        optimizer = repr(OPTIMIZERS[s.optimizer](s.learning_rate))
        lines = [
            *self._reading(),
            "",
            f"model = cr.{kind}(",
            f"    hidden_layer_sizes={s.layers!r},",
            f"    activation={s.unit!r},",
            *([f"    output={s.output!r},"] if n == "numeric" else []),
            f"    optimizer=cr.{optimizer},",
            f"    batch_size={s.batch_size},",
            f"    {penalty},",
            f"    max_iter={max(self.training.epoch, 1)},",
            "    early_stopping=False,",
            "    n_members=1,",
            "    embedding='none',",
            f"    random_state={s.seed},",
            ")",
            "model.fit(X, y)",
            "print(model.score(X, y))",
            "",
        ]
        return "\n".join(lines)

    def _reading(self) -> list[str]:
        """The lines of Python that make X and y."""
        name, target = self.data.name, self.data.target.names[0]
        if name in MADE_UP:
            return [
                "import chainrule as cr",
                "from chainrule.show.play.data import made_up",
                "",
                f"data = made_up({name!r})",
                "X, y = data.X, data.y[:, 0]",
            ]
        parquet = name.lower().endswith((".parquet", ".pq"))
        read = f"read_parquet({name!r})" if parquet else f"read_csv({name!r}, null_values=['', 'NA'])"
        return [
            "import polars as pl",
            "",
            "import chainrule as cr",
            "",
            f"table = pl.{read}.drop_nulls({target!r})",
            f"X, y = table.drop({target!r}), table[{target!r}].to_numpy()",
        ]


def _bytes(values: np.ndarray) -> str:
    """Numbers from 0 to 255 as text."""
    clipped = np.clip(np.nan_to_num(values), 0.0, 255.0)
    return base64.b64encode(clipped.astype(np.uint8).tobytes()).decode()
