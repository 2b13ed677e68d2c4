"""Run folders that are damaged or a stranger's: what they say is checked, and no link in them is written through."""

from __future__ import annotations

import copy
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hostile import command, judge, mutated, tried
from hypothesis import strategies as st
from test_fuzz_checkpoints import ANYTHING, altered
from tiny_runs import FLOWERS, HEIGHTS, project, train
from tiny_words import text

from dlscratch.config.build import build
from dlscratch.errors import OutputError
from dlscratch.runs import Run
from dlscratch.runs.folder import RunFolder
from dlscratch.runs.seeds import Seeds

NAMES = ("flowers", "heights", "words")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of every kind, with their data."""
    folder = tmp_path_factory.mktemp("runs")
    project(folder)
    for name, config in {"flowers": FLOWERS, "heights": HEIGHTS}.items():
        (folder / f"{name}.yaml").write_text(config)
        train(folder / f"{name}.yaml", folder / name, "training.epochs=3")
    (folder / "text.txt").write_text(text(60))
    words = ("word2vec", folder / "text.txt", "--out", folder / "words", "--dim", "6", "--epochs", "3", "-q")
    assert command(*words).code == 0
    shutil.copytree(folder / "flowers", folder / "good")
    return folder


@pytest.fixture
def run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a run that a test may damage, in the current folder, with its data."""
    project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(folder / "flowers", tmp_path / "run")


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def write_lines(path: Path, lines: list[Any]) -> None:
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


READERS: tuple[tuple[str, ...], ...] = (("plot", "run"), ("report", "run", "--no-examples"), ("reproduce", "run"))


@pytest.mark.parametrize("args", READERS, ids=" ".join)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"val_loss": [1, 2]}, "3: val_loss is a list of 2; expected float | None"),
        ({"loss": "low"}, "3: loss is 'low'; expected float | None"),
        ({"epoch": None}, "3: epoch is None; expected int"),
        ({"best": 1}, "3: best is 1; expected bool"),
        ({"step": 10**400}, "3: step is inf; expected int"),
    ],
)
def test_a_line_of_metrics_of_another_type(run: Path, args: tuple[str, ...], change: Any, message: str) -> None:
    lines = lines_of(run)
    write_lines(run, [*lines[:2], lines[2] | change])
    ending = command(*args)
    assert (ending.code, ending.err) == (5, f"error: run/metrics.jsonl:{message.replace('inf', 'None')}\n")


def test_a_damaged_line_is_told_of_and_no_line_after_it_is_lost(run: Path) -> None:
    write_lines(run, [{"epoch": 1}, {"epoch": 2}, {"epoch": 3}])
    path = run / "metrics.jsonl"
    path.write_text(path.read_text().replace('{"epoch": 2}', '{"epo'))
    before = path.read_bytes()
    for args in (*READERS, ("train", "flowers.yaml", "--out", "run", "--resume", "--epochs", "9")):
        ending = command(*args)
        assert (ending.code, "run/metrics.jsonl:2: this line is damaged" in ending.err) == (5, True), ending
    assert path.read_bytes() == before
    path.write_bytes(b'{"epoch": 1, "loss": 2.0}\n{"epo')  # as a kill in the middle of a write leaves it
    assert command("plot", "run", "--json").code == 0


def test_lists_and_truths_may_be_metrics(run: Path) -> None:
    write_lines(run, [line | {"confusion": [[1, 2], [3, 4]], "good": True} for line in lines_of(run)])
    assert "confusion" not in command("plot", "run").out
    assert command("report", "run", "--no-examples").code == 0
    assert command("plot", "run", "--metric", "confusion").code == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": 3}, "data is 3; expected dict"),
        ({"data": {"rows": {"train": "many"}}}, "data.rows: train is 'many'; expected int"),
        ({"resumed": 3}, "resumed is 3; expected list[str]"),
        ({"status": ["finished"]}, "status is a list of 1; expected str"),
        ({"result": {"test": {"loss": "low"}}}, "result.test: loss is 'low'; expected float | list | None"),
        ({"result": {"test": {"confusion_matrix": [[1]]}}}, "result.test: there is no precision"),
        ({"seconds": {"training": 1}}, "seconds is a mapping of 1; expected float | None"),
    ],
)
def test_a_run_json_of_other_types(run: Path, change: dict[str, Any], message: str) -> None:
    (run / "run.json").write_text(json.dumps(json.loads((run / "run.json").read_text()) | change))
    ending = command("report", "run", "--no-examples")
    assert (ending.code, ending.err) == (5, f"error: run/run.json: {message}\n")


def test_a_matrix_of_other_classes(run: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    facts["result"]["test"]["confusion_matrix"].pop()
    (run / "run.json").write_text(json.dumps(facts))
    assert "result.test: expected a number for each of 3 classes" in command("report", "run", "--no-examples").err


@pytest.mark.parametrize("corpus", ["null", "3", "[]", "[text.txt, null]", "{a: 1}"])
def test_a_text_that_is_no_name(folder: Path, tmp_path: Path, corpus: str) -> None:
    run = shutil.copytree(folder / "words", tmp_path / "words")
    (run / "config.yaml").write_text(f"corpus: {corpus}\n")
    ending = command("inspect", run / "vectors.npz", "--verify", "--json")
    assert ending.code == 0
    [data] = (each for each in json.loads(ending.out)["findings"] if each["kind"] == "data")
    assert (data["status"], "does not name the text" in data["why"]) == ("not known", True)


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl"])
def test_pipes_in_a_run_are_not_waited_for(run: Path, name: str) -> None:
    (run / name).unlink()
    os.mkfifo(run / name)
    ending = command("report", "run", "--no-examples")
    assert (ending.code, ending.err) == (5, f"error: run/{name}: expected a file, got a folder, a device or a pipe\n")


# Any change


def commands(name: str) -> tuple[tuple[str, ...], ...]:
    model = f"{name}/{'vectors' if name == 'words' else 'best'}.npz"
    others = (("report", name, "-o", "r.html"), ("reproduce", name)) if name != "words" else ()
    return (
        *(("plot", name), ("plot", name, "--json", "--log"), ("plot", name, "-o", "p.csv", "--x", "seconds")),
        *(("report", name, "--no-examples", "-o", "r.html"), ("inspect", model, "--verify")),
        *(("diff", name, "good" if name != "words" else name), *others),
    )


@st.composite
def altered_lines(draw: st.DrawFn, lines: list[dict[str, Any]]) -> bytes:
    """The lines with values changed; now and then all values of a name, or a whole line."""
    lines = copy.deepcopy(lines)
    number = draw(st.integers(0, len(lines) - 1))
    name = draw(st.sampled_from(sorted(lines[0])))
    action = draw(st.sampled_from(["one", "one", "column", "line", "any"]))
    if action == "any":
        lines = draw(altered({"lines": lines})).get("lines", [])
        lines = lines if isinstance(lines, list) else [lines]
    elif action == "line":
        lines[number] = draw(ANYTHING)
    else:
        for line in lines if action == "column" else [lines[number]]:
            line[name] = draw(ANYTHING)
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def documents(path: Path) -> dict[str, st.SearchStrategy[bytes]]:
    facts, config = json.loads((path / "run.json").read_text()), (path / "config.yaml").read_bytes()
    bytes_of_lines = (path / "metrics.jsonl").read_bytes()
    return {
        "run.json": altered(facts).map(lambda found: json.dumps(found).encode()) | mutated(json.dumps(facts).encode()),
        "metrics.jsonl": altered_lines(lines_of(path)) | mutated(bytes_of_lines),
        "config.yaml": mutated(config),
    }


@pytest.mark.parametrize("file", ["run.json", "metrics.jsonl", "config.yaml"])
@pytest.mark.parametrize("name", NAMES)
def test_any_change(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, file: str, long: bool) -> None:
    monkeypatch.chdir(folder)
    good, codes = (folder / name / file).read_bytes(), []

    @tried(400 if long else 6, documents(folder / name)[file])
    def _(data: bytes) -> None:
        (folder / name / file).write_bytes(data)
        for args in commands(name):
            ending = command(*args)
            if args[0] in ("diff", "reproduce") and ending.code == 1:
                ending = ending._replace(code=0)  # not the same, which is no error
            elif args[0] == "inspect":
                ending = ending._replace(out="")  # --verify fails after it has shown what it found
            judge(ending, {2, 3, 5})
            codes.append(ending.code)

    (folder / name / file).write_bytes(good)
    print(name, file, {code: codes.count(code) for code in sorted(set(codes))})


# Links

LINKED = ("best.npz", "last.npz", "metrics.jsonl", "run.json", "config.yaml", "profile.json")


def test_a_resume_writes_through_no_link(run: Path, tmp_path: Path) -> None:
    before = {}
    for name in LINKED:
        mine = tmp_path / f"mine-{name}"
        shutil.copy(run / name, mine) if (run / name).exists() else mine.write_text("mine")
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(mine)
        before[name] = mine.read_bytes()
    ending = command("train", "flowers.yaml", "--out", "run", "--resume", "--epochs", "9", "--profile", "-q")
    assert ending.code == 0, ending
    assert {name: (tmp_path / f"mine-{name}").read_bytes() for name in LINKED} == before
    assert [name for name in LINKED if (run / name).is_symlink()] == []


def test_a_resume_of_word_vectors_writes_through_no_link(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    run = shutil.copytree(folder / "words", tmp_path / "words")
    shutil.copy(folder / "text.txt", tmp_path)
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(facts | {"status": "running"}))
    (run / "vectors.npz").unlink()
    names = ("vectors.npz", "metrics.jsonl", "corpus.ids", "corpus.npz", ".corpus.ids.tmp")
    for name in names:
        (tmp_path / f"mine-{name}").write_text("mine")
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(tmp_path / f"mine-{name}")
    ending = command("word2vec", "text.txt", "--out", "words", "--dim", "6", "--epochs", "3", "-q", "--resume")
    assert ending.code == 0, ending
    assert {(tmp_path / f"mine-{name}").read_text() for name in names} == {"mine"}


def test_no_line_is_added_and_no_black_box_written_through_a_link(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").symlink_to(tmp_path / "mine")
    with pytest.raises(OutputError, match=r"metrics\.jsonl: cannot be written"):
        RunFolder(run).append_metrics([{"epoch": 9}])
    (run / "blackbox.npz").symlink_to(tmp_path / "mine")
    config = build("flowers.yaml", ["optimizer={sgd: {lr: 1e30}}", "training.epochs=9"])
    shutil.rmtree(tmp_path / "wild", ignore_errors=True)
    wild = Run.start(config, tmp_path / "wild")
    (tmp_path / "wild" / "blackbox.npz").symlink_to(tmp_path / "mine")
    with pytest.raises(Exception, match="step"):
        list(wild.train())
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "wild" / "blackbox.npz").is_symlink()


def test_no_report_and_no_summary_is_written_through_a_link(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (run / "report.html").symlink_to(tmp_path / "mine")
    assert command("report", "run", "--no-examples").code == 0
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "summary.json").symlink_to(tmp_path / "mine")
    seeds = Seeds.of("flowers.yaml", ["training.epochs=1"], tmp_path / "many", 2)
    seeds.summarize({seed: {"epochs": 1, "best_epoch": 1, "test": {"loss": 0.5}} for seed in seeds.seeds})
    assert (tmp_path / "mine").read_text() == "mine"
    assert [path.is_symlink() for path in (run / "report.html", tmp_path / "many" / "summary.json")] == [False, False]


def test_a_result_may_follow_the_users_own_link(run: Path, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "far" / "p.csv")
    assert command("plot", "run", "-o", "link.csv").code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "far" / "p.csv").read_text().startswith("run,part")
