"""Checkpoints on the command line: the options, the signals, and the command that goes on."""

from __future__ import annotations

import shlex
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from chainrule.cli.terminal import warn
from chainrule.errors import OptionError, TrainingStopped

if TYPE_CHECKING:
    from chainrule.exchange.checkpoint_keeper import CheckpointKeeper

#: options that decide where a fit is interrupted, and nothing about its result
_PASSING = ("--checkpoint", "--checkpoint-every", "--resume")


@Parameter(name="*")
@dataclass(frozen=True)
class CheckpointOptions:
    """Where a fit keeps what it needs to go on after an interruption."""

    checkpoint: Annotated[Path | None, Parameter(help="File to write checkpoints to, to go on with --resume.")] = None
    checkpoint_every: Annotated[float, Parameter(help="Seconds between two checkpoints, at most.")] = 30.0
    resume: Annotated[Path | None, Parameter(help="Checkpoint to go on from, to the same bits; it is kept up.")] = None


@contextmanager
def kept(
    options: CheckpointOptions | None, argv: Sequence[str], *others: Path | None
) -> Iterator[CheckpointKeeper | None]:
    """A keeper of checkpoints if there are to be any, which SIGINT and SIGTERM ask to save and stop.

    The other files of the fit are not to be written over. A second signal does not wait for the end of the present
    segment, and neither does one when nothing is trained.
    """
    options = options or CheckpointOptions()
    place = options.checkpoint or options.resume
    if place is None:
        with _spoken_warnings():
            yield None
        return
    from chainrule.exchange.checkpoint_keeper import CheckpointKeeper
    from chainrule.files import refuse_same_file

    refuse_same_file(place, *others)
    if any(other is not None and place.absolute() == other.absolute() for other in others):
        raise OptionError(f"{place} cannot be both the checkpoint and another file of this fit; name another file")
    command = shlex.join(["chainrule", *lasting(argv[1:]), "--resume", str(place)])
    with _spoken_warnings():
        keeper = CheckpointKeeper(place, options.resume, options.checkpoint_every, advice=f"go on with: {command}")

        asked: list[TrainingStopped] = []

        def ask(number: int, frame: FrameType | None) -> None:
            if not keeper.under_way or keeper.stopping:
                asked.append(keeper.stopped("at once", number))
                raise asked[-1]
            keeper.stop(number)

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield keeper
        except Exception:
            if asked:  # whatever became of it on its way: a module being imported makes an ImportError of it
                raise asked[-1] from None
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def lasting(arguments: Sequence[str]) -> list[str]:
    """Arguments without those that say where to keep checkpoints, or to go on from one."""
    left, skip = [], False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if skip or name in _PASSING:
            skip = not skip and not equals
        else:
            left.append(argument)
    return left


@contextmanager
def _spoken_warnings() -> Iterator[None]:
    """Warnings as lines for people, without the place in the source."""

    def say(
        message: Warning | str, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        warn(message)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=UserWarning)
        warnings.showwarning = say
        yield
