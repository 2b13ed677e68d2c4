"""Documents from a file, such as a checkpoint's metadata: every field is what it must be before any is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlscratch.errors import CheckpointError, did_you_mean
from dlscratch.nn.options import fits, options_of

LONGEST = 60  # characters of a value in a message


def check_fields(
    document: Any, what: str, needed: Mapping[str, Any], optional: Mapping[str, Any] | None = None
) -> None:
    """CheckpointError unless a document is a mapping whose fields have the JSON-like types that their hints name."""
    if not isinstance(document, dict):
        raise CheckpointError(f"{what}: expected a mapping, got {shown(document)}")
    for name, hint in {**needed, **(optional or {})}.items():
        if name not in document and name in needed:
            raise CheckpointError(f"{what}: there is no {name}")
        if name in document and not fits(document[name], hint):
            raise CheckpointError(f"{what}: {name} is {shown(document[name])}; expected {_words(hint)}")


def check_kind(registry: Mapping[str, Any], document: Any, what: str) -> None:
    """CheckpointError unless a document is `{kind: {option: value}}`, of a kind and with options of their types."""
    if not isinstance(document, dict) or len(document) != 1:
        raise CheckpointError(f"{what}: expected a mapping of one kind to its options, got {shown(document)}")
    [(kind, options)] = document.items()
    if kind not in registry:
        raise CheckpointError(f"{what}: there is no {shown(kind)}{did_you_mean(kind, registry)}")
    known = options_of(registry[kind])
    check_fields(options, f"{what}: {kind}", {}, {name: hint for name, (hint, _) in known.items()})
    if unknown := options.keys() - known.keys():
        raise CheckpointError(f"{what}: {kind} has no option {shown(min(unknown))}")


def shown(value: Any) -> str:
    """A value in a message, which a file must not make long."""
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    if isinstance(value, int) and abs(value) >= 10**LONGEST:
        return f"a number of more than {LONGEST} digits"
    text = repr(value[: LONGEST + 1] if isinstance(value, str) else value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _words(hint: Any) -> str:
    return str(getattr(hint, "__name__", hint) if isinstance(hint, type) else hint).replace("typing.", "")
