"""What `vectors evaluate` found, as tables and as a document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dlscratch.cli.console import Console, number
from dlscratch.word2vec.evaluate import Analogies, Score, Similarity


def similarity(console: Console, found: Similarity) -> None:
    """Spearman's correlation with its interval, the pairs used, the words that are unknown."""
    interval = "" if found.low is None else f"{found.low:.3f} to {found.high:.3f}"
    rows = [
        ("pairs used", f"{found.used:,} of {found.pairs:,}"),
        ("Spearman", _figure(found.spearman)),
        ("95% interval", interval),
        ("Pearson", _figure(found.pearson)),
        ("unknown words", f"{len(found.unknown_words):,}"),
    ]
    console.table((found.path, ""), rows)


def analogies(console: Console, found: Analogies) -> None:
    """The share of right answers by section, semantic, syntactic and in all."""
    console.say(f"{found.path}: among the first {found.restrict_vocab:,} words, by {found.method}")
    console.table(("section", "used", "right", "accuracy"), map(_row, _scores(found)))


def document(file: Path, pairs: Sequence[Similarity], questions: Sequence[Analogies]) -> dict[str, Any]:
    """All of it, fit for JSON."""
    tests = [{**asdict(found), "unknown_words": list(found.unknown_words)} for found in pairs]
    return {"vectors": str(file), "similarity": tests, "analogies": list(map(_analogies, questions))}


def _analogies(found: Analogies) -> dict[str, Any]:
    parts = {name: getattr(found, name) for name in ("total", "semantic", "syntactic")}
    return {
        **{name: getattr(found, name) for name in ("path", "method", "restrict_vocab")},
        "sections": list(map(_score, found.sections)),
        **{name: None if part is None else _score(part) for name, part in parts.items()},
    }


def _scores(found: Analogies) -> list[Score]:
    return [*found.sections, *(part for part in (found.semantic, found.syntactic) if part is not None), found.total]


def _score(score: Score) -> dict[str, Any]:
    return {**asdict(score), "accuracy": score.accuracy}


def _row(score: Score) -> tuple[str, str, str, str]:
    share = "" if score.accuracy is None else f"{score.accuracy:.1%}"
    return score.name, f"{score.used:,} of {score.questions:,}", number(score.correct), share


def _figure(value: float | None) -> str:
    return "undefined: all equal" if value is None else f"{value:.4f}"
