"""The command line: the list of commands, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dlscratch._version import __version__
from dlscratch.cli import configs, models
from dlscratch.cli.signals import Interrupted, ignore
from dlscratch.cli.streams import guard
from dlscratch.errors import DlscratchError

EXIT_CODES = """
Exit codes: 0 done · 1 internal error · 2 usage or config · 3 data · 4 diverged · 5 checkpoint ·
6 output could not be written · 130 Ctrl-C · 143 SIGTERM
"""

app = typer.Typer(
    name="dlscratch",
    help="Deep learning from scratch on NumPy: from a CSV, images or a text to a trained model.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
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


COMMANDS = (
    *(configs.init, configs.check, models.train, models.inspect, models.evaluate, models.predict),
    *(configs.schema, configs.options),
)
for command in COMMANDS:
    app.command()(command)


def run() -> None:
    """Run the command line; leaves through SystemExit with the documented exit code."""
    guard()
    code = _exit_code()
    ignore()
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
    except MemoryError:
        return _fail("error: not enough memory; try a smaller training.batch_size, model or data set", 1)
    return 0


def _fail(message: str, code: int) -> int:
    from dlscratch.cli.console import harmless

    print("\n".join(map(harmless, message.splitlines())), file=sys.stderr)
    return code
