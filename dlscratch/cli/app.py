"""The command line: the list of commands, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from dlscratch._version import __version__
from dlscratch.cli import configs, models
from dlscratch.cli.signals import Terminated, terminate_at_once
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


for command in (configs.init, configs.check, models.train, models.inspect, models.evaluate, models.predict, configs.schema, configs.options):
    app.command()(command)


def run() -> None:
    """Run the command line; leaves through SystemExit with the documented exit code."""
    terminate_at_once()
    try:
        app()
    except DlscratchError as error:
        _fail(f"error: {error}", error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except Terminated:
        _fail("terminated", 143)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads: the last flush must not fail
        sys.exit(0)
    except MemoryError:
        _fail("error: not enough memory; try a smaller training.batch_size, model or data set", 1)


def _fail(message: str, code: int) -> None:
    from dlscratch.cli.console import harmless

    lines = (harmless(line) for line in message.splitlines())
    print("\n".join(lines), file=sys.stderr)
    sys.exit(code)
