"""The config that a run stores: its paths as seen from the run's folder, and what may differ in a later one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

NEUTRAL = (  # what cannot change a result
    *("name", "training.threads"),
    *("training.checkpoint_every.steps", "training.checkpoint_every.minutes"),
)
MAY_CHANGE = (*NEUTRAL, "training.epochs", "training.time_limit")  # when a run goes on
PATHS = ("path", "images", "labels")  # reader options that name files


def rebased(config: Mapping[str, Any], base: Path, folder: Path) -> dict[str, Any]:
    """The config with relative paths, which start at `base`, as seen from the run's folder."""
    return with_paths(config, lambda path: rebased_path(path, base, folder))


def rebased_path(path: str, base: Path, folder: Path) -> str:
    """A path that starts at `base`, as seen from a folder."""
    if os.path.isabs(path) or path.startswith("~"):
        return path
    return os.path.relpath(os.path.realpath(base / path), os.path.realpath(folder))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One line for each value that differs, but for those that may: lengths of the run, and where the data lie."""
    before, after = (dict(leaves(without_paths(config))) for config in (old, new))
    return [
        f"{key}: {before.get(key, 'not set')} in the run, {after.get(key, 'not set')} now"
        for key in {**before, **after}
        if before.get(key) != after.get(key) and key not in MAY_CHANGE
    ]


def with_paths(config: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """The config with every path in it changed."""

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(item) for item in value]
        return value if value is None else change(value)

    def reader(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {key: changed(inner) if key in PATHS else reader(inner) for key, inner in value.items()}

    initial = {name: change(path) for name, path in config.get("initial", {}).items()}
    return {**config, "data": reader(config["data"]), **({"initial": initial} if initial else {})}


def without_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config but for where the data lie."""
    return with_paths(config, lambda path: "")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a config by dotted path; what holds none, such as the options of a relu, is a value itself."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{index}]")
    elif path:
        yield path, value
