"""The commands that draw computations: explain an expression, and show the graph of a model."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dlscratch.cli.options import Json, Overrides, Quiet
from dlscratch.errors import DataError, UsageError

if TYPE_CHECKING:
    from dlscratch.cli.console import Console
    from dlscratch.nn import Sequential
    from dlscratch.pictures.explain import Explanation
    from dlscratch.pictures.graph import Graph

MINUS = re.compile(r"-[^-]")
ENDINGS = (".svg", ".html", ".dot", ".json", ".txt")


class Expression(typer.core.TyperCommand):
    """A command whose argument may begin with a minus, as options do."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """UsageError that says how to write an expression that would be taken for an option."""
        options = {option: getattr(each, "is_flag", False) for each in self.get_params(ctx) for option in each.opts}
        for before, arg in pairwise(["", *args]):
            if arg == "--":
                break
            if MINUS.match(arg) and arg not in {*options, "-h"} and options.get(before, True):  # no value of an option
                raise UsageError(f'{arg} begins as an option does; write -- before it: dlscratch explain -- "{arg}"')
        return super().parse_args(ctx, args)


def explain(
    expression: Annotated[
        str, typer.Argument(metavar="EXPRESSION", help='Ops on names and numbers, such as "(x + y) * z".')
    ],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="The values: x=-2, w=[[1,2],[3,4]].")
    ] = None,
    constant: Annotated[
        list[str] | None, typer.Option("--constant", metavar="NAME", help="Give it no gradient. Repeatable.")
    ] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw it, too.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the forward values of an expression, and its gradients step by step, with the numbers.

    + - * / ** @, subscripts and every op by name: softmax(x, axis=0), sum(x), conv2d(x, w). Where the expression begins
    with a minus, write -- before it.
    """
    from dlscratch.cli.console import Console
    from dlscratch.cli.outputs import check_output, write_output
    from dlscratch.pictures.explain import explained
    from dlscratch.pictures.expression import evaluate
    from dlscratch.pictures.syntax import assignments

    check_output(svg, (".svg",))
    console = Console(json=json, quiet=quiet and (json or svg is not None))  # else the text is the result
    explanation = explained(evaluate(expression, assignments(values or []), constant or ()))
    if svg is not None:
        from dlscratch.pictures.explain_svg import explain_svg

        write_output(svg, explain_svg(explanation))
    _show_explanation(console, explanation)
    if svg is not None:
        console.say(f"drawn in {svg}", style="bold")
    console.result(explanation.document())


def _show_explanation(console: Console, explanation: Explanation) -> None:
    console.say("forward", style="bold")
    console.tree(explanation.forward())
    console.say("\nbackward (g is the gradient that has come in)", style="bold")
    steps = explanation.backward()
    for step in steps:
        console.tree(step)
    if not steps:
        console.say("nothing here has a gradient")
    console.say("\ngradients", style="bold")
    for line in explanation.summary():
        console.say(line)


def graph(
    model: Annotated[str, typer.Argument(metavar="CONFIG|MODEL", help="A YAML config, a model or a run's folder.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="A .svg .html .dot .json or .txt file; text when left out."),
    ] = None,
    direction: Annotated[Literal["down", "right"], typer.Option("--direction", help="Where the layers go.")] = "down",
    depth: Annotated[
        int | None, typer.Option("--depth", min=0, help="Open so many levels of containers; all when left out.")
    ] = None,
    ops: Annotated[bool, typer.Option("--ops", help="Show the ops of each layer.")] = False,
    input_shape: Annotated[
        str | None,
        typer.Option("--input-shape", metavar="SIZES", help="Of one example, such as 1,28,28: needs no data."),
    ] = None,
    overrides: Overrides = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the graph of a model: layers with shapes and parameters, as text or as a picture."""
    from dlscratch.cli.console import Console
    from dlscratch.cli.outputs import check_output, write_output
    from dlscratch.pictures.graph import model_graph
    from dlscratch.runs.places import model_at

    model = str(model_at(Path(model)))
    ending = check_output(out, ENDINGS, [Path(model)])
    console = Console(json=json, quiet=quiet and (json or out is not None))  # else the text is the result
    title, network = _network(model, input_shape, overrides)
    found = model_graph(network, title, ops=ops)
    if ending != ".html":  # a page unfolds by itself
        found = found.folded(depth)
    if out is None:
        console.tree(found.branch())
    else:
        write_output(out, _content(found, ending, direction))
        console.say(f"{found.summary}; drawn in {out}")
    console.result(found.document())


def _network(model: str, input_shape: str | None, overrides: list[str] | None) -> tuple[str, Sequential]:
    """The name and the network of a saved model, or of a config: for its data, or for examples of a given shape."""
    title = Path(model).stem if model != "-" else "model"
    if model.endswith(".npz"):
        from dlscratch.runs import TrainedModel

        if input_shape or overrides:
            raise UsageError("--input-shape and --set are for configs; a saved model has its shapes")
        trained = TrainedModel.load(model)
        return trained.facts.get("config", {}).get("name") or title, trained.network
    from dlscratch.config.build import build, untrained

    if input_shape is None:
        try:
            return title, build(model, overrides or ()).model
        except DataError as error:
            raise DataError(f"{error}; --input-shape draws the graph without data") from error
    try:
        shape = tuple(int(size) for size in input_shape.replace("x", ",").split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise UsageError(f"--input-shape {input_shape}: expected sizes above 0, such as 1,28,28")
    return title, untrained(model, shape, overrides or ())


def _content(graph: Graph, ending: str, direction: Literal["down", "right"]) -> str | bytes:
    """What a file with this ending holds."""
    if ending == ".html":
        from dlscratch.pictures.graph_page import graph_page

        return graph_page(graph, direction)
    if ending == ".svg":
        from dlscratch.pictures.graph_svg import graph_svg

        return graph_svg(graph, direction)
    if ending == ".dot":
        return graph.dot(direction)
    if ending == ".json":
        import json

        return json.dumps(graph.document(), ensure_ascii=False, indent=2) + "\n"
    return graph.branch().text() + "\n"
