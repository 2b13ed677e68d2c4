"""`reproduce`: a model trained again from what it says of itself, and what is said where that gives another one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli
from shipped import CONFIGS, copy_shipped, in_a_tests_time
from tiny_runs import FLOWERS, flowers, project, train, train_until

from dlscratch import checkpoint
from dlscratch.checks.reproduce import Reproduction, Verdict
from dlscratch.config.build import build
from dlscratch.errors import CheckpointError, DataError, UsageError
from dlscratch.runs import Run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with flowers.csv, flowers.yaml and a run."""
    folder = tmp_path_factory.mktemp("finished")
    train(project(folder), folder / "run")
    return folder


@pytest.fixture
def folder(tmp_path: Path, finished: Path) -> Path:
    """A copy of it, to be altered."""
    return Path(shutil.copytree(finished, tmp_path / "work"))


def reproduced(path: Path, data_root: Path | None = None) -> Verdict:
    again = Reproduction.of(path, data_root)
    for _ in again.train(path.parent / "scratch"):
        pass
    shutil.rmtree(path.parent / "scratch")
    return again.verdict()


@pytest.mark.parametrize("model", ["run", "run/best.npz", "run/last.npz"])
def test_a_run_gives_the_same_bits_again(cli: Cli, finished: Path, model: str) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    done = cli("reproduce", model, cwd=finished)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("identical in every bit: 15 steps, 3 epochs of metrics, ")
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_that_ships(tmp_path: Path, name: str) -> None:
    config = copy_shipped(tmp_path) / "configs" / f"{name}.yaml"
    train(config, tmp_path / "run", "training.epochs=2", *in_a_tests_time(name))
    found = reproduced(tmp_path / "run")
    assert found.identical
    assert (found.epochs, found.environment) == (2, ())


def test_runs_that_were_cut_short_or_went_on(tmp_path: Path) -> None:
    config = project(tmp_path)
    train_until(Run.start(build(config), tmp_path / "run"), 8)
    assert reproduced(tmp_path / "run" / "last.npz").steps == 8
    run = Run.resume(build(config), tmp_path / "run")
    for _ in run.train():
        pass
    run.finish()
    found = reproduced(tmp_path / "run")
    assert (found.identical, found.steps, found.epochs) == (True, 15, 3)
    assert found.notes == (
        "the run was resumed once; if training.epochs was raised then, the schedule before it was another",
    )


def test_a_time_limit_ends_where_it_ended(tmp_path: Path) -> None:
    config = project(tmp_path, FLOWERS.replace("epochs: 3", "epochs: 3, time_limit: 1e-9"))
    train(config, tmp_path / "run")
    found = reproduced(tmp_path / "run")
    assert (found.identical, found.steps) == (True, 1)
    assert found.notes == ("training.time_limit was left out here: training goes to the step of the model",)


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """A checkpoint with something changed by a person who knows how to write one."""
    arrays, metadata = checkpoint.load(path)
    change(arrays, metadata)
    checkpoint.save(path, arrays, metadata)


def test_an_altered_weight_is_named(cli: Cli, folder: Path) -> None:
    def change(arrays: dict[str, Any], metadata: dict[str, Any]) -> None:
        arrays["0.weight"][2, 3] += 0.5

    rewrite(folder / "run" / "best.npz", change)
    done = cli("reproduce", "run/best.npz", "--json", cwd=folder)
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert found["difference"]["where"].startswith("the arrays after step ")
    assert (found["difference"]["name"], found["identical"]) == ("0.weight[2, 3]", False)
    assert [(each["name"], each["elements"]) for each in found["changed"]] == [("0.weight", 1)]
    assert found["changed"][0]["largest"] == pytest.approx(0.5)
    assert "the environment is the same as far as run.json tells" in done.stderr


def test_another_seed_shows_in_the_first_epoch(cli: Cli, folder: Path) -> None:
    for name in ("best.npz", "last.npz"):
        rewrite(folder / "run" / name, lambda arrays, metadata: metadata["config"].update(seed=7))
    config = folder / "run" / "config.yaml"
    config.write_text(config.read_text().replace("seed: 1", "seed: 7"))
    done = cli("reproduce", "run", "-q", cwd=folder)
    first, values, *_ = done.stdout.splitlines()
    assert done.returncode == 1
    assert "best.npz: 0.weight" in done.stdout
    assert "last.npz: 0.weight" in done.stdout
    assert first == "different, first in epoch 1, steps 1 to 5: loss"
    assert values.startswith("then ")


def test_the_first_epoch_that_differs_is_named(folder: Path) -> None:
    metrics = folder / "run" / "metrics.jsonl"
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    lines[1]["val_loss"] += 1e-12
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = reproduced(folder / "run")
    assert found.difference is not None
    assert (found.difference.where, found.difference.name) == ("epoch 2, steps 6 to 10", "val_loss")
    assert found.changed == ()


def test_what_differs_in_the_environment_is_said(cli: Cli, folder: Path) -> None:
    file = folder / "run" / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"numpy": "1.0", "blas": "other 3, 64 threads"}))
    done = cli("reproduce", "run", "--json", cwd=folder)
    rows = json.loads(done.stdout)["environment"]
    assert done.returncode == 0
    assert {row["name"]: row["a"] for row in rows} == {"numpy": "1.0", "blas": "other 3, 64 threads"}
    assert "other 3, 64 threads" in done.stderr


def test_data_are_found_beside_the_run_or_under_a_root(cli: Cli, folder: Path) -> None:
    (folder / "elsewhere" / "deep").mkdir(parents=True)
    (folder / "run" / "best.npz").rename(folder / "elsewhere" / "model.npz")
    done = cli("reproduce", "elsewhere/model.npz", "-q", cwd=folder)
    message = "elsewhere/model.npz: there is no config.yaml beside it to find its data"
    advice = "name the folder of its data files with --data-root"
    assert (done.returncode, done.stderr) == (2, f"error: {message}; {advice}\n")
    (folder / "flowers.csv").rename(folder / "elsewhere" / "deep" / "flowers.csv")
    done = cli("reproduce", "elsewhere/model.npz", "--data-root", "elsewhere/deep", cwd=folder)
    assert done.returncode == 0
    assert "the environment of the training is not known" in done.stdout


def test_a_root_that_is_none_and_all_places_that_were_tried(cli: Cli, folder: Path) -> None:
    for command in (["reproduce", "run"], ["inspect", "run", "--verify"]):
        done = cli(*command, "--data-root", "nowhere", cwd=folder)
        assert (done.returncode, done.stderr) == (2, "error: --data-root nowhere: there is no such folder\n")
    (folder / "root").mkdir()
    for name in ("best.npz", "last.npz"):
        rewrite(folder / "run" / name, lambda _, facts: facts["config"]["data"]["csv"].update(path="deep/flowers.csv"))
    root = (folder / "root").resolve()
    with pytest.raises(DataError) as caught:
        Reproduction.of(folder / "run", folder / "root")
    assert f"{root}/deep/flowers.csv: there is no such file nor {root}/flowers.csv" in str(caught.value)


def test_a_run_that_diverged_diverges_again(cli: Cli, folder: Path) -> None:
    wild = ["--set", "optimizer={sgd: {lr: 1e18}}", "--set", "training.epochs=9"]
    assert cli("train", "flowers.yaml", "--out", "wild", "-q", *wild, cwd=folder).returncode == 4
    done = cli("reproduce", "wild", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].endswith("; the next step diverged, too")
    (folder / "run" / "run.json").write_text('{"status": "diverged"}')  # which it did not
    (folder / "run" / "metrics.jsonl").unlink()
    found = reproduced(folder / "run")
    assert found.difference is not None
    assert (found.difference.where, found.difference.name) == ("step 16", "diverged")
    assert reproduced(folder / "run" / "best.npz").identical  # it does not tell of what came next


def test_a_run_that_diverged_in_its_first_step(cli: Cli, tmp_path: Path) -> None:
    data = flowers().splitlines()
    data[24] = "2.5,1e300,red,aster"
    project(tmp_path, FLOWERS.replace("batch_size: 7", "batch_size: 60"), "\n".join(data) + "\n")
    options = ["data.preprocessing={scale: none}", "data.validation=0", "data.test=0"]
    more = [text for option in options for text in ("--set", option)]
    assert cli("train", "flowers.yaml", "--out", "run", "-q", *more, cwd=tmp_path).returncode == 4
    done = cli("reproduce", "run", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("identical in every bit: 0 steps, 0 epochs of metrics, ")
    assert done.stdout.splitlines()[-1].endswith("; the next step diverged, too")

    def change(arrays: dict[str, Any], metadata: dict[str, Any]) -> None:
        arrays["0.weight"][2, 3] += 0.5

    rewrite(tmp_path / "run" / "last.npz", change)
    found = reproduced(tmp_path / "run")
    assert found.difference is not None
    assert (found.difference.where, found.difference.name) == ("the arrays after step 0", "0.weight[2, 3]")
    tame = Run.start(build(project(tmp_path / "tame")), tmp_path / "tame" / "run")
    tame.save()
    (tmp_path / "tame" / "run" / "run.json").write_text('{"status": "diverged"}')
    found = reproduced(tmp_path / "tame" / "run")
    assert found.difference is not None
    assert (found.difference.where, found.difference.name) == ("step 1", "diverged")


def test_other_data_are_refused_and_named(cli: Cli, folder: Path) -> None:
    (folder / "flowers.csv").write_text(flowers(seed=5))
    done = cli("reproduce", "run", cwd=folder)
    assert done.returncode == 3
    head, line = done.stderr.splitlines()
    assert head == "error: the data are not those that the model was trained on:"
    assert line.startswith(f"  {folder / 'flowers.csv'}: its SHA-256 was ")
    (folder / "flowers.csv").unlink()
    with pytest.raises(DataError, match=r"flowers.csv: there is no such file"):
        Reproduction.of(folder / "run")


def test_a_config_of_another_run_is_no_guide(folder: Path) -> None:
    config = folder / "run" / "config.yaml"
    config.write_text(config.read_text().replace("out_features: 8", "out_features: 9"))
    with pytest.raises(UsageError, match=r"is not of the run that made best.npz .*out_features.*--data-root"):
        Reproduction.of(folder / "run" / "best.npz")
    assert reproduced(folder / "run" / "best.npz", folder).identical


def test_what_is_no_model_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no best.npz and no last.npz in this folder; train first"):
        Reproduction.of(tmp_path)
    checkpoint.save(tmp_path / "vectors.npz", {}, {"kind": "word2vec"})
    for path in (tmp_path, tmp_path / "vectors.npz"):
        with pytest.raises(UsageError, match=r"word2vec --config … -o again"):
            Reproduction.of(path)
    checkpoint.save(tmp_path / "x.npz", {}, {"kind": "black box"})
    with pytest.raises(CheckpointError, match="expected a model, got black box; open it with `dlscratch replay`"):
        Reproduction.of(tmp_path / "x.npz")


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays, metadata: metadata.pop("config"),
        lambda arrays, metadata: metadata["config"].pop("data"),
        lambda arrays, metadata: metadata["config"].update(data=3),
        lambda arrays, metadata: metadata["config"]["data"]["csv"].update(path=[3]),
        lambda arrays, metadata: metadata["config"].update(training=3),
        lambda arrays, metadata: metadata["training"].pop("data"),
        lambda arrays, metadata: metadata["training"].update(data=None),
        lambda arrays, metadata: metadata["training"].pop("step"),
        lambda arrays, metadata: metadata["training"].update(step="x"),
        lambda arrays, metadata: metadata.update(training=[]),
        lambda arrays, metadata: metadata.update(config=[1]),
    ],
)
def test_metadata_that_make_no_sense_are_a_checkpoint_error(folder: Path, change: Any) -> None:
    rewrite(folder / "run" / "best.npz", change)
    with pytest.raises((CheckpointError, UsageError)):
        Reproduction.of(folder / "run" / "best.npz")
    with pytest.raises(CheckpointError):
        Reproduction.of(folder / "run" / "best.npz", folder)
