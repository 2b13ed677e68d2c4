"""`inspect --verify`: arrays, the file and its data have the SHA-256 that was recorded, or it is said which has not."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import Cli
from tiny_runs import FLOWERS, flowers, project, train, train_until
from tiny_words import text

from dlscratch import Word2VecOptions, Word2VecRun, Word2VecSettings, checkpoint
from dlscratch.checks.integrity import verify
from dlscratch.config.build import build
from dlscratch.errors import CheckpointError, DataError
from dlscratch.runs import Run

SEPARATE = FLOWERS.replace("  test: 0.25", "  test: {csv: {path: more}}")  # a folder of two files


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    config = project(folder, SEPARATE)
    (folder / "more").mkdir()
    for seed in (1, 2):
        (folder / "more" / f"{seed}.csv").write_text(flowers(12, seed))
    train(config, folder / "run")
    return folder


@pytest.fixture
def folder(tmp_path: Path, finished: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "work"))


def statuses(path: Path, data_root: Path | None = None) -> dict[str, str]:
    return {Path(each.name).name: each.status for each in verify(path, data_root).findings}


def replace_array(path: Path, name: str, array: np.ndarray) -> None:
    """Change an array as someone would who knows NumPy, but not what the metadata are for."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    buffer = io.BytesIO()
    np.save(buffer, array)
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in (members | {f"{name}.npy": buffer.getvalue()}).items():
            archive.writestr(member, data)


def test_a_whole_model(cli: Cli, finished: Path) -> None:
    done = cli("inspect", "run/best.npz", "--verify", "--json", cwd=finished)
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert document["whole"] is True
    found = {(each["kind"], Path(each["name"]).name): each for each in document["findings"]}
    assert {each["status"] for each in found.values()} == {"ok"}
    arrays, metadata = checkpoint.load(finished / "run" / "best.npz")
    assert [name for kind, name in found if kind == "array"] == list(arrays)
    assert found["array", "0.weight"]["sha256"] == hashlib.sha256(arrays["0.weight"].tobytes()).hexdigest()
    whole = (finished / "run" / "best.npz").read_bytes()
    assert found["file", "best.npz"]["sha256"] == hashlib.sha256(whole).hexdigest()
    assert [name for kind, name in found if kind == "data"] == ["flowers.csv", "1.csv", "2.csv"]
    assert [each["sha256"] for (kind, _), each in found.items() if kind == "data"] == metadata["training"]["data"]


@pytest.mark.parametrize("name", ["best.npz", "last.npz"])
def test_an_array_that_was_changed(cli: Cli, folder: Path, name: str) -> None:
    file = folder / "run" / name
    replace_array(file, "0.weight", np.zeros((4, 8), np.float32))
    done = cli("inspect", file, "--verify", cwd=folder)
    message = f"error: {file}: 0.weight is changed, {name} is changed\n"
    assert (done.returncode, done.stderr) == (5, message)
    cells = [line.split() for line in done.stdout.splitlines()]
    assert {row[1]: row[2] for row in cells if row[:1] == ["array"]}["0.bias"] == "ok"
    replace_array(file, "extra", np.zeros(3))
    assert statuses(file)["extra"] == "added"


def test_an_array_of_another_shape_with_the_same_bytes(folder: Path) -> None:
    file = folder / "run" / "best.npz"
    replace_array(file, "0.weight", checkpoint.load(file)[0]["0.weight"].reshape(-1))
    assert statuses(file)["0.weight"] == "changed"


def test_an_array_that_is_gone(folder: Path) -> None:
    file = folder / "run" / "best.npz"
    with zipfile.ZipFile(file) as archive:
        members = {member: archive.read(member) for member in archive.namelist() if member != "0.bias.npy"}
    with zipfile.ZipFile(file, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    assert statuses(file)["0.bias"] == "missing"


def test_a_file_that_was_written_anew_with_right_digests(folder: Path) -> None:
    file = folder / "run" / "best.npz"
    arrays, metadata = checkpoint.load(file)
    metadata["training"]["metrics"]["val_accuracy"] = 1.0
    checkpoint.save(file, arrays, metadata)
    found = verify(file)
    assert [each.name for each in found.findings if each.bad] == ["best.npz"]
    with pytest.raises(CheckpointError, match=r"best.npz is changed"):
        found.check()


def test_data_that_changed_are_missing_or_came_along(cli: Cli, folder: Path) -> None:
    (folder / "more" / "2.csv").write_text(flowers(12, 3))
    (folder / "more" / "3.csv").write_text(flowers(12, 4))
    (folder / "flowers.csv").unlink()
    assert list(statuses(folder / "run" / "best.npz").items())[-4:] == [
        ("flowers.csv", "missing"),
        ("1.csv", "ok"),
        ("2.csv", "changed"),
        ("3.csv", "added"),
    ]
    done = cli("inspect", "run/best.npz", "--verify", "-q", cwd=folder)
    assert done.returncode == 3
    assert "flowers.csv is missing, " in done.stderr


def test_without_the_run_beside_it(cli: Cli, folder: Path) -> None:
    (folder / "run" / "best.npz").rename(folder / "model.npz")
    (folder / "flowers.yaml").unlink()
    done = cli("inspect", "model.npz", "--verify", cwd=folder)
    assert done.returncode == 0
    assert "model.npz: no run.json beside it tells it" in done.stdout
    assert "name the folder of its data files with --data-root" in done.stdout
    assert {*statuses(folder / "model.npz", folder).values()} == {"ok", "not known"}
    (folder / "data").mkdir()
    (folder / "flowers.csv").rename(folder / "data" / "flowers.csv")  # found by its name alone
    (folder / "more").rename(folder / "data" / "more")
    assert cli("inspect", "model.npz", "--verify", "--data-root", "data", cwd=folder).returncode == 0


def test_a_run_under_way_and_one_that_was_interrupted(tmp_path: Path) -> None:
    config = project(tmp_path)
    run = Run.start(build(config), tmp_path / "run")
    records = run.train()
    while not run.folder.last.exists():
        next(records)
        run.save()
    under_way = next(each for each in verify(run.folder.last).findings if each.kind == "file")
    assert (under_way.status, under_way.why) == ("not known", "the run has not ended")
    train_until(Run.resume(build(config), tmp_path / "run"), 7)
    assert statuses(run.folder.last)["last.npz"] == "ok"


def test_word_vectors_and_their_text(cli: Cli, tmp_path: Path) -> None:
    corpus = tmp_path / "text.txt.gz"
    corpus.write_bytes(gzip.compress(text().encode()))
    run = Word2VecRun.start(
        Word2VecSettings((str(corpus),), Word2VecOptions(dim=5, epochs=1, min_count=1)), tmp_path / "run"
    )
    for _ in run.train():
        pass
    run.finish()
    assert set(statuses(tmp_path / "run" / "vectors.npz").values()) == {"ok"}
    assert len(statuses(tmp_path / "run" / "vectors.npz")) == 7  # five arrays, the file, the text
    corpus.write_bytes(gzip.compress(text(seed=1).encode()))
    assert statuses(tmp_path / "run" / "vectors.npz")["text.txt.gz"] == "changed"
    corpus.unlink()
    done = cli("inspect", "run/vectors.npz", "--verify", "-q", cwd=tmp_path)
    assert done.returncode == 3
    assert "is missing" in done.stderr


def test_a_flipped_byte_and_a_foreign_file(cli: Cli, folder: Path) -> None:
    file = folder / "run" / "best.npz"
    data = bytearray(file.read_bytes())
    data[data.index(b"NUMPY", 3000) + 200] ^= 1
    file.write_bytes(data)
    done = cli("inspect", "run/best.npz", "--verify", cwd=folder)
    assert done.returncode == 5
    assert "array '" in done.stderr
    np.savez(folder / "x.npz", x=np.zeros(3))
    with pytest.raises(CheckpointError, match="it holds no SHA-256 to compare with"):
        verify(folder / "x.npz")
    with pytest.raises(CheckpointError, match="no such file"):
        verify(folder / "y.npz")


def test_options_that_contradict_each_other(cli: Cli, folder: Path) -> None:
    for options, named in ((["--data-root", "."], "--verify"), (["--verify", "--plots", "plots"], "--plots")):
        done = cli("inspect", "run/best.npz", *options, cwd=folder)
        assert (done.returncode, named in done.stderr) == (2, True), done.stderr


def test_findings_of_both_kinds(folder: Path) -> None:
    (folder / "flowers.csv").unlink()
    found = verify(folder / "run" / "best.npz")
    with pytest.raises(DataError):
        found.check()
    replace_array(folder / "run" / "best.npz", "0.weight", np.zeros((4, 8), np.float32))
    with pytest.raises(CheckpointError):  # the file is the worse
        verify(folder / "run" / "best.npz").check()
