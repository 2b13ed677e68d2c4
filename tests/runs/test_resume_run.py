"""A run that is interrupted anywhere, any number of times, and resumed ends with the bits of one that was not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import FLOWERS, arrays_of, flowers, metrics_of, project, train, train_until

from dlscratch import checkpoint
from dlscratch.config.build import build
from dlscratch.errors import CheckpointError, DataError, UsageError
from dlscratch.runs import Run

MORE = """\
schedule: {cosine: {warmup: 3, unit: step}}
"""
CONFIG = FLOWERS.replace("epochs: 3, batch_size: 7", "epochs: 4, batch_size: 7, early_stopping: {patience: 9}") + MORE
STEPS = 20  # 33 training rows: 5 batches an epoch, the last one smaller


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run without an interruption."""
    folder = tmp_path_factory.mktemp("whole")
    train(project(folder, CONFIG), folder / "run")
    return folder / "run"


def resumed(config: Path, folder: Path, *overrides: str) -> dict:
    run = Run.resume(build(config, overrides), folder)
    for _ in run.train():
        pass
    return run.finish()


def assert_same(folder: Path, whole: Path) -> None:
    for name in ("best.npz", "last.npz"):
        assert arrays_of(folder / name) == arrays_of(whole / name)
    assert (folder / "best.npz").read_bytes() == (whole / "best.npz").read_bytes()
    assert metrics_of(folder) == metrics_of(whole)
    results = [json.loads((each / "run.json").read_text())["result"] for each in (folder, whole)]
    assert results[0] == results[1]


@pytest.mark.parametrize("step", [1, 3, 5, 6, 10, 14, 19, 20])
def test_interrupted_once(tmp_path: Path, whole: Path, step: int) -> None:
    config = project(tmp_path, CONFIG)
    train_until(Run.start(build(config), tmp_path / "run"), step)
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["status"] == "interrupted"
    resumed(config, tmp_path / "run")
    assert_same(tmp_path / "run", whole)
    again = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (again["status"], again["started"], len(again["resumed"])) == ("finished", facts["started"], 1)


def test_interrupted_again_and_again(tmp_path: Path, whole: Path) -> None:
    config = project(tmp_path, CONFIG)
    stops = sorted(np.random.default_rng(0).choice(np.arange(1, STEPS), 6, replace=False).tolist())
    train_until(Run.start(build(config), tmp_path / "run"), stops[0])
    for step in stops[1:]:
        train_until(Run.resume(build(config), tmp_path / "run"), step)
    resumed(config, tmp_path / "run")
    assert_same(tmp_path / "run", whole)


def test_last_npz_remembers_its_last_epoch_through_two_interruptions(tmp_path: Path) -> None:
    config = project(tmp_path, CONFIG)
    train_until(Run.start(build(config), tmp_path / "run"), 7)
    before = checkpoint.load(tmp_path / "run" / "last.npz")[1]["training"]
    train_until(Run.resume(build(config), tmp_path / "run"), 8)
    assert before == checkpoint.load(tmp_path / "run" / "last.npz")[1]["training"]
    assert before["epoch"] == 1


def test_killed_between_the_files(tmp_path: Path, whole: Path) -> None:
    """best.npz may be ahead of last.npz, which is written after it, and metrics.jsonl behind."""
    config = project(tmp_path, CONFIG)
    train_until(Run.start(build(config), tmp_path / "run"), 7)
    last = (tmp_path / "run" / "last.npz").read_bytes()
    train_until(Run.resume(build(config), tmp_path / "run"), 18)
    (tmp_path / "run" / "last.npz").write_bytes(last)
    resumed(config, tmp_path / "run")
    assert_same(tmp_path / "run", whole)


def test_a_finished_run_has_nothing_left(tmp_path: Path, whole: Path) -> None:
    config = project(tmp_path, CONFIG)
    first = train(config, tmp_path / "run")
    run = Run.resume(build(config), tmp_path / "run")
    assert list(run.train()) == []
    assert run.finish() == first
    assert_same(tmp_path / "run", whole)


def test_resuming_a_finished_run_changes_no_file(tmp_path: Path) -> None:
    config = project(tmp_path, CONFIG)
    train(config, tmp_path / "run")
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir() if not file.name.startswith(".")}
    resumed(config, tmp_path / "run")
    after = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir() if not file.name.startswith(".")}
    assert after == before


def test_the_runs_own_config_resumes_it(tmp_path: Path, whole: Path) -> None:
    config = project(tmp_path, CONFIG)
    train_until(Run.start(build(config), tmp_path / "run"), 8)
    resumed(tmp_path / "run" / "config.yaml", tmp_path / "run")
    for name in ("best.npz", "last.npz"):
        assert arrays_of(tmp_path / "run" / name) == arrays_of(whole / name)


def test_epochs_may_be_raised(tmp_path: Path) -> None:
    """Without a schedule, two epochs and then two more are four."""
    config = project(tmp_path, CONFIG.removesuffix(MORE))
    train(config, tmp_path / "long")
    train(config, tmp_path / "run", "training.epochs=2")
    assert resumed(config, tmp_path / "run")["epochs"] == 4
    assert_same(tmp_path / "run", tmp_path / "long")
    assert "epochs: 4" in (tmp_path / "run" / "config.yaml").read_text()


def test_another_config_or_other_data_is_refused(tmp_path: Path) -> None:
    config = project(tmp_path)
    train_until(Run.start(build(config), tmp_path / "run"), 2)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(UsageError) as caught:
        Run.resume(build(config, ["seed=2", "optimizer.adam.lr=1"]), tmp_path / "run")
    assert str(caught.value).splitlines()[1:] == [
        "  seed: 1 in the run, 2 now",
        "  optimizer.adam.lr: 0.01 in the run, 1.0 now",
    ]
    with pytest.raises(UsageError, match=r"model\[2\]\.relu: \{\} in the run, not set now"):
        Run.resume(build(config, ["model[2]=tanh"]), tmp_path / "run")
    (tmp_path / "flowers.csv").write_text(flowers(seed=9))
    with pytest.raises(DataError, match="the data files are not those that the run began with"):
        Run.resume(build(config), tmp_path / "run")
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    config = project(tmp_path)
    with pytest.raises(UsageError, match="nothing to resume; start the run without --resume"):
        Run.resume(build(config), tmp_path / "run")
    train(config, tmp_path / "run")
    (tmp_path / "run" / "last.npz").unlink()
    for facts in ({"status": "finished"}, {"data": {}}, {"data": {"rows": {"train": 3}}}):
        old = json.loads((tmp_path / "run" / "run.json").read_text())
        (tmp_path / "run" / "run.json").write_text(json.dumps({**old, "status": "running", **facts}))
        with pytest.raises(UsageError, match="nothing to resume; start anew with --force"):
            Run.resume(build(config), tmp_path / "run")


def test_killed_before_the_first_save_it_begins_anew(tmp_path: Path, whole: Path) -> None:
    config = project(tmp_path, CONFIG)
    Run.start(build(config), tmp_path / "run")
    (tmp_path / "run" / ".best.npz.0123abcd.tmp").write_bytes(b"half")
    (tmp_path / "run" / "metrics.jsonl").write_bytes(b'{"epoch": 1, "loss": 7}\n')
    with pytest.raises(UsageError, match="seed: 1 in the run, 2 now"):
        Run.resume(build(config, ["seed=2"]), tmp_path / "run")
    resumed(config, tmp_path / "run")
    assert_same(tmp_path / "run", whole)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(path.name for path in whole.iterdir())


def test_killed_before_its_end_is_written_down(tmp_path: Path, whole: Path) -> None:
    config = project(tmp_path, CONFIG)
    run = Run.start(build(config), tmp_path / "run")
    for _ in run.train():
        pass
    resumed(config, tmp_path / "run")
    assert_same(tmp_path / "run", whole)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"


@pytest.mark.parametrize(
    "damage",
    [
        lambda arrays, metadata: ({"x": np.zeros(3)}, {}),
        lambda arrays, metadata: (arrays, {**metadata, "state": {}}),
        lambda arrays, metadata: (arrays, {**metadata, "state": None}),
        lambda arrays, metadata: (arrays, {**metadata, "training": []}),
        lambda arrays, metadata: (arrays, {**metadata, "config": None}),
        lambda arrays, metadata: ({**arrays, "0.weight": np.zeros((2, 2))}, metadata),
        lambda arrays, metadata: ({name: x for name, x in arrays.items() if "/" not in name}, metadata),
    ],
)
def test_a_last_npz_that_does_not_fit_is_a_checkpoint_error(tmp_path: Path, damage) -> None:
    config = project(tmp_path)
    train_until(Run.start(build(config), tmp_path / "run"), 2)
    last = tmp_path / "run" / "last.npz"
    checkpoint.save(last, *damage(*checkpoint.load(last)))
    with pytest.raises(CheckpointError, match=r"last\.npz"):
        Run.resume(build(config), tmp_path / "run")
