"""Bad input, as processes: the exit code, one clear message, no traceback, and nothing written or overwritten."""

from __future__ import annotations

import pickle
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import Cli
from tiny_runs import ENVIRONMENT, FLOWERS, flowers, project, train

from dlscratch import checkpoint

Files = dict[str, bytes]


def files(folder: Path) -> Files:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(cli: Cli, folder: Path, *args: str, code: int, input: str | None = None) -> str:
    """The message of a command that must fail and leave every file as it was."""
    before = files(folder)
    done = cli(*args, cwd=folder, input=input)
    assert (done.returncode, done.stdout) == (code, "")
    assert files(folder) == before
    return done.stderr.removeprefix("error: ").rstrip("\n")


# Configs

BAD_CONFIGS = {
    "unknown key": (
        ("epochs: 3", "epoch: 3"),
        'flowers.yaml:13:12: training.epoch: unknown key; did you mean "epochs"?',
    ),
    "key of another section": (
        ("batch_size: 7}", "batch_size: 7, lr: 0.1}"),
        "flowers.yaml:13:38: training.lr: unknown key here; it belongs in optimizer.adam",
    ),
    "wrong type": (
        ("epochs: 3", "epochs: many"),
        'flowers.yaml:13:20: training.epochs: expected an integer of at least 1, got "many"',
    ),
    "out of range": (
        ("p: 0.2", "p: 1.5"),
        "flowers.yaml:10:18: model[3].dropout.p: expected a number of at least 0 and less than 1, got 1.5",
    ),
    "unknown layer": (
        ("- relu", "- relo"),
        'flowers.yaml:9:5: model[2]: unknown layer "relo"; did you mean "relu"?',
    ),
    "syntax": (
        ("batch_size: 7}", "batch_size: 7"),
        'flowers.yaml:13:11: a "}" or a comma is missing for the bracket that opens here',
    ),
    "duplicate key": (
        ("epochs: 3", "epochs: 3, epochs: 4"),
        "flowers.yaml:13:23: training.epochs: given twice; the first is in line 13, column 12",
    ),
    "tag that would run code": (
        ("seed: 1", "seed: !!python/object/apply:os.system ['touch hacked']"),
        'flowers.yaml:1:7: seed: the tag "!!python/object/apply:os.system" is not allowed; remove it',
    ),
    "wrong output": (
        ("out_features: 3}", "out_features: 4}"),
        ("flowers.yaml:11:5: model[4]: the model gives 4 numbers an example, "
        'but cross_entropy of "species" (3 classes) needs 3; write out_features: 3'),
    ),
    "shapes that do not fit": (
        ("linear: {out_features: 3}", "linear: {in_features: 9, out_features: 3}"),
        ("flowers.yaml:11:5: model[4]: layers[4] linear: in_features is 9, but layers[3] dropout gives 8; "
        "write in_features: 8 or leave it out"),
    ),
    "a last batch of one row": (
        ("batch_size: 7", "batch_size: 8"),
        ("flowers.yaml:13:35: training.batch_size: of 33 training rows the last batch would be a single one, "
        "too few for batch_norm1d; write 9"),
    ),
    "no reader": (
        ("csv: {path: flowers.csv, target: species}", "task: auto"),
        "flowers.yaml:3:3: data: expected one reader (csv, npz, idx), got none",
    ),
    "a loss that does not suit": (
        ("optimizer:", "loss: mse\noptimizer:"),
        ('flowers.yaml:12:7: loss: mse does not suit the target "species", which has classes; '
        "use cross_entropy, nll, binary_cross_entropy_with_logits"),
    ),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_a_bad_config(cli: Cli, tmp_path: Path, case: str) -> None:
    (old, new), wanted = BAD_CONFIGS[case]
    assert FLOWERS.count(old) == 1
    project(tmp_path, FLOWERS.replace(old, new))
    assert refused(cli, tmp_path, "train", "flowers.yaml", code=2) == wanted


def test_all_mistakes_of_a_config_in_one_pass(cli: Cli, tmp_path: Path) -> None:
    text = FLOWERS.replace("seed: 1", "sed: 1").replace("p: 0.2", "p: -1").replace("epochs: 3", "epochs: 0")
    project(tmp_path, text)
    assert refused(cli, tmp_path, "check", "flowers.yaml", "--set", "optimizer.adam.lr=fast", code=2).splitlines() == [
        'flowers.yaml:1:1: sed: unknown key; did you mean "seed"?',
        "flowers.yaml:10:18: model[3].dropout.p: expected a number of at least 0 and less than 1, got -1",
        "flowers.yaml:13:20: training.epochs: expected an integer of at least 1, got 0",
        '--set optimizer.adam.lr=fast: optimizer.adam.lr: expected a number of at least 0, got "fast"',
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.yaml", None, "absent.yaml: cannot be read: No such file or directory"),
        ("empty.yaml", b"", "empty.yaml:1:1: the file is empty; see `dlscratch init` for a first config"),
        ("latin.yaml", b"name: caf\xe9", "latin.yaml:1:10: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (".", None, ".: cannot be read: Is a directory"),
    ],
)
def test_a_file_that_is_no_config(cli: Cli, tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert refused(cli, tmp_path, "train", name, code=2) == message


# Data

FEW = flowers().replace("clover", "aster", 19)
BAD_DATA = {
    "missing file": (None, "flowers.csv: no such file"),
    "empty file": ("", "flowers.csv: is empty; expected a header line and rows"),
    "header alone": ("a,species\n", "flowers.csv: has a header but no rows"),
    "ragged": (flowers() + "1,2,red\n", "flowers.csv:62: 3 cells, but the header has 4 columns"),
    "text among numbers": (
        flowers() + "1,tall,red,aster\n",
        'flowers.csv:62: column "height" holds "tall", but 60 of 61 of its cells are numbers; correct the cell, ',
    ),
    "target missing": (
        flowers().replace("species", "kind", 1),
        'flowers.csv: there is no column "species", which is named under target; the columns are "width", "height"',
    ),
    "target missing in a row": (flowers() + "1,2,red,\n", 'flowers.csv:62: the target "species" is missing'),
    "a class too small to split": (
        FEW,
        'flowers.csv: target "species": class "clover" has 1 row, too few to split into train, validation, test; ',
    ),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data(cli: Cli, tmp_path: Path, case: str) -> None:
    text, wanted = BAD_DATA[case]
    project(tmp_path, data=text or "")
    if text is None:
        (tmp_path / "flowers.csv").unlink()
    message = refused(cli, tmp_path, "train", "flowers.yaml", code=3)
    assert wanted in message
    assert len(message.splitlines()) == 1


# Checkpoints


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in it."""
    folder = tmp_path_factory.mktemp("run")
    train(project(folder), folder / "run", "training.epochs=1")
    return folder


def truncated(good: Path, bad: Path) -> None:
    bad.write_bytes(good.read_bytes()[:-500])


def altered(good: Path, bad: Path) -> None:
    data = bytearray(good.read_bytes())
    data[data.index(b"0.weight.npy") + 150] ^= 1
    bad.write_bytes(data)


def newer(good: Path, bad: Path) -> None:
    arrays, metadata = checkpoint.load(good)
    checkpoint.save(bad, arrays, {**metadata, "format_version": 9, "written_by": "7.0"})


def other_architecture(good: Path, bad: Path) -> None:
    arrays, metadata = checkpoint.load(good)
    metadata["architecture"][0]["linear"]["out_features"] = 16
    checkpoint.save(bad, arrays, metadata)


def pickled(good: Path, bad: Path) -> None:
    bad.write_bytes(pickle.dumps(checkpoint.load(good)[0]))


def foreign(good: Path, bad: Path) -> None:
    np.savez(bad, x=np.zeros(3))


BAD_CHECKPOINTS = {
    truncated: "bad.npz: the archive is damaged or cut short",
    altered: "bad.npz: array '0.weight' is damaged or cut short: Bad CRC-32",
    newer: "bad.npz: format version 9, written by dlscratch 7.0; this is dlscratch",
    other_architecture: "bad.npz: layers[1] batch_norm1d: num_features is 8, but layers[0] linear gives 16",
    pickled: "bad.npz: expected an .npz file, got a Python pickle, which could run code and is never opened",
    foreign: "bad.npz: an .npz file, but not one of dlscratch: it has no metadata",
}


@pytest.mark.parametrize("damage", BAD_CHECKPOINTS)
def test_a_bad_checkpoint(cli: Cli, run: Path, tmp_path: Path, damage) -> None:
    damage(run / "run" / "best.npz", tmp_path / "bad.npz")
    project(tmp_path)
    message = refused(cli, tmp_path, "predict", "bad.npz", "flowers.csv", "-o", "said.csv", code=5)
    assert BAD_CHECKPOINTS[damage] in message


def test_a_damaged_last_npz_is_not_resumed(cli: Cli, tmp_path: Path) -> None:
    train(project(tmp_path), tmp_path / "run", "training.epochs=1")
    truncated(tmp_path / "run" / "last.npz", tmp_path / "bad.npz")
    (tmp_path / "bad.npz").rename(tmp_path / "run" / "last.npz")
    before = files(tmp_path)
    done = cli("train", "flowers.yaml", "--out", "run", "--resume", "--quiet", cwd=tmp_path)
    assert (done.returncode, files(tmp_path)) == (5, before)
    assert done.stderr.startswith("error: run/last.npz: the archive is damaged or cut short")


# Disks


def test_a_full_disk(cli: Cli, run: Path) -> None:
    for args in (["-o", "/dev/full"], []):
        before = files(run)
        command = [sys.executable, "-m", "dlscratch", "predict", "run/best.npz", "flowers.csv", *args]
        with open("/dev/full", "w") as full:
            streams = {"stdout": full, "stderr": subprocess.PIPE}
            done = subprocess.run(command, cwd=run, env=ENVIRONMENT, **streams, text=True, check=False)
        assert (done.returncode, files(run)) == (6, before)
        assert "cannot be written: No space left on device" in done.stderr
        assert "Traceback" not in done.stderr


def limited(folder: Path, *args: str, bytes_a_file: int) -> subprocess.CompletedProcess[str]:
    """A command on a disk that fills up: no file may grow beyond a size."""
    command = [sys.executable, "-B", "-m", "dlscratch", *args]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_a_file, bytes_a_file))

    options = {"cwd": folder, "env": ENVIRONMENT, "preexec_fn": limit}
    return subprocess.run(command, **options, capture_output=True, text=True, check=False)


def test_a_disk_that_fills_up_keeps_what_is_there(tmp_path: Path) -> None:
    train(project(tmp_path), tmp_path / "run", "training.epochs=1")
    (tmp_path / "said.csv").write_text("what was said before")
    before = files(tmp_path)
    done = limited(tmp_path, "predict", "run/best.npz", "flowers.csv", "-o", "said.csv", bytes_a_file=1000)
    assert (done.returncode, files(tmp_path)) == (6, before)
    assert done.stderr == "error: said.csv: cannot be written: File too large; what was there before is unchanged\n"
    done = limited(tmp_path, "train", "flowers.yaml", "--out", "new", "-q", bytes_a_file=5000)
    assert (done.returncode, done.stdout) == (6, "")
    assert "cannot be written: File too large" in done.stderr
    assert not list((tmp_path / "new").glob(".*"))


@pytest.mark.parametrize("place", ["flowers.csv/x", "/proc/x"])
def test_a_folder_that_cannot_be_written(cli: Cli, run: Path, place: str) -> None:
    message = refused(cli, run, "predict", "run/best.npz", "flowers.csv", "-o", f"{place}/said.csv", code=6)
    assert f"{place}/said.csv: cannot be written" in message
    before = files(run)
    done = cli("train", "flowers.yaml", "--out", place, "--quiet", cwd=run)
    assert (done.returncode, files(run)) == (6, before)
    assert done.stderr.startswith(f"error: {place}: cannot be made a run's folder: No")


# Arguments


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["trian"], "No such command"),
        (["train"], "Missing argument"),
        (["train", "flowers.yaml", "--epochen", "3"], "No such option"),
        (["train", "flowers.yaml", "--resume", "--force"], "--resume goes on with the run in the folder"),
        (["train", "flowers.yaml", "--set", "training.epochs"], "training.epochs"),
        (["train", "flowers.yaml", "--resume"], "nothing to resume; start the run without --resume"),
        (["predict", "run/best.npz", "flowers.csv", "-o", "flowers.csv"], "flowers.csv: is what this command reads"),
        (["check", "flowers.yaml", "--set", "training.early_stopping={patience: 3, monitor: val_acuracy}"],
         "monitor: there is no 'val_acuracy'; did you mean \"val_accuracy\"?"),
        (["check", "flowers.yaml", "--set", "schedule={reduce_on_plateau: {monitor: foo}}"], "there is no 'foo'"),
        (["check", "flowers.yaml", "--set", "loss={cross_entropy: {weight: [1, 2]}}"], "weight"),
        (["options", "lineal"], 'did you mean "linear"?'),
    ],
)
def test_a_wrong_argument(cli: Cli, run: Path, args: list[str], message: str) -> None:
    before = files(run)
    done = cli(*args, cwd=run)
    assert (done.returncode, files(run)) == (2, before)
    assert message in done.stderr


LONG_NAME = "n" * 300
READERS = (["inspect"], ["plot"], ["reproduce"], ["replay"], ["graph"], ["report"], ["word2vec"], ["init"], ["check"])


@pytest.mark.parametrize("args", [*READERS, ["diff", "run"], ["vectors", "nearest"]], ids=" ".join)
def test_a_name_that_is_longer_than_the_system_takes(cli: Cli, run: Path, args: list[str]) -> None:
    more = ["x"] if args[0] == "vectors" else []
    message = refused(cli, run, *args, LONG_NAME, *more, code=2)
    assert message.startswith(LONG_NAME)
    assert message.rstrip().endswith("File name too long")
