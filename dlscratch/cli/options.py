"""Options and arguments that several commands share, each described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; everything else on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors and results.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Override a value, such as training.epochs=30. Repeatable."),
]
ConfigFile = Annotated[str, typer.Argument(metavar="CONFIG", help="A YAML config; - for stdin.")]
ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="A model that train saved, such as best.npz.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where the data files lie, when the run's config.yaml is not beside the model."),
]
