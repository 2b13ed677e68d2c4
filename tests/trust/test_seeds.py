"""`train --seeds`: the runs of single seeds, their scatter, and whether two such sets differ by more than it."""

from __future__ import annotations

import fcntl
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import Cli
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tiny_runs import ENVIRONMENT, FLOWERS, arrays_of, metrics_of, project, train

from dlscratch.checks.difference import compare
from dlscratch.checks.noise import Sample, compare_seeds, holm, student, welch
from dlscratch.errors import CheckpointError, UsageError
from dlscratch.runs.folder import RunFolder

FIRST, SEEDS = 4, (4, 5, 6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three runs of seeds, two good ones of a bad model, and one run of the second seed alone."""
    from conftest import run_cli

    folder = tmp_path_factory.mktemp("seeds")
    config = project(folder)
    done = run_cli("train", "flowers.yaml", "--seeds", "3", "--seed", "4", "--out", "many", cwd=folder)
    (folder / "said.txt").write_text(done.stdout)
    assert done.returncode == 0, done.stderr
    bad = ["--set", "optimizer.adam.lr=0", "--set", "training.epochs=1"]
    assert run_cli("train", "flowers.yaml", "--seeds", "3", "--out", "bad", *bad, cwd=folder).returncode == 0
    train(config, folder / "one", "seed=5")
    return folder


def test_each_run_is_that_of_its_seed(folder: Path) -> None:
    assert sorted(path.name for path in (folder / "many").iterdir()) == ["seed-4", "seed-5", "seed-6", "summary.json"]
    for name in ("best.npz", "last.npz"):
        assert arrays_of(folder / "many" / "seed-5" / name) == arrays_of(folder / "one" / name)
    assert metrics_of(folder / "many" / "seed-5") == metrics_of(folder / "one")


def test_the_table_is_mean_and_standard_deviation(folder: Path) -> None:
    summary = json.loads((folder / "many" / "summary.json").read_text())
    results = [json.loads((folder / "many" / f"seed-{seed}" / "run.json").read_text())["result"] for seed in SEEDS]
    assert summary["seeds"] == list(SEEDS)
    assert {"validation loss", "validation accuracy", "test loss", "test accuracy"} <= set(summary["metrics"])
    for name, figures in summary["metrics"].items():
        part, metric = name.split(" ", 1)
        values = [result[part][metric] for result in results]
        assert figures["values"] == values
        assert figures["mean"] == pytest.approx(np.mean(values))
        assert figures["std"] == pytest.approx(np.std(values, ddof=1))
        assert (figures["min"], figures["max"]) == (min(values), max(values))
    said = (folder / "said.txt").read_text()
    accuracy = summary["metrics"]["test accuracy"]
    assert f"{accuracy['mean']:.4g} ± {accuracy['std']:.2g}" in said
    assert all(f"seed {seed}: many/seed-{seed}\n" in said for seed in SEEDS)
    assert said.endswith("many/summary.json\n")


def test_json_and_the_folder_by_itself(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path)
    done = cli("train", "-", "--seeds", "2", "--set", "name=piped", "--json", cwd=tmp_path, input=FLOWERS)
    document = json.loads(done.stdout)
    assert (document["folder"], document["seeds"]) == ("runs/piped-seeds", [1, 2])
    written = json.loads((tmp_path / "runs" / "piped-seeds" / "summary.json").read_text())
    assert written["metrics"] == document["metrics"]


def test_more_seeds_and_a_run_that_was_interrupted(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path, FLOWERS.replace("epochs: 3", "epochs: 60"))
    command = [sys.executable, "-m", "dlscratch", "train", "flowers.yaml", "-q", "--out", "cut", "--seeds"]
    process = subprocess.Popen([*command, "2"], cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "cut" / "seed-2" / "run.json").exists():
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    assert (process.wait(), process.communicate()[1]) == (143, "terminated\n")
    first = (tmp_path / "cut" / "seed-1" / "run.json").read_bytes()
    assert not (tmp_path / "cut" / "summary.json").exists()
    assert cli(*command[3:], "3", "--resume", cwd=tmp_path).returncode == 0
    assert (tmp_path / "cut" / "seed-1" / "run.json").read_bytes() == first
    assert cli(*command[3:7], "whole", "--seeds", "3", cwd=tmp_path).returncode == 0
    both = [json.loads((tmp_path / name / "summary.json").read_text())["metrics"] for name in ("cut", "whole")]
    assert both[0] == both[1]
    for seed in (1, 2, 3):
        for name in ("best.npz", "last.npz"):
            runs = [arrays_of(tmp_path / run / f"seed-{seed}" / name) for run in ("cut", "whole")]
            assert runs[0] == runs[1]


def test_what_is_there_is_not_replaced(cli: Cli, folder: Path, tmp_path: Path) -> None:
    before = (folder / "many" / "seed-4" / "best.npz").read_bytes()
    train_ = ["train", "flowers.yaml", "-q", "--seed", "4", "--seeds", "3"]
    done = cli(*train_, "--out", "many", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith("error: many/seed-4 holds a run; go on with it (--resume), replace it (--force)")
    assert (folder / "many" / "seed-4" / "best.npz").read_bytes() == before
    done = cli(*train_, "--out", "one", cwd=folder)
    assert (done.returncode, "one holds a run; choose another folder" in done.stderr) == (2, True)
    done = cli(*train_, "--out", "new", "--resume", cwd=folder)
    assert (done.returncode, "there is nothing to resume" in done.stderr) == (2, True)
    assert not (folder / "new").exists()
    assert cli(*train_, "--out", "many", "--force", cwd=folder).returncode == 0
    assert (folder / "many" / "seed-4" / "best.npz").read_bytes() == before


def test_seeds_that_a_summary_would_leave_out(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path)
    train_ = ["train", "flowers.yaml", "-q", "--out", "x", "--set", "training.epochs=1", "--seeds"]
    assert cli(*train_, "4", cwd=tmp_path).returncode == 0
    (tmp_path / "x" / "seed-4" / "notes.txt").write_text("mine")
    for more in ([], ["--resume"]):
        done = cli(*train_, "2", *more, cwd=tmp_path)
        assert (done.returncode, "x also holds the runs of seeds 3, 4; raise --seeds" in done.stderr) == (2, True)
    (tmp_path / "x" / "seed-7").mkdir()
    (tmp_path / "x" / "seed-7" / "config.yaml").write_text("mine")
    done = cli(*train_, "2", "--force", cwd=tmp_path)
    assert (done.returncode, "x/seed-7 holds a config.yaml that is not of a run" in done.stderr) == (2, True)
    assert (tmp_path / "x" / "seed-3" / "best.npz").exists()  # nothing is removed before all is known
    shutil.rmtree(tmp_path / "x" / "seed-7")
    assert cli(*train_, "2", "--force", cwd=tmp_path).returncode == 0
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["seed-1", "seed-2", "seed-4", "summary.json"]
    assert [path.name for path in (tmp_path / "x" / "seed-4").iterdir()] == ["notes.txt"]
    wild = ["--set", "optimizer={sgd: {lr: 1e18}}", "--set", "training.epochs=9"]
    assert cli(*train_, "2", "--force", *wild, cwd=tmp_path).returncode == 4
    assert not (tmp_path / "x" / "summary.json").exists()  # its runs are gone


def test_a_folder_whose_run_was_removed_is_free(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    folder.remove()
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as another process would
    os.close(descriptor)


def test_a_seed_that_diverges_is_named(cli: Cli, tmp_path: Path) -> None:
    project(tmp_path)
    wild = ["--set", "optimizer={sgd: {lr: 1e18}}", "--set", "training.epochs=9"]
    done = cli("train", "flowers.yaml", "-q", "--seeds", "3", "--out", "x", *wild, cwd=tmp_path)
    assert done.returncode == 4
    assert done.stderr.startswith("error: seed 1 diverged: ")
    assert done.stderr.endswith("; not trained: seeds 2, 3\n")


def test_diff_tells_noise_from_a_difference(cli: Cli, folder: Path) -> None:
    same = cli("diff", "many", "many", cwd=folder)
    assert (same.returncode, same.stdout.splitlines()[-1]) == (0, "no more than noise")
    done = cli("diff", "many", "bad", "--json", cwd=folder)
    found = json.loads(done.stdout)
    assert (done.returncode, found["equal"], found["kind"]) == (1, False, "seeds")
    assert "Welch's t-test, two-sided, of 3 and 3 runs; p corrected by Holm" in done.stderr
    assert "training.epochs" in done.stderr
    summaries = [json.loads((folder / name / "summary.json").read_text())["metrics"] for name in ("many", "bad")]
    for test in found["tests"]:
        values = [summary[test["metric"]]["values"] for summary in summaries]
        expected = stats.ttest_ind(*values, equal_var=False)
        assert test["p"] == pytest.approx(expected.pvalue, rel=1e-9)
        assert test["t"] == pytest.approx(expected.statistic)
    assert any(test["corrected"] < 0.05 for test in found["tests"] if test["metric"].endswith("loss"))


def test_a_summary_that_is_none(folder: Path, tmp_path: Path) -> None:
    for text in ("", "[]", '{"kind": "x"}', '{"kind": "seeds", "metrics": {"a": {"values": [1]}}}'):
        (tmp_path / "summary.json").write_text(text)
        with pytest.raises(CheckpointError, match="is not the summary of runs with several seeds"):
            compare(tmp_path, folder / "many")
    (tmp_path / "summary.json").write_text('{"kind": "seeds", "metrics": {}, "config": {"data": {}}, "seeds": []}')
    with pytest.raises(UsageError, match="no metric in common"):
        compare(tmp_path, folder / "many")


SAMPLES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12).filter(lambda x: np.std(x) > 1e-6)


@given(SAMPLES, SAMPLES)
def test_welch_is_scipys(a: list[float], b: list[float]) -> None:
    expected = stats.ttest_ind(a, b, equal_var=False)
    t, degrees, p = welch(Sample.of(a), Sample.of(b))
    assert t == pytest.approx(expected.statistic, rel=1e-7, abs=1e-9)
    assert degrees == pytest.approx(expected.df, rel=1e-7)
    assert p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("degrees", [0.7, 1, 2, 3.3, 8, 30, 1000])
@pytest.mark.parametrize("t", [0, 0.01, 0.5, 1, 2.5, 10, -3])
def test_student_is_the_integral_of_its_density(t: float, degrees: float) -> None:
    assert student(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), rel=1e-11)


def test_samples_that_do_not_scatter() -> None:
    flat, other = Sample.of([1.0, 1.0]), Sample.of([0.5, 0.5])
    assert welch(flat, flat)[2] == 1
    assert welch(flat, other) == (math.inf, math.inf, 0.0)


def test_holm_is_rs_p_adjust() -> None:
    """`p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")` in R gives 0.03 0.06 0.06 0.02."""
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})


def test_noise_alone_is_seldom_taken_for_a_difference() -> None:
    """In 2,000 pairs of five runs with four metrics from one distribution, a false alarm in at most 5%."""
    rng = np.random.default_rng(0)
    alarms = 0
    for pair in rng.normal(size=(2000, 2, 4, 5)):
        sets = [{f"m{i}": values.tolist() for i, values in enumerate(side)} for side in pair]
        alarms += any(test.differs for test in compare_seeds(*sets))
    assert 0.02 < alarms / 2000 <= 0.055
