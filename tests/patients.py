"""Experiments for the doctor: configs that ship, healthy or with their data made sick, and what is found of them."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable
from pathlib import Path

from shipped import ROOT

from dlscratch.checks import Finding, doctor
from dlscratch.config.build import Experiment, build

CONFIGS = ROOT / "configs"

Change = Callable[[list[dict[str, str]]], list[dict[str, str]]]


def findings(experiment: Experiment) -> dict[str, Finding]:
    """What the doctor finds, by the name of the check."""
    return {finding.check: finding for finding in doctor(experiment)}


def sick(folder: Path, name: str, change: Change, *overrides: str) -> Experiment:
    """An example's config with its data changed."""
    text = (CONFIGS / f"{name}.yaml").read_text()
    found = re.search(r"\.\./data/(\S+)", text)
    assert found is not None
    source = ROOT / "data" / found[1]
    with gzip.open(source, "rt") if source.suffix == ".gz" else open(source) as file:
        table = change(list(csv.DictReader(file)))
    with open(folder / "sick.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    (folder / "sick.yaml").write_text(text.replace(found[0], "sick.csv"))
    return build(folder / "sick.yaml", overrides)
