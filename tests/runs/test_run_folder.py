"""The files of a run: what they hold, that they say the same, and that nothing is lost or overwritten."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import FLOWERS, HEIGHTS, arrays_of, flowers, metrics_of, project, train, train_until

from dlscratch import checkpoint
from dlscratch.config.build import build
from dlscratch.config.schema import effective, load
from dlscratch.errors import CheckpointError, DataError, DivergedError, OutputError, UsageError
from dlscratch.runs import Run, TrainedModel
from dlscratch.runs.folder import FILES, MACHINE, RunFolder, environment
from dlscratch.runs.held_out import held_out


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, for reading only."""
    folder = tmp_path_factory.mktemp("done")
    train(project(folder), folder / "run")
    return folder


def facts_of(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_leaves_its_five_files_and_nothing_else(done: Path) -> None:
    assert sorted(os.listdir(done / "run")) == sorted(FILES)
    assert len((done / "run" / "metrics.jsonl").read_text().splitlines()) == 3


def test_run_json_says_what_a_result_depends_on(done: Path) -> None:
    facts = facts_of(done / "run")
    machine = {"dlscratch", "python", "numpy", "blas", "platform", "cpu", "processors"}
    wanted = machine | {"command", "config", "seed", "data", "started", "finished", "seconds", "status", "result"}
    assert set(facts) == wanted | {"sha256"}
    assert facts["status"] == "finished"
    assert facts["config"] == effective(load(done / "flowers.yaml")[1])
    digest = hashlib.sha256((done / "flowers.csv").read_bytes()).hexdigest()
    assert list(facts["data"]["files"].values()) == [digest]
    assert facts["data"]["rows"] == {"train": 33, "validation": 12, "test": 15}
    assert facts["result"]["test"]["examples"] == 15


def test_the_best_line_of_the_metrics_is_the_best_model(done: Path) -> None:
    lines = metrics_of(done / "run")
    best = min(lines, key=lambda line: line["val_loss"])
    _, metadata = checkpoint.load(done / "run" / "best.npz")
    assert metadata["training"]["epoch"] == best["epoch"]
    assert facts_of(done / "run")["result"]["validation"]["loss"] == pytest.approx(best["val_loss"])


def test_the_stored_config_trains_the_same_model_again(done: Path, tmp_path: Path) -> None:
    train(done / "run" / "config.yaml", tmp_path / "again")
    assert arrays_of(tmp_path / "again" / "best.npz") == arrays_of(done / "run" / "best.npz")


def test_the_stored_path_survives_a_linked_run_folder(tmp_path: Path) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    train(project(tmp_path), tmp_path / "link" / "run", "training.epochs=1")
    model = tmp_path / "link" / "run" / "best.npz"
    assert len(held_out(model, TrainedModel.load(model))) == 15


def test_absolute_paths_are_stored_as_they_are(tmp_path: Path) -> None:
    project(tmp_path)
    train(tmp_path / "flowers.yaml", tmp_path / "run", f"data.csv.path={tmp_path}/flowers.csv", "training.epochs=1")
    assert load(tmp_path / "run" / "config.yaml")[1].data.reader.options["path"] == f"{tmp_path}/flowers.csv"


def test_equal_runs_have_equal_bytes(done: Path, tmp_path: Path) -> None:
    train(project(tmp_path / "elsewhere"), tmp_path / "other name")
    assert (tmp_path / "other name" / "best.npz").read_bytes() == (done / "run" / "best.npz").read_bytes()
    assert metrics_of(tmp_path / "other name") == metrics_of(done / "run")


def test_a_folder_with_a_run_is_refused_unless_forced(tmp_path: Path) -> None:
    config = project(tmp_path)
    train(config, tmp_path / "run", "training.epochs=1")
    before = contents(tmp_path / "run")
    with pytest.raises(UsageError, match=r"run holds a run; go on with it \(--resume\), replace it \(--force\)"):
        train(config, tmp_path / "run")
    assert contents(tmp_path / "run") == before
    train(config, tmp_path / "run", force=True)
    assert len(metrics_of(tmp_path / "run")) == 3


def test_a_config_that_is_not_of_a_run_is_never_replaced(tmp_path: Path) -> None:
    config = project(tmp_path).rename(tmp_path / "config.yaml")
    for force in (False, True):
        with pytest.raises(UsageError, match=r"holds a config\.yaml that is not of a run; choose another folder"):
            train(config, tmp_path, force=force)
    assert config.read_text() == FLOWERS


def test_a_folder_below_a_file_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"flowers\.csv/run: cannot be made a run's folder: Not a directory"):
        train(project(tmp_path), tmp_path / "flowers.csv" / "run")


def test_a_diverged_run_keeps_the_weights_before_the_update(tmp_path: Path) -> None:
    config = project(tmp_path, HEIGHTS)
    wild = ["model=[{linear: {out_features: 1}}]", "optimizer={sgd: {lr: 1e30}}"]
    run = Run.start(build(config, wild), tmp_path / "run")
    with pytest.raises(DivergedError, match="this update was not made"):
        for _ in run.train():
            pass
    facts = facts_of(tmp_path / "run")
    assert facts["status"] == "diverged"
    assert "lr 1e+30" in facts["error"]
    arrays, _ = checkpoint.load(tmp_path / "run" / "last.npz")
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_early_stopping_and_the_time_limit_end_a_run(tmp_path: Path) -> None:
    config = project(tmp_path)
    early = train(config, tmp_path / "a", "training.early_stopping={patience: 1, min_delta: 9}", "training.epochs=9")
    assert (early["epochs"], early["best_epoch"]) == (2, 1)
    late = train(config, tmp_path / "b", "training.time_limit=1e-9", "training.epochs=9")
    assert (late["epochs"], late["best_epoch"]) == (0, 1)
    assert metrics_of(tmp_path / "b") == []


@pytest.mark.parametrize("parts", [("data.validation=0",), ("data.test=0",), ("data.validation=0", "data.test=0")])
def test_parts_that_nobody_wants_are_left_out(tmp_path: Path, parts: tuple[str, ...]) -> None:
    result = train(project(tmp_path), tmp_path / "run", "training.epochs=1", *parts)
    assert ("test" in result) == ("data.test=0" not in parts)
    assert ("validation" in result) == ("data.validation=0" not in parts)
    if "data.test=0" in parts:
        model = tmp_path / "run" / "best.npz"
        with pytest.raises(UsageError, match=r"the run kept no test rows \(data\.test is 0\); name the data"):
            held_out(model, TrainedModel.load(model))


def test_the_held_out_rows_are_those_of_this_model_or_an_error(tmp_path: Path) -> None:
    train(project(tmp_path), tmp_path / "run", "training.epochs=1")
    path, model = tmp_path / "run" / "best.npz", TrainedModel.load(tmp_path / "run" / "best.npz")
    stored = tmp_path / "run" / "config.yaml"
    text = stored.read_text()
    stored.write_text(text.replace("seed: 1", "seed: 2"))
    with pytest.raises(UsageError, match=r"trained with another config \(seed: 1 in the run, 2 now\); name the data"):
        held_out(path, model)
    stored.write_text(text)
    (tmp_path / "flowers.csv").write_text(flowers(seed=5))
    with pytest.raises(DataError, match="the data files are not those that the model was trained on"):
        held_out(path, model)
    stored.unlink()
    with pytest.raises(UsageError, match=r"there is no config\.yaml beside it"):
        held_out(path, model)


def test_numbers_that_json_lacks_are_null(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_run({"r2": float("nan"), "list": [float("inf"), 1.5]})
    folder.append_metrics([{"epoch": 1, "loss": float("nan")}])
    assert facts_of(tmp_path) == {"r2": None, "list": [None, 1.5]}
    assert folder.read_metrics() == [{"epoch": 1, "loss": None}]


def test_a_metrics_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append_metrics([{"epoch": 1}, {"epoch": 2}])
    with folder.metrics.open("ab") as file:
        file.write(b'{"epoch": 3, "na\xc3')
    assert folder.read_metrics() == [{"epoch": 1}, {"epoch": 2}]
    folder.rewind_metrics(1)
    assert folder.metrics.read_text() == '{"epoch": 1}\n'


def test_a_run_json_that_is_damaged_is_a_checkpoint_error(tmp_path: Path) -> None:
    config = project(tmp_path)
    train_until(Run.start(build(config), tmp_path / "run"), 2)
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"run\.json: cannot be read"):
        Run.resume(build(config), tmp_path / "run")


def test_what_is_told_of_the_machine_is_all_but_the_command() -> None:
    assert [*MACHINE, "command"] == list(environment())
