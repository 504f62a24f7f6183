"""Checkpoint files under faults: full disks, damage, lost memory, clocks that jump, signals."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import CheckpointError, DivergenceError, OptionError, TrainingStopped
from chainrule.exchange import checkpoint_keeper, modelfile
from chainrule.exchange.checkpoint import Checkpoint, previous_of, read_checkpoint, write_checkpoint
from chainrule.exchange.checkpoint_keeper import CheckpointKeeper
from chainrule.files import replacing
from chainrule.learn.checkpoint import Snapshot, snapshot
from chainrule.learn.rows import Rows
from chainrule.learn.training import Training
from chainrule.models.fit import FitOptions, finish, fit_network, resolve
from chainrule.networks import Network

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3))
PARTS = [(Rows.of(X[:60], X[:60, 0] ** 2), Rows.of(X[60:], X[60:, 0] ** 2))]
NETWORK = Network([cr.Dense(6, "silu"), cr.Dropout(0.1)], cr.Gaussian())
OPTIONS = FitOptions(n_members=2, n_starts=2, max_epochs=5, embedding="auto")


def fitted(keeper=None, options=OPTIONS, parts=PARTS, on_epoch=None) -> list[bytes]:
    trainings = fit_network(NETWORK, parts, options, on_epoch, keeper)
    return [t.theta.tobytes() + repr((t.curves, t.reason, t.best_loss)).encode() for t in trainings]


@pytest.fixture(scope="module")
def wanted():
    return fitted()


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "fit.checkpoint"


def taken(epochs: int = 2) -> Snapshot:
    training = Training(NETWORK, PARTS[0][0], resolve(OPTIONS, 60), PARTS[0][1])
    for _ in range(epochs):
        training.run_epoch()
    return snapshot(training.names, training.state())


def stop_after(epochs: int, keeper: CheckpointKeeper):
    """Ask for a stop after so many epochs, of all trainings together."""
    count = iter(range(10**6))
    return lambda training: keeper.stop(signal.SIGTERM) if next(count) == epochs else None


# -- the file


def test_what_is_written_is_read(path):
    checkpoint = Checkpoint({"training rows": "ab"}, {"one": taken(), "two": taken(0)})
    write_checkpoint(path, checkpoint)
    found = read_checkpoint(path)
    assert found.identity == checkpoint.identity
    for key, snap in checkpoint.trainings.items():
        assert found.trainings[key].facts == snap.facts
        assert found.trainings[key].arrays.keys() == snap.arrays.keys()
        assert all(found.trainings[key].arrays[k].tobytes() == a.tobytes() for k, a in snap.arrays.items())


def test_the_previous_file_is_kept_and_used_where_the_newest_is_damaged(path):
    for epochs in (1, 2):
        write_checkpoint(path, Checkpoint({}, {"one": taken(epochs)}))
    assert read_checkpoint(previous_of(path)).trainings["one"].facts["epoch"] == 1
    rng = np.random.default_rng(0)
    whole = path.read_bytes()
    for _ in range(50):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged if rng.random() < 0.5 else whole[: rng.integers(len(whole))])
        with pytest.warns(UserWarning, match=r"going on from the one before it, .*\.previous"):
            assert read_checkpoint(path).trainings["one"].facts["epoch"] == 1
    previous_of(path).write_bytes(b"")
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"fit\.checkpoint: .*; and .*\.previous: "):
        read_checkpoint(path)


def test_the_newest_file_is_never_away_after_a_kill_between_two_renamings(path, monkeypatch):
    """A campaign of kills found it: both names were one file, so a link stayed, and the next could not be made."""
    snapshots = [taken(k) for k in (1, 2, 3)]
    write_checkpoint(path, Checkpoint({}, {"one": snapshots[0]}))
    os.link(path, previous_of(path))
    replace, there = os.replace, []

    def watched(*names):
        replace(*names)
        there.append(path.exists())

    monkeypatch.setattr(os, "replace", watched)
    for each in snapshots[1:]:
        write_checkpoint(path, Checkpoint({}, {"one": each}))
    assert there == [True] * 3  # the first of them has its second name already
    assert {p.name for p in path.parent.iterdir()} == {path.name, previous_of(path).name}
    assert read_checkpoint(previous_of(path)).trainings["one"].facts["epoch"] == 2


def test_without_links_the_previous_file_is_kept_too(path, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    for epochs in (1, 2):
        write_checkpoint(path, Checkpoint({}, {"one": taken(epochs)}))
    assert read_checkpoint(path).trainings["one"].facts["epoch"] == 2
    assert read_checkpoint(previous_of(path)).trainings["one"].facts["epoch"] == 1


def test_model_files_and_checkpoints_are_told_apart(path):
    write_checkpoint(path, Checkpoint({}, {}))
    with pytest.raises(cr.ModelFileError, match="is not a chainrule model file"):
        cr.load(path)
    modelfile.write_model_file(path, {"identity": {}, "trainings": {}}, {})
    with pytest.raises(CheckpointError, match="is not a chainrule checkpoint file"):
        read_checkpoint(path)


@pytest.mark.parametrize("description", [{}, {"identity": {}, "trainings": {"one": {"epoch": "x"}}}])
def test_strange_descriptions_are_refused(path, description):
    modelfile.write_model_file(path, description, {}, "chainrule checkpoint")
    with pytest.raises(CheckpointError, match="the description is damaged"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("facts", "arrays"),
    [
        ({"epoch": -(10**18)}, {}),
        ({"best_epoch": 10**18}, {}),
        ({"best_epoch": 7}, {}),
        ({"epoch": 7}, {}),
        ({"_stale": -1}, {}),
        ({"reduced": 10**6}, {}),
        ({"halved": -(10**6)}, {}),
        ({"rows_done": -3}, {}),
        ({}, {"training_loss": np.full(2, np.nan)}),
        ({}, {"training_loss": np.zeros(0)}),
        ({}, {"numbers": np.full(2, np.inf)}),
        ({}, {"training_loss": np.ones((2, 2))}),
        ({}, {"numbers": np.full(2, np.nan)}),
        ({}, {"carry.theta": np.full_like(taken().arrays["carry.theta"], np.nan)}),
        ({}, {"best.theta": np.full_like(taken().arrays["carry.theta"], np.inf)}),
    ],
)
def test_states_that_no_training_has_are_refused(path, facts, arrays):
    """Got through: tracebacks, or a training that went on from there."""
    state = taken()
    write_checkpoint(path, Checkpoint({}, {"one": Snapshot(state.facts | facts, state.arrays | arrays)}))
    with pytest.raises(CheckpointError, match="damaged") as refusal:
        read_checkpoint(path)
    assert str(refusal.value).startswith(str(path))


@pytest.mark.parametrize("name", ["fit.checkpoint", "[a]*.checkpoint", "é" * 60 + ".checkpoint"])
def test_what_a_killed_process_left_is_removed(tmp_path, monkeypatch, name):
    """Part files of the checkpoint itself; those of another one, which somebody may be writing, stay."""
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # nobody cleans up after a kill
    for own in (name, f"{name[:45]}.other"):
        with pytest.raises(KeyboardInterrupt), replacing(tmp_path / own):
            raise KeyboardInterrupt
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 2
    CheckpointKeeper(tmp_path / name)
    (left,) = tmp_path.iterdir()
    CheckpointKeeper(tmp_path / f"{name[:45]}.other")
    assert not left.exists()


def test_a_state_that_cannot_predict_is_refused_in_one_line():
    """Got through, from a crafted checkpoint: warnings of NumPy, and a line about variances."""
    training = Training(NETWORK, PARTS[0][0], resolve(OPTIONS, 60), PARTS[0][1])
    training.set_theta(np.full_like(training.theta, 3e38))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DivergenceError, match="infinite or NaN; start again"):
            finish(NETWORK, None, None, [training], {})


def test_no_such_file(path):
    with pytest.raises(CheckpointError, match="there is no such file"):
        CheckpointKeeper(path, resume=path)


# -- stopping and going on


@pytest.mark.parametrize("threads", [None, 2])
@pytest.mark.parametrize("epochs", [0, 3, 7, 13, 19])
def test_stopped_and_resumed(path, wanted, epochs, threads):
    options = FitOptions(**{**vars(OPTIONS), "threads": threads})
    keeper = CheckpointKeeper(path, advice="go on so")
    with pytest.raises(TrainingStopped, match="stopped by SIGTERM, everything is saved; go on so") as stop:
        fitted(keeper, options, on_epoch=stop_after(epochs, keeper))
    assert stop.value.signal == signal.SIGTERM
    assert fitted(CheckpointKeeper(path, path), options) == wanted


def test_signals_at_random_moments(path, wanted):
    rng = np.random.default_rng(2)
    lives, before = 0, signal.getsignal(signal.SIGALRM)
    try:
        while True:
            keeper = CheckpointKeeper(path, path if lives else None, seconds=0.02)
            signal.signal(signal.SIGALRM, lambda number, frame, keeper=keeper: keeper.stop(number))
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.001, 0.15))
            lives += 1
            try:
                found = fitted(keeper)
                break
            except TrainingStopped:
                assert path.exists()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert found == wanted


def test_other_rows_and_options_are_refused_by_name(path):
    fitted(CheckpointKeeper(path))
    other = [(Rows.of(X[:60], X[:60, 1]), PARTS[0][1])]
    with pytest.raises(CheckpointError, match=r"fit\.checkpoint: the interrupted training was of other training rows;"):
        fitted(CheckpointKeeper(path, path), parts=other)
    options = FitOptions(**{**vars(OPTIONS), "patience": 7})
    with pytest.raises(CheckpointError, match=r"began with other patience \(20, now 7\)"):
        fitted(CheckpointKeeper(path, path), options)


def test_another_version_is_told(path, wanted, monkeypatch):
    fitted(CheckpointKeeper(path))
    found = read_checkpoint(path)
    write_checkpoint(path, Checkpoint({**found.identity, "numpy": "1.0"}, found.trainings))
    with pytest.warns(UserWarning, match=r"was written with numpy 1\.0, this is .*; the bits may differ"):
        assert fitted(CheckpointKeeper(path, path)) == wanted


def test_intervals_by_epochs_and_by_a_clock_that_jumps(path, wanted, monkeypatch):
    saves: list[int] = []
    monkeypatch.setattr(checkpoint_keeper, "write_checkpoint", lambda p, c: saves.append(1))
    epochs: list[int] = []
    assert fitted(CheckpointKeeper(path, seconds=1e9, epochs=8), on_epoch=lambda t: epochs.append(t.epoch)) == wanted
    assert len(saves) == len(epochs) // 8 + 1
    saves.clear()
    moments = iter(range(10**6, 0, -1))
    assert fitted(CheckpointKeeper(path, seconds=1e9, clock=lambda: float(next(moments)))) == wanted
    assert len(saves) > 20  # a clock that runs backwards is no reason not to save


@pytest.mark.parametrize(("given", "words"), [({"seconds": -1.0}, "seconds between"), ({"epochs": 0}, "at least 1")])
def test_intervals_that_make_no_sense(path, given, words):
    with pytest.raises(OptionError, match=words):
        CheckpointKeeper(path, **given)


# -- faults: training goes on, the file before is kept


def failing(fault: BaseException):
    def fail(*_, **__):
        raise fault

    return fail


@pytest.mark.parametrize(
    ("where", "name", "fault", "words"),
    [
        (os, "fsync", OSError(errno.ENOSPC, "No space left on device"), "No space left"),
        (os, "fsync", OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (os, "replace", OSError(errno.EACCES, "Permission denied"), "Permission denied"),
        (os, "open", OSError(errno.EROFS, "Read-only file system"), "Read-only"),
        (modelfile, "save_safetensors", MemoryError(), "not enough memory"),
    ],
)
def test_a_checkpoint_that_cannot_be_written_ends_no_training(path, wanted, monkeypatch, where, name, fault, words):
    keeper = CheckpointKeeper(path, seconds=1e9)
    with pytest.raises(TrainingStopped):
        fitted(keeper, on_epoch=stop_after(3, keeper))
    kept = path.read_bytes()
    again = CheckpointKeeper(path, path, seconds=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(where, name, failing(fault))
        with pytest.warns(UserWarning, match=rf"{words}.*training goes on, the checkpoint before is kept") as said:
            assert fitted(again) == wanted
    assert len(said) == 1  # said once, tried every time
    assert path.read_bytes() == kept
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name]  # nothing half-written is left
    assert fitted(CheckpointKeeper(path, path)) == wanted


def test_a_write_that_ends_in_the_middle(path):
    write_checkpoint(path, Checkpoint({}, {"one": taken(1)}))
    kept = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(kept) // 2, limits[1]))  # the system writes so much and no more
    try:
        with pytest.raises(OptionError, match=r"cannot write .*fit\.checkpoint: File too large"):
            write_checkpoint(path, Checkpoint({}, {"one": taken(2)}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == kept
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name]


def test_a_disk_that_is_full(tmp_path, wanted):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if mount is None or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    try:
        (disk / "filler").write_bytes(bytes(60_000))
        path = disk / "fit.checkpoint"
        with pytest.warns(UserWarning, match="No space left on device; .*training goes on"):
            assert fitted(CheckpointKeeper(path, seconds=0.0)) == wanted
        assert not list(disk.glob(".*"))  # nothing half-written takes the room
        with pytest.warns(UserWarning, match="No space left on device"):
            assert fitted(CheckpointKeeper(path, path, seconds=1e9)) == wanted  # from one that still found room
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_stop_on_a_full_disk_says_so(path, monkeypatch):
    keeper = CheckpointKeeper(path, seconds=1e9, advice="go on so")
    monkeypatch.setattr(os, "fsync", failing(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(TrainingStopped, match=r"No space left on device; .*; nothing was saved yet"):
        fitted(keeper, on_epoch=stop_after(2, keeper))


@pytest.mark.parametrize("folder", ["/proc/chainrule", "/nowhere/at/all"])
def test_a_place_where_nothing_can_be_written_is_refused_before_any_work(folder):
    with pytest.raises(OptionError, match="cannot write"):
        CheckpointKeeper(f"{folder}/fit.checkpoint")


def test_no_warning_where_all_is_well(path, wanted):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fitted(CheckpointKeeper(path, seconds=0.0)) == wanted
        assert fitted(CheckpointKeeper(path, path)) == wanted  # all done: nothing is trained
