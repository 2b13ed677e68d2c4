"""Replay: the step of a black box once more, from the file alone; what happened in it, and what to do about it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dlscratch.errors import CheckpointError, DlscratchError
from dlscratch.runs.blackbox import BlackBox
from dlscratch.runs.folder import MACHINE, environment
from dlscratch.runs.places import black_box_at
from dlscratch.training.divergence import LOSS, Range, Story

WILD_WEIGHT = 1e3  # no initialization comes near it, and no sound training
WILD_INPUT = 1e3  # nor does any scaling


@dataclass(frozen=True)
class Replay:
    """A step that was recorded, and what happened when it was done once more here."""

    file: str
    box: BlackBox
    story: Story

    @property
    def reproduced(self) -> bool:
        """Whether it diverged again."""
        return self.story.error is not None

    @property
    def same(self) -> bool:
        """Whether it did so with the very numbers that were recorded."""
        return bool(json.loads(json.dumps(asdict(self.story))) == self.box.facts["story"])

    def kind_of(self, path: str) -> str:
        """The kind of the layer, or of the loss, that has this path."""
        return next((layer.kind for layer in self.story.layers if layer.path == path), "")

    def where(self) -> str:
        """What the first NaN or Inf is in, as a phrase: `output of <Linear> in layer 2 (linear), forward`."""
        first = self.story.first
        if first is None:
            return ""
        if first.during in ("batch", "parameters"):
            return f"{first.array}, before the step"
        place = "the loss" if first.layer == LOSS else f"layer {first.layer}"
        kind = self.kind_of(first.layer)
        by = f" of <{first.op}>" if first.op else ""
        inside = f" in {place}{f' ({kind})' if kind else ''}" if first.layer else ""
        return f"{first.array}{by}{inside}, {first.during}"

    def places(self) -> list[str]:
        """Where NaN and Inf are in the batch: `x, row 3 (row 41 of the data), column 2 "height": nan`."""
        return [self._place(*place) for place in self.story.places]

    def _place(self, array: str, index: tuple[int, ...], value: str) -> str:
        row, *column = index
        text = f"{array}, row {row + 1}"
        if row < len(self.box.rows):
            text += f" (row {int(self.box.rows[row]) + 1} of the data)"
        columns = self.box.facts["columns"]
        if len(column) == 1:
            text += f", column {column[0] + 1}"
            text += f' "{columns[column[0]]}"' if array == "x" and column[0] < len(columns) else ""
        elif column:
            text += f", at {column} (from 0)"
        return f"{text}: {value}"

    def differences(self) -> list[str]:
        """What is other here than where the black box was written."""
        here, there = environment(), self.box.facts["environment"]
        other = (name for name in MACHINE if there.get(name) != here[name])
        return [f"{name}: {there.get(name)} there, {here[name]} here" for name in other]

    def advice(self) -> list[str]:
        """What to do about it, the likeliest first."""
        return list(_advice(self.story, self.box)) if self.reproduced else []

    def document(self) -> dict[str, Any]:
        """All of it as JSON."""
        names = ("epoch", "batch", "batches", "step", "lr", "seed")
        facts = {**{name: self.box.facts[name] for name in names}, "rows": (self.box.rows + 1).tolist()}
        recorded = {"error": self.box.facts["error"], "first": self.box.facts["story"].get("first")}
        own = {"file": self.file, "reproduced": self.reproduced, "same": self.same, **facts}
        found = {"where": self.where(), "bad_values": self.places(), "advice": self.advice()}
        return {**own, "recorded": recorded, "differences": self.differences(), **found, **asdict(self.story)}


def replay(path: str | os.PathLike[str]) -> Replay:
    """Do the step of a black box, or of the one in a run's folder, once more.

    CheckpointError: the file is damaged, or something else. UsageError: the run did not diverge.
    """
    path = black_box_at(Path(path))
    box = BlackBox.load(path)
    try:
        return Replay(os.fspath(path), box, box.rerun())
    except (DlscratchError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its step cannot be done: {error}") from error


def _advice(story: Story, box: BlackBox) -> Iterator[str]:
    first = story.first
    if first is None:
        return
    if first.during == "batch":
        yield "correct, scale or leave out these rows of the data: no training can go on with them"
        return
    if first.during == "parameters":
        yield f"the update before this step made {first.array} infinite; {_slower(box)}"
        return
    name = max(story.parameters, key=lambda name: _largest(story.parameters[name]))
    grown = _largest(story.parameters[name])
    if _largest(story.x) > WILD_INPUT:
        yield f"the inputs go up to {_largest(story.x):.3g}; scale them (data.preprocessing: {{scale: standard}})"
    if grown > WILD_WEIGHT:
        yield f"the updates before this step had driven {name} up to {grown:.3g}; {_slower(box)}"
    elif first.layer == LOSS:
        yield "the model's outputs are finite and their loss is not; look at the targets and at the options of the loss"
    else:
        yield f"what the layers compute grows too large for float32, which ends at 3.4e38; {_slower(box)}"


def _slower(box: BlackBox) -> str:
    """Smaller steps, as the options that make them."""
    config: Mapping[str, Any] = box.facts["config"]
    kinds = list(config.get("optimizer") or ["KIND"])
    lr = f"--set optimizer.{kinds[0]}.lr={min(box.facts['lr'], 1.0) / 10:.2g}"
    return f"train with a smaller lr ({lr}), a warmup of the schedule, or --set training.clip_norm=1"


def _largest(found: Range) -> float:
    """The largest absolute value that is finite."""
    return max(abs(found.min or 0.0), abs(found.max or 0.0))
