"""The command `vectors map`: a page, picture or table of where words lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dlscratch.cli.options import Json, Quiet
from dlscratch.pictures.colours import COLOURS
from dlscratch.pictures.text import file_size

if TYPE_CHECKING:
    from dlscratch.cli.console import Console
    from dlscratch.pictures.embedding_map import EmbeddingMap

SHOWN = 10


def map_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Word vectors, in any format that export writes.")],
    other: Annotated[
        Path | None, typer.Argument(metavar="AFTER", help="The same words later: the map shows what moved.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A page (.html), a picture (.png .svg) or the data (.json .csv).")
    ] = Path("map.html"),
    method: Annotated[
        Literal["pca", "tsne", "umap"], typer.Option(help="The projection; tsne and umap need the extra `map`.")
    ] = "pca",
    words: Annotated[int, typer.Option(min=2, max=50_000, help="At most so many, the first of the file.")] = 50_000,
    clusters: Annotated[
        int, typer.Option(min=1, max=len(COLOURS), help="Groups, each with a colour.")
    ] = len(COLOURS),
    seed: Annotated[int, typer.Option(min=0, help="Of clusters, t-SNE and UMAP.")] = 0,
    read_as: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="FILE's format, where its ending does not tell.")
    ] = None,
    errors: Annotated[
        Literal["strict", "replace"], typer.Option(help="Words that are not UTF-8: refuse, or put U+FFFD.")
    ] = "strict",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw the words in the plane: an offline page to search and zoom, a picture, or the data."""
    from dlscratch.cli.console import Console
    from dlscratch.cli.outputs import check_output, write_output
    from dlscratch.pictures.embedding_map import ENDINGS, map_changes, map_words
    from dlscratch.runs.places import vectors_at
    from dlscratch.word2vec.vectors import WordVectors

    console = Console(json=json, quiet=quiet)
    files = [vectors_at(path) for path in (file, other) if path is not None]
    ending = check_output(out, ENDINGS, files)
    tables = [WordVectors.load(path, read_as, errors) for path in files]
    options: Any = {"title": " → ".join(map(_name, files)), "method": method}
    options |= {"words": words, "clusters": clusters, "seed": seed}
    if method != "pca":
        console.say(f"{method} of many words takes minutes; a bar shows how far it is on a terminal")
    with _progress(console) as tell:
        shown = (map_words if other is None else map_changes)(*tables, **options, tell=tell)
        content = shown.content(ending, tell)
    _show(console, shown, out, write_output(out, content))


def _name(path: Path) -> str:
    """What a map is called: `glove.txt`, or `kjv` for runs/kjv/vectors.npz."""
    from dlscratch.runs.folder import VECTORS

    return path.resolve().parent.name if path.name == VECTORS else path.name


def _show(console: Console, shown: EmbeddingMap, out: Path, size: int) -> None:
    moved = [
        {"word": shown.vectors.words[row], "cosine": float(shown.cosines[row])}
        for row in shown.moved[:SHOWN]
        if shown.cosines is not None
    ]
    if moved and shown.stayed:
        console.say("no word has moved: but for a turn of all of them, the vectors are the same")
    elif moved:
        console.table(("moved most", "cosine"), [(each["word"], f"{each['cosine']:.4f}") for each in moved])
    console.say(f"{len(shown.vectors):,} of {shown.total:,} words; {', '.join(shown.layout.axes)}")
    console.say(f"{out} ({file_size(size)})", style="bold")
    words, dim = shown.vectors.vectors.shape
    what = {"method": shown.method, "axes": shown.layout.axes, "clusters": shown.cluster_names, "moved": moved}
    console.result({"out": str(out), "bytes": size, "words": words, "dim": dim, **what})


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str, float | None], None]]:
    """What is being done, and a bar where it is known how much is left, while a person is watching.

    Inside, a signal ends the process at once: nothing is lost.
    """
    if not console.is_terminal or console.quiet:
        yield lambda phase, share: None
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

    from dlscratch.cli.bars import Bar
    from dlscratch.cli.signals import leaving

    columns = (BarColumn(bar_width=24), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bar(*columns, console=console.rich, transient=True) as bar, leaving(bar.stop):
        task = bar.add_task("", total=None)
        yield lambda phase, share: bar.update(task, description=phase, completed=share or 0, total=share and 1)
