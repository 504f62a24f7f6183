"""The command line: parses, calls, prints; knows no mathematics.

Exit status: 0 for success, 1 for a refusal (one line on stderr), 130 after Ctrl-C, 143 after SIGTERM.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Any, get_args

from cyclopts import App, CycloptsError, Parameter, Token, convert
from cyclopts.exceptions import MissingArgumentError, UnusedCliTokensError

from chainrule import __version__
from chainrule.cli.bench import bench
from chainrule.cli.check import check
from chainrule.cli.demo import demo
from chainrule.cli.explain import explain
from chainrule.cli.export import export
from chainrule.cli.fit import fit
from chainrule.cli.play import play
from chainrule.cli.predict import predict
from chainrule.cli.score import score
from chainrule.cli.summary import summary
from chainrule.cli.terminal import plain
from chainrule.errors import ChainruleError, TrainingStopped
from chainrule.memory import bound_process


def _converted(type_: Any, tokens: Sequence[Token]) -> Any:
    """The value of an option; whole numbers are not rounded to, as they are by default."""
    if int in (type_, *get_args(type_)):
        for token in tokens:
            if "." in token.value:
                raise ValueError(f"{token.value!r} is not a whole number")
    return convert(type_, tokens)


app = App(
    name="chainrule",
    help="Deep feed-forward networks on tables: a predictive distribution for every row, from one command.",
    version=__version__,
    help_format="plaintext",
    default_parameter=Parameter(negative="", converter=_converted),
    suppress_keyboard_interrupt=False,  # `run` says it
)
COMMANDS = (fit, predict, score, check, explain, summary, export, demo, play, bench)
for command in COMMANDS:
    app.command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.stdout, sys.stderr = (stream or io.StringIO() for stream in (sys.stdout, sys.stderr))  # None: closed
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names and cells may have characters that the screen has not
            stream.reconfigure(errors="backslashreplace")
    bound_process()
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: Sequence[str]) -> int:
    """Run the command line.

    Returns
    -------
    int
        The exit status.
    """
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except TrainingStopped as stop:
        _refuse(str(stop))
        return 128 + stop.signal
    except ChainruleError as error:
        return _refuse(str(error))
    except CycloptsError as error:
        return _refuse(f"{_usage(error)} (chainrule {' '.join(_command(arguments))}--help lists the options)")
    except KeyboardInterrupt:
        print("chainrule: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # the screen, or what it was sent to, takes no more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _refuse(f"cannot write the output: {error.strerror or error}")
    except MemoryError:
        return _refuse("not enough memory; use fewer rows or a smaller network")
    return 0


def _refuse(message: str) -> int:
    print(f"chainrule: {plain(' '.join(message.split()))}", file=sys.stderr)
    return 1


def _usage(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"there is no use for the argument {error.unused_tokens[0]!r}; see which options there are"
    if isinstance(error, MissingArgumentError) and error.argument is not None and error.argument.parameter.name:
        name = error.argument.name.lstrip("-")
        if error.argument.index is not None:
            return f"the argument {name.upper()} is missing"
    text = " ".join(str(error).split())
    return text if text.endswith("...") else text.removesuffix(".")


def _command(arguments: Sequence[str]) -> list[str]:
    return [f"{arguments[0]} "] if arguments and arguments[0] in [c.__name__ for c in COMMANDS] else []
