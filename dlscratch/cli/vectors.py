"""The commands that use word vectors: nearest, analogy, similarity, odd-one-out, evaluate, export, map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dlscratch.cli.maps import map_
from dlscratch.cli.options import Json, Quiet
from dlscratch.errors import UsageError

if TYPE_CHECKING:
    from dlscratch.cli.console import Console
    from dlscratch.word2vec.vectors import Neighbour, WordVectors

app = typer.Typer(
    name="vectors",
    help="Ask word vectors, evaluate them, convert their files.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

VectorsFile = Annotated[Path, typer.Argument(metavar="FILE", help="Word vectors, in any format that export writes.")]
ReadAs = Annotated[
    str | None, typer.Option("--from", metavar="FORMAT", help="FILE's format, where its ending does not tell.")
]
Errors = Annotated[
    Literal["strict", "replace"], typer.Option(help="Words that are not UTF-8: refuse, or put U+FFFD.")
]
Top = Annotated[int, typer.Option(min=1, help="How many words.")]
Method = Annotated[Literal["3cosadd", "3cosmul"], typer.Option(help="Add cosines, or multiply them.")]
Queries = Annotated[Path | None, typer.Option(metavar="FILE", help="A file of queries, one a line.")]


@app.command()
def nearest(
    file: VectorsFile,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="WORD...", help="One word, or a sum: king - man + woman.")
    ] = None,
    top: Top = 10,
    queries: Queries = None,
    read_as: ReadAs = None,
    errors: Errors = "strict",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The words that are most like a word, or like a sum of words. A sign stands alone, for the word behind it."""
    from dlscratch.word2vec.queries import parse_sum

    console, vectors = _open(file, read_as, errors, json, quiet)
    asked = _asked(vectors, parse_sum, words, queries)
    answers = vectors.nearest_batch(asked, top)
    documents = [{"positive": plus, "negative": minus} for plus, minus in asked]
    names = [" ".join([*plus, *(f"- {word}" for word in minus)]) for plus, minus in asked]
    _show_answers(console, {"vectors": str(file)}, names, documents, answers, batch=queries is not None)


@app.command()
def analogy(
    file: VectorsFile,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="A B C", help="A is to B as C is to what: man king woman.")
    ] = None,
    method: Method = "3cosadd",
    top: Top = 10,
    queries: Queries = None,
    read_as: ReadAs = None,
    errors: Errors = "strict",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What is to C as B is to A."""
    from dlscratch.word2vec.queries import parse_question

    console, vectors = _open(file, read_as, errors, json, quiet)
    asked = _asked(vectors, parse_question, words, queries)
    answers = vectors.analogy_batch(asked, top, method)
    documents = [{"a": a, "b": b, "c": c} for a, b, c in asked]
    head = {"vectors": str(file), "method": method}
    _show_answers(console, head, list(map(" ".join, asked)), documents, answers, batch=queries is not None)


@app.command()
def similarity(
    file: VectorsFile,
    a: Annotated[str, typer.Argument(metavar="A", help="A word.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    read_as: ReadAs = None,
    errors: Errors = "strict",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The cosine between two words."""
    console, vectors = _open(file, read_as, errors, json, quiet)
    cosine = vectors.similarity(a, b)
    _show(console, (), [(f"{cosine:.4f}",)])
    console.result({"vectors": str(file), "a": a, "b": b, "similarity": cosine})


@app.command()
def odd_one_out(
    file: VectorsFile,
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="Three words or more.")],
    read_as: ReadAs = None,
    errors: Errors = "strict",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The word that is least like the others."""
    console, vectors = _open(file, read_as, errors, json, quiet)
    odd = vectors.odd_one_out(words)
    _show(console, (), [(odd,)])
    console.result({"vectors": str(file), "words": words, "odd_one_out": odd})


@app.command()
def evaluate(
    file: VectorsFile,
    similarity: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Lines of two words and people's score. Repeatable.")
    ] = None,
    analogies: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Lines of four words, sections after `:`. Repeatable.")
    ] = None,
    restrict_vocab: Annotated[
        int | None, typer.Option(min=1, help="Only the first words count; 30000 for analogies when left out.")
    ] = None,
    method: Method = "3cosadd",
    case_sensitive: Annotated[bool, typer.Option("--case-sensitive", help="Compare words as they are.")] = False,
    read_as: ReadAs = None,
    errors: Errors = "strict",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """How well cosines rank pairs of words as people do, and how many analogies come out right."""
    from dlscratch.cli import vectors_shown
    from dlscratch.word2vec.evaluate import evaluate_analogies, evaluate_similarity

    if not similarity and not analogies:
        raise UsageError("name what to evaluate on: --similarity PAIRS, such as wordsim353.tsv, --analogies FILE")
    console, vectors = _open(file, read_as, errors, json, quiet)
    options: dict[str, Any] = {"case_sensitive": case_sensitive}
    pairs = [evaluate_similarity(vectors, path, restrict_vocab=restrict_vocab, **options) for path in similarity or ()]
    options |= {"method": method, **({} if restrict_vocab is None else {"restrict_vocab": restrict_vocab})}
    questions = [evaluate_analogies(vectors, path, **options) for path in analogies or ()]
    for found in pairs:
        vectors_shown.similarity(console, found)
    for each in questions:
        vectors_shown.analogies(console, each)
    console.result(vectors_shown.document(file, pairs, questions))


@app.command()
def export(
    file: VectorsFile,
    to: Annotated[str, typer.Option(metavar="OUT", help="The file to write; for TensorBoard a folder, ending in /.")],
    format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT", help="npz, word2vec, word2vec-binary, glove, projector or npy; else OUT's ending tells."
        ),
    ] = None,
    read_as: ReadAs = None,
    errors: Errors = "strict",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write vectors in another format, from any format: `export vectors.bin --to vectors.npz` imports."""
    from dlscratch.cli.outputs import check_output
    from dlscratch.cli.signals import whole
    from dlscratch.word2vec.formats import FORMATS, format_of

    name = format_of(to, format)
    check_output(Path(to), inputs=[file])
    console, vectors = _open(file, read_as, errors, json, quiet)
    with whole():
        vectors.save(to, name)
    lost = FORMATS[name].loses(vectors.table())
    console.say(f"{len(vectors):,} words, {vectors.vectors.shape[1]} numbers each, in {to} ({FORMATS[name].about})")
    if lost:
        console.warn(f"{' and '.join(lost)} are not in it: the format {name} has no place for them")
    shape = dict(zip(("words", "dim"), vectors.vectors.shape, strict=True))
    console.result({"vectors": str(file), "to": to, "format": name, **shape, "lost": lost})


app.command("map")(map_)


def _open(
    file: Path, read_as: str | None, errors: Literal["strict", "replace"], json: bool, quiet: bool
) -> tuple[Console, WordVectors]:
    from dlscratch.cli.console import Console
    from dlscratch.runs.places import vectors_at
    from dlscratch.word2vec.vectors import WordVectors

    return Console(json=json, quiet=quiet), WordVectors.load(vectors_at(file), read_as, errors)


def _asked(vectors: WordVectors, parse: Any, words: list[str] | None, queries: Path | None) -> list[Any]:
    """The one query on the command line, or all of a file."""
    from dlscratch.word2vec.queries import read_queries

    if (queries is None) == (not words):
        raise UsageError("name words, or a file of queries with --queries: one of the two")
    return [parse(words)] if queries is None else read_queries(queries, parse, vectors)


def _show_answers(
    console: Console,
    head: dict[str, Any],
    names: Sequence[str],
    documents: Sequence[dict[str, Any]],
    answers: Sequence[Sequence[Neighbour]],
    *,
    batch: bool,
) -> None:
    """The words and their scores; for a file of queries the query beside each."""
    pairs = zip(names, answers, strict=True)
    lines = [(name, each.word, f"{each.score:.4f}") for name, answer in pairs for each in answer]
    _show(console, ("query", "word", "score")[not batch :], [line[not batch :] for line in lines])
    both = zip(documents, answers, strict=True)
    found = [{**query, "nearest": [each._asdict() for each in answer]} for query, answer in both]
    console.result({**head, "answers": found} if batch else {**head, **found[0]})


def _show(console: Console, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table for a person; with --quiet the result alone, cells between tabs, for other programs."""
    from dlscratch.pictures.text import harmless

    if columns and not console.quiet:
        console.table(columns, rows, left=len(columns) - 1)
    elif not console.json:
        console.write("".join("\t".join(map(harmless, row)) + "\n" for row in rows))


def command() -> Any:
    """The group with all of its commands."""
    return typer.main.get_command(app)
