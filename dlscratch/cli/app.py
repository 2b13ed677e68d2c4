"""The command line: the list of commands, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from typing import Annotated, Any

import typer

from dlscratch._version import __version__
from dlscratch.cli import charts, comparing, configs, doctor, drawing, models, replay
from dlscratch.cli.signals import Interrupted, ignore
from dlscratch.cli.streams import guard
from dlscratch.errors import DlscratchError, UsageError

LONGEST_LINE = 2000  # characters of a message: a file from a stranger may have names of megabytes
EXIT_CODES = """
Exit codes: 0 done · 1 a check found something wrong or different, or an internal error · 2 usage or config · 3 data ·
4 diverged · 5 checkpoint · 6 output could not be written · 130 Ctrl-C · 143 SIGTERM
"""


class Commands(typer.core.TyperGroup):
    """The commands. Each is made when it is used: making the options of all of them would take most of a start."""

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]
        """The command that the arguments name."""
        name = args[0]
        if name in LATE:
            self.add_command(importlib.import_module(f"dlscratch.cli.{LATE[name]}").command())
        elif name in BY_NAME:
            alone = typer.Typer(add_completion=False)
            alone.command(name, cls=CLASSES.get(name))(BY_NAME[name])
            self.add_command(typer.main.get_command(alone))
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="dlscratch",
    cls=Commands,
    help="Deep learning from scratch on NumPy: from a CSV, images or a text to a trained model.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dlscratch {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and leave.", callback=_show_version, is_eager=True)
    ] = False,
) -> None: ...


def word2vec() -> None:
    """Train word vectors on text."""


def vectors() -> None:
    """Ask word vectors, evaluate them, convert their files."""


LATE = {"word2vec": "words", "vectors": "vectors"}  # the files that have the commands
COMMANDS = (
    *(configs.init, configs.check, models.train, models.inspect, models.evaluate, models.predict),
    *(charts.plot, charts.report, drawing.explain, drawing.graph),
    *(doctor.gradcheck, doctor.doctor),
    *(comparing.verify_resume, comparing.reproduce, comparing.diff),
    *(word2vec, vectors, replay.replay, configs.schema, configs.options),
)
CLASSES = {"explain": drawing.Expression}  # of commands that read their arguments in a way of their own
BY_NAME = {command.__name__.replace("_", "-"): command for command in COMMANDS}
for name, command in BY_NAME.items():
    app.command(name, help=command.__doc__)(lambda: None)


def run() -> None:
    """Run the command line; leaves through SystemExit with the documented exit code."""
    guard()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # nobody else has a say in what a config means
    code = _exit_code()
    ignore()
    gc.freeze()  # what is left ends with the process: looking through it for garbage first takes 50 ms
    sys.exit(code)


def _exit_code() -> int:
    """Run the command; errors become messages on stderr. Whatever else comes through is a mistake of ours."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except SystemExit as end:
        return int(end.code or 0)
    except DlscratchError as error:
        return _fail(f"error: {error}", error.exit_code)
    except Interrupted as end:
        return _fail(str(end), end.exit_code)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # which even the question whether there is such a file raises
            raise
        return _fail(f"error: {error.filename}: {error.strerror}", UsageError.exit_code)
    except MemoryError:
        return _fail("error: not enough memory; try a smaller batch_size, model, vocabulary or data set", 1)
    return 0


def _fail(message: str, code: int) -> int:
    from dlscratch.pictures.text import cut, harmless

    print("\n".join(harmless(cut(line, LONGEST_LINE)) for line in message.splitlines()), file=sys.stderr)
    return code
