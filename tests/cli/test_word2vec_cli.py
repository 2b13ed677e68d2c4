"""`word2vec` as a process: what it prints and leaves, the same bits whatever happens, and texts that cannot be used."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest
from conftest import Cli
from tiny_runs import ENVIRONMENT, metrics_of
from tiny_words import refusal, text

from dlscratch.cli.words import command
from dlscratch.word2vec.options import RunOptions, Word2VecOptions
from dlscratch.word2vec.vectors import WordVectors

SMALL = ("--dim", "8", "--epochs", "2", "--sample", "0")
LONG = ("--dim", "32", "--epochs", "40", "--sample", "0", "--tokens-per-step", "240")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corpus.txt").write_text(text())
    return tmp_path


def start(*args: str, cwd: Path, limit: int | None = None) -> subprocess.Popen[str]:
    """The command under way; it may write files of at most `limit` bytes."""
    before = None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    line = [sys.executable, "-m", "dlscratch", "word2vec", *args]
    return subprocess.Popen(line, cwd=cwd, env=ENVIRONMENT, text=True, preexec_fn=before, **pipes)


def digest(vectors: Path) -> str:
    """The SHA-256 of the vectors as anyone can compute it."""
    return hashlib.sha256(WordVectors.load(vectors).vectors.tobytes()).hexdigest()


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# What a run prints and leaves


def test_a_run(cli: Cli, folder: Path) -> None:
    done = cli("word2vec", "corpus.txt", *SMALL, "--min-count", "140", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    vectors = folder / "runs" / "corpus" / "vectors.npz"
    words = WordVectors.load(vectors)
    assert re.fullmatch(r"6,000 words, 40 different ones, in \d+ sentences", lines[0])
    assert lines[1].startswith(f"vocabulary {len(words)}; {40 - len(words)} different words dropped, ")
    assert lines[1].endswith("%): fewer than 140 times")
    assert [line.split("  ")[0] for line in lines[2:4]] == ["epoch 1/2", "epoch 2/2"]
    assert re.search(r"  held-out loss \d\.\d{4}  lr 2\.5e-06  [\d,]+ words/s$", lines[3])
    assert lines[4] == f"{len(words)} words, 8 numbers each; SHA-256 {digest(vectors)}"
    assert lines[5] == "runs/corpus/vectors.npz"
    assert files(folder / "runs" / "corpus") == ["config.yaml", "metrics.jsonl", "run.json", "vectors.npz"]


def test_json_and_quiet(cli: Cli, folder: Path) -> None:
    done = cli("word2vec", "corpus.txt", *SMALL, "--json", cwd=folder)
    document = json.loads(done.stdout)
    assert document["vectors"] == "runs/corpus/vectors.npz"
    assert document["corpus"] | {"skipped": []} == document["corpus"]
    assert document["sha256"] == digest(folder / document["vectors"])
    assert "epoch 2/2" in done.stderr
    done = cli("word2vec", "corpus.txt", *SMALL, "--quiet", "--force", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_option_of_a_run_is_an_option_of_the_command() -> None:
    flags = {flag for parameter in command().params for flag in (*parameter.opts, *parameter.secondary_opts)}
    names = [each.name for target in (Word2VecOptions, RunOptions) for each in fields(target)]
    assert {f"--{name.replace('_', '-')}" for name in names} | {"--keep-case"} <= flags


def test_help_says_defaults_and_bounds(cli: Cli) -> None:
    words = " ".join(cli("word2vec", "--help").stdout.replace("│", " ").split())
    assert "numbers in a word vector (default 100, ≥ 1, ≤ 10,000)" in words


# The same bits


def test_the_same_bits_for_any_threads_hash_seed_and_way_in(cli: Cli, folder: Path) -> None:
    (folder / "corpus.txt.gz").write_bytes(gzip.compress(text().encode()))
    found = set()
    for threads, seed, corpus in [("1", "0", "corpus.txt"), ("2", "1", "corpus.txt.gz"), ("4", "2", "-")]:
        args = [corpus, *SMALL, "--threads", threads, "--json", "-o", f"run{threads}"]
        given = text() if corpus == "-" else None
        done = cli("word2vec", *args, cwd=folder, input=given, env={"PYTHONHASHSEED": seed})
        found.add(json.loads(done.stdout)["sha256"])
    assert len(found) == 1


def test_killed_anywhere_and_resumed(cli: Cli, folder: Path) -> None:
    assert cli("word2vec", "corpus.txt", *LONG, "-o", "whole", cwd=folder).returncode == 0
    chance, kills = random.Random(0), 0
    while kills < 3:
        started = [] if not (folder / "run" / "run.json").exists() else ["--resume"]
        process = start("corpus.txt", *LONG, "-o", "run", *started, cwd=folder)
        try:
            _, err = process.communicate(timeout=chance.uniform(0.3, 1.2))
            assert process.returncode == 0, err  # too late: it was done
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
    started = ["--resume"] if (folder / "run" / "run.json").exists() else []
    done = cli("word2vec", "corpus.txt", *LONG, "-o", "run", *started, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "run" / "vectors.npz").read_bytes() == (folder / "whole" / "vectors.npz").read_bytes()
    losses = [[line["loss"] for line in metrics_of(folder / name)] for name in ("run", "whole")]
    assert losses[0] == losses[1]
    assert files(folder / "run") == files(folder / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_training(cli: Cli, folder: Path, number: signal.Signals) -> None:
    process = start("corpus.txt", *LONG, "-o", "run", cwd=folder)
    while not (folder / "run" / "last.npz").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "warning: stopped; run/last.npz is written, go on with --resume" in err
    assert json.loads((folder / "run" / "run.json").read_text())["status"] == "interrupted"
    done = cli("word2vec", "corpus.txt", *LONG, "-o", "run", "--resume", cwd=folder)
    assert done.returncode == 0
    assert "epoch 40/40" in done.stdout
    assert "epoch  1/40" in out
    assert "epoch  1/40" not in done.stdout


def test_a_signal_while_the_text_is_counted(cli: Cli, folder: Path) -> None:
    process = start("-", *SMALL, "-o", "run", cwd=folder)
    assert process.stdin is not None
    process.stdin.write(text())
    process.stdin.flush()
    while not (folder / "run" / ".corpus.ids.tmp").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    assert files(folder / "run") == ["config.yaml", "run.json"]
    process.communicate()
    done = cli("word2vec", "corpus.txt", *SMALL, "-o", "run", "--resume", cwd=folder)
    assert done.returncode == 0, done.stderr


# Configs


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(cli: Cli, folder: Path) -> None:
    (folder / "configs").mkdir()
    (folder / "configs" / "c.yaml").write_text("corpus: ../corpus.txt\ndim: 6\nepochs: 1\nlowercase: false\n")
    done = cli("word2vec", "--config", "configs/c.yaml", "--dim", "4", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    run = folder / "runs" / "corpus"
    facts = json.loads((run / "run.json").read_text())
    assert [facts["options"][name] for name in ("dim", "epochs", "window", "lowercase")] == [4, 1, 5, False]
    again = cli("word2vec", "--config", "runs/corpus/config.yaml", "-o", "again", "--json", cwd=folder)
    assert json.loads(again.stdout)["sha256"] == json.loads(done.stdout)["sha256"]


def test_every_problem_of_a_config_at_once(cli: Cli, folder: Path) -> None:
    (folder / "c.yaml").write_text("corpus: corpus.txt\ndim: 0\nmin-count: 3\nsentences: verses\nlearning_rate: 1\n")
    done = cli("word2vec", "--config", "c.yaml", "--window", "0", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error: c.yaml:2:6: dim: expected an integer of at least 1 and at most 10000, got 0",
        'c.yaml:3:1: min-count: unknown key; did you mean "min_count"?',
        'c.yaml:4:12: sentences: expected one of lines, punctuation, got "verses"',
        'c.yaml:5:1: learning_rate: unknown key; did you mean "lr"?',
        "--window 0: window: expected an integer of at least 1 and at most 100, got 0",
    ]
    assert files(folder) == ["c.yaml", "corpus.txt"]


# Folders, plans, softmax


def test_a_folder_that_holds_a_run(cli: Cli, folder: Path) -> None:
    args = ("word2vec", "corpus.txt", *SMALL, "-o", "run")
    assert cli(*args, cwd=folder).returncode == 0
    before = (folder / "run" / "vectors.npz").read_bytes()
    done = cli(*args, cwd=folder)
    assert done.returncode == 2
    assert "error: run holds a run; go on with it (--resume), replace it (--force), or choose another" in done.stderr
    done = cli(*args, "--seed", "1", "--resume", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[1:] == ["  seed: 0 in the run, 1 now"]
    done = cli(*args, "--resume", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "the run is finished; nothing is left to train"
    assert (folder / "run" / "vectors.npz").read_bytes() == before
    assert cli(*args, "--seed", "1", "--force", cwd=folder).returncode == 0
    assert (folder / "run" / "vectors.npz").read_bytes() != before


def test_two_processes_cannot_train_in_one_folder(cli: Cli, folder: Path) -> None:
    process = start("corpus.txt", *LONG, "-o", "run", cwd=folder)
    while not (folder / "run" / "last.npz").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    before = files(folder / "run")
    for how in ("--force", "--resume"):
        done = cli("word2vec", "corpus.txt", *LONG, "-o", "run", how, cwd=folder)
        assert (done.returncode, done.stdout) == (2, "")
        assert "error: run: another process is training here" in done.stderr
    assert files(folder / "run") == before
    process.kill()
    process.communicate()


def test_a_plan_trains_nothing_and_leaves_nothing(cli: Cli, folder: Path) -> None:
    done = cli("word2vec", "corpus.txt", *SMALL, "--plan", "--json", cwd=folder)
    document = json.loads(done.stdout)
    assert document["vocabulary"] == 40
    assert min(document[name] for name in ("pairs", "memory", "words_per_second", "seconds")) > 0
    assert files(folder) == ["corpus.txt"]


def test_softmax_says_that_it_is_slow(cli: Cli, folder: Path) -> None:
    done = cli("word2vec", "corpus.txt", *SMALL, "--objective", "softmax", cwd=folder)
    assert done.returncode == 0
    assert "warning: objective softmax computes the whole vocabulary for each pair: it is slow" in done.stderr


# Texts that cannot be used


@pytest.mark.parametrize(
    ("contents", "args", "message"),
    [
        (b"", [], "the corpus holds no words"),
        (b"1 2 3 ...\n", [], "the corpus holds no words"),
        (b"a a a b b c\n", ["--min-count", "9"], "word occurs 3 times, the next 2 times; try min_count 2"),
        (b"same same same same same\n", [], 'only one word, "same", is left of 1 different ones'),
        (b"fine\nnot \xff fine\n", [], "t.txt:2: byte 9 of the text (0xff) is not UTF-8"),
    ],
)  # fmt: skip
def test_text_that_cannot_be_used(cli: Cli, tmp_path: Path, contents: bytes, args: list[str], message: str) -> None:
    (tmp_path / "t.txt").write_bytes(contents)
    done = cli("word2vec", "t.txt", *args, "-o", "run", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert message in done.stderr
    assert files(tmp_path) == ["t.txt"]


def test_bytes_that_are_no_text_can_be_replaced(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"one two \xff one two\n" * 9)
    done = cli("word2vec", "t.txt", *SMALL, "--errors", "replace", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_files_that_cannot_be_used(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(random.Random(0).randbytes(9000).hex().encode())[:5000])
    for name, message in [
        ("pictures", "error: pictures: the folder holds no text files (1 files looked at)"),
        ("cut.gz", "error: cut.gz: cannot be read to its end"),
        ("nothing.txt", "error: nothing.txt: no such file"),
    ]:
        done = cli("word2vec", name, "-o", "run", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith(message)
    assert files(tmp_path) == ["cut.gz", "pictures/a.png"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "error: name the text: files, folders, or - for stdin; or `corpus:` in a config"),
        (["-", "--resume"], "error: --resume needs the text again, but stdin can be read only once"),
        (["-", "--config", "-"], "error: stdin cannot be the text and the config"),
        (["corpus.txt", "--resume", "--force"], "error: --resume goes on with the run in the folder"),
        (["corpus.txt", "--resume"], "error: runs/corpus: there is no word2vec run to resume"),
        (["corpus.txt", "--lr", "0"], "error: --lr 0.0: lr: expected a number greater than 0 and at most 1, got 0.0"),
    ],
)
def test_usage(folder: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str) -> None:
    monkeypatch.chdir(folder)
    code, said = refusal("word2vec", *args)
    assert code == 2
    assert said.startswith(message)
    assert files(folder) == ["corpus.txt"]


# A full disk


def test_a_full_disk_while_encoding(folder: Path) -> None:
    process = start("corpus.txt", *SMALL, "-o", "run", cwd=folder, limit=10_000)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 6
    assert "run/.corpus.ids.tmp: cannot be written: File too large; nothing was kept of it" in err
    assert files(folder) == ["corpus.txt"]


def test_a_full_disk_at_the_end_loses_nothing(cli: Cli, folder: Path) -> None:
    args = ("corpus.txt", "--dim", "500", "--epochs", "2", "-o", "run")
    process = start(*args, cwd=folder, limit=60_000)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 6, err
    assert "cannot be written: File too large; what was there before is unchanged" in err
    assert "vectors.npz" not in os.listdir(folder / "run")
    done = cli("word2vec", *args, "--resume", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert files(folder / "run") == ["config.yaml", "metrics.jsonl", "run.json", "vectors.npz"]


def test_a_loss_of_nothing_is_none(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("a\nb\n" * 50)
    done = cli("word2vec", "few.txt", "--epochs", "1", cwd=tmp_path)
    assert done.returncode == 0
    assert "held-out loss – (no pair is left)" in done.stdout
    assert "--sample 0.001 leaves 4.7% of the words" in done.stderr
    assert json.loads((tmp_path / "runs" / "few" / "metrics.jsonl").read_text())["loss"] is None
    (tmp_path / "numbered.txt").write_text("w1 w2 w3\n" * 50)
    assert "w7 is w, unless the tokenizer is whitespace" in cli("word2vec", "numbered.txt", cwd=tmp_path).stderr
