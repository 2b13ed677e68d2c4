"""One word2vec run and its folder: what `dlscratch word2vec` does, without a terminal.

    run = Word2VecRun.start(Word2VecSettings(("corpus.txt",), Word2VecOptions(dim=50)), Path("runs/corpus"))
    for record in run.train():          # Progress and Epoch records; files are written as it goes
        ...
    print(run.finish()["sha256"])

While it is under way the folder also holds the encoded corpus (see word2vec/encoding.py) and last.npz, from which a
resume goes on with the same bits; at the end both are removed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dlscratch import backend, checkpoint
from dlscratch.checkpoint import write_text
from dlscratch.config.positions import to_yaml
from dlscratch.config.word2vec import Word2VecSettings
from dlscratch.datasets.sources import existing_file, open_binary
from dlscratch.errors import CheckpointError, DataError, DivergedError, UsageError
from dlscratch.nn.fields import check_fields
from dlscratch.nn.options import check_options
from dlscratch.runs.folder import RunFolder, clock, environment
from dlscratch.runs.stored_config import rebased_path
from dlscratch.word2vec import encoding
from dlscratch.word2vec.corpus import STDIN, Corpus
from dlscratch.word2vec.encoding import FACTS, IDS, Encoded, encode
from dlscratch.word2vec.plan import Plan, plan
from dlscratch.word2vec.softmax import OBJECTIVES
from dlscratch.word2vec.tokens import Tokenizer
from dlscratch.word2vec.trainer import Epoch, Progress, Trainer
from dlscratch.word2vec.vocabulary import Selection, read_stopwords

KIND = "word2vec"
SAVE_SECONDS = 30.0  # between two saves in the middle of an epoch,
EPOCH_SECONDS = 0.5  # and at ends of epochs;
SAVE_SHARE = 0.05  # but saving never takes more than this share of the time
ANEW = "start anew with --force"
RESULT = {"vocabulary": int, "dim": int, "sha256": str}

Tell = Callable[[int], None]


class Word2VecRun:
    """The settings, the folder that the files go to, and how far the training is."""

    encoded: Encoded
    trainer: Trainer

    def __init__(self, settings: Word2VecSettings, path: Path, tell: Tell | None = None) -> None:
        check_options(settings.options)
        check_options(settings.run)
        options = settings.options
        self.settings, self.folder = settings, RunFolder(path)
        self.threads = settings.run.threads or backend.cpu_count()
        self.corpus = _Watched(settings.corpus, options.errors, tell)
        self.tokenizer = Tokenizer(options.tokenizer, options.sentences, options.lowercase)
        stopwords = _stopwords(options.stopwords, self.tokenizer.lowercase)
        self.selection = Selection(options.min_count, options.max_vocab, stopwords)
        self.result: dict[str, Any] | None = None  # of a run that is finished
        self.seconds = {"encoding": 0.0, "training": 0.0}
        self._lines: list[dict[str, Any]] = []  # of metrics.jsonl, not yet written
        self._saved, self._pause = time.monotonic(), EPOCH_SECONDS
        own = {"kind": KIND, "corpus": self.corpus.files, "options": asdict(options), "threads": self.threads}
        self.facts: dict[str, Any] = {**environment(), **own, "started": clock(time.time())}

    @classmethod
    def start(
        cls, settings: Word2VecSettings, path: Path, *, force: bool = False, tell: Tell | None = None
    ) -> Word2VecRun:
        """A new run, its text counted and encoded; UsageError if the folder holds one (`force` replaces it).

        A run is replaced only when the new text has proved good. `tell` hears how many bytes of text were counted.
        """
        run = cls(settings, path, tell)
        run.folder.check(force=force)
        replacing = run.folder.holds_a_run
        if replacing:
            run.folder.lock()
        else:
            run._begin()
        try:
            run._encode()
        except BaseException:
            if not replacing:
                run.folder.clear()
            raise
        if replacing:
            run._begin(force=True)
        return run

    @classmethod
    def resume(cls, settings: Word2VecSettings, path: Path, tell: Tell | None = None) -> Word2VecRun:
        """Go on with the same bits as without the interruption; where nothing was trained yet, from the beginning.

        UsageError: no run there, or other options. DataError: the text changed. CheckpointError: damaged.
        """
        if STDIN in settings.corpus:
            how = "save the text to a file, and start the run with that"
            raise UsageError(f"--resume needs the text again, but stdin can be read only once; {how}")
        run = cls(settings, path, tell)
        before = run.folder.read_run()
        run._check_same(before)
        resumed = [*before.get("resumed", ()), clock(time.time())]
        run.facts |= {"started": before.get("started"), "resumed": resumed}
        if before.get("status") == "finished" and run.folder.vectors.exists():
            check_fields(before.get("result"), f"{run.folder.run}: result", RESULT)
            run.result = before["result"]
            run._tidy()  # if it was killed when it had only this to do
            return run
        run.folder.lock()
        run.folder.sweep()
        run._write_config()
        run._encode()
        lines = run._restore() if run.folder.last.exists() else ()
        run.folder.rewind_metrics(run.trainer.epoch, lines)
        return run

    def _begin(self, *, force: bool = False) -> None:
        self.folder.claim(force=force)
        self._write_config()

    def _write_config(self) -> None:
        """Write the config as seen from the run's folder, and run.json with the status of a run under way."""
        values = self.settings.values()
        values["corpus"] = [self._seen_from_folder(path) for path in self.settings.corpus]
        if "stopwords" in values:
            values["stopwords"] = self._seen_from_folder(values["stopwords"])
        self.folder.write_run({**self.facts, "status": "running"})  # first: a config.yaml alone is nobody's run
        write_text(self.folder.config, to_yaml(values), follow=False)

    def _seen_from_folder(self, path: str) -> str:
        return path if path == STDIN else rebased_path(path, Path(), self.folder.path)

    def _check_same(self, before: Mapping[str, Any]) -> None:
        """UsageError unless the folder holds a run of these options."""
        if before.get("kind") != KIND or not isinstance(before.get("options"), dict):
            how = ANEW if self.folder.holds_a_run else "start the run without --resume"
            raise UsageError(f"{self.folder.path}: there is no word2vec run to resume; {how}")
        old, new = before["options"], self.facts["options"]
        names = [name for name in new if name != "stopwords" and old.get(name) != new[name]]  # words: see _restore
        if names:
            head = f"{self.folder.path} has other options; change them back, or {ANEW}:"
            lines = [f"{name}: {old.get(name)} in the run, {new[name]} now" for name in names]
            raise UsageError("\n  ".join([head, *lines]))

    def _encode(self) -> None:
        begin = time.monotonic()
        self.encoded = encode(self.corpus, self.tokenizer, self.selection, self.folder.path)
        options = self.settings.options
        if options.stopwords is not None:  # the words themselves are in the recipe: where they lie must not matter
            options = replace(options, stopwords=Path(options.stopwords).name)
        self.trainer = OBJECTIVES[options.objective](self.encoded, options)
        self.seconds["encoding"] = time.monotonic() - begin

    def _restore(self) -> list[dict[str, Any]]:
        """Go back to what last.npz holds; the lines that metrics.jsonl may lack."""
        arrays, facts = checkpoint.load(self.folder.last)
        if facts.get("kind") != f"{KIND} state":
            raise CheckpointError(f"{self.folder.last}: expected the state of a word2vec run; {ANEW}")
        if facts.get("corpus") != self.encoded.fingerprint:
            raise DataError(f"{self.folder.path}: the text is not that which the run began with; {ANEW}")
        try:
            self.trainer.restore(arrays, facts)
            return [dict(line) for line in facts["lines"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"{type(error).__name__}: {error}"
            raise CheckpointError(f"{self.folder.last}: the state of the training is damaged ({what})") from error

    def train(self) -> Iterator[Progress | Epoch]:
        """Train to the end, and yield the trainer's records. Whoever stops taking them calls `interrupted()`."""
        if self.result is not None:
            return
        begin = self._saved = time.monotonic()
        try:
            for record in self.trainer.run(self.threads):
                self.seconds["training"] = time.monotonic() - begin
                if isinstance(record, Epoch):
                    self._end_epoch(record)
                elif time.monotonic() - self._saved >= max(SAVE_SECONDS, self._pause):
                    self.save()
                yield record
        except DivergedError as error:
            self._close("diverged", error=str(error))
            raise

    def _end_epoch(self, record: Epoch) -> None:
        line = {"epoch": record.epoch, "loss": record.loss, "lr": record.lr}
        line |= {"words_per_second": round(record.words_per_second), "seconds": round(self.seconds["training"], 3)}
        self._lines.append(line)
        over = record.epoch == self.settings.options.epochs  # then vectors.npz is written at once
        if not over and time.monotonic() - self._saved >= max(EPOCH_SECONDS, self._pause):
            self.save()

    def save(self) -> None:
        """Bring last.npz and metrics.jsonl up to date: in this order, so that the epochs that metrics.jsonl tells of
        are safe. The lines that it lacks when this is cut short are in last.npz, too.
        """
        begin = time.monotonic()
        arrays, facts = self.trainer.state()
        facts |= {"kind": f"{KIND} state", "lines": self._lines}
        checkpoint.save(self.folder.last, arrays, facts, follow=False)
        self._write_metrics()
        self._saved = time.monotonic()
        self._pause = (self._saved - begin) / SAVE_SHARE

    def _write_metrics(self) -> None:
        self.folder.append_metrics(self._lines)
        self._lines = []

    def interrupted(self) -> None:
        """Save everything for a resume; the encoded corpus stays, too."""
        self.save()
        self._close("interrupted")

    def _close(self, status: str, **more: Any) -> None:
        """Write run.json for the last time."""
        times = {"finished": clock(time.time()), "seconds": {key: round(x, 3) for key, x in self.seconds.items()}}
        self.folder.write_run({**self.facts, "status": status, **times, **more})

    def finish(self) -> dict[str, Any]:
        """Write vectors.npz, and remove what only a resume needs; the result, which run.json keeps."""
        if self.result is None:
            if self.folder.vectors.is_symlink():  # not to write through it
                self.folder.vectors.unlink()
            sha256 = self.trainer.save(self.folder.vectors, self.settings.run.input_only)
            self._write_metrics()
            self.result = {**self._summary(), "sha256": sha256}
            digests = self.folder.digests("vectors.npz")
            self._close("finished", corpus_sha256=self.encoded.fingerprint, sha256=digests, result=self.result)
            self._tidy()
        return {"folder": os.fspath(self.folder.path), "vectors": os.fspath(self.folder.vectors), **self.result}

    def _tidy(self) -> None:
        """Remove what only a resume needs."""
        self.folder.last.unlink(missing_ok=True)
        if not self.settings.run.keep_encoded:
            encoding.remove(self.folder.path)
        self.folder.sweep(FACTS)

    def _summary(self) -> dict[str, Any]:
        last = self.folder.read_metrics()[-1]
        sizes = {"vocabulary": len(self.encoded.vocabulary), "dim": self.settings.options.dim}
        report = asdict(self.encoded.report)
        return {**sizes, "corpus": report, "epochs": last["epoch"], "loss": last["loss"]}


class _Watched(Corpus):
    """A corpus that tells how much of it has been read."""

    def __init__(self, paths: tuple[str, ...], errors: Any, tell: Tell | None) -> None:
        super().__init__(paths, errors)
        self.tell = tell

    def pieces(self) -> Iterator[bytes]:
        for piece in super().pieces():
            if self.tell is not None:
                self.tell(len(piece))
            yield piece


def _stopwords(path: str | None, lowercase: bool) -> frozenset[str]:
    if path is None:
        return frozenset()
    with open_binary(existing_file(Path(path))) as file:
        try:
            words = read_stopwords(file.read().decode("utf-8-sig").splitlines())
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: byte {error.start} is not UTF-8; convert the file") from None
    return frozenset(map(str.lower, words)) if lowercase else words


def plan_run(settings: Word2VecSettings, path: Path, tell: Tell | None = None) -> Plan:
    """What a run would need; its text is counted and encoded in `planning_folder(path)`, which the caller removes."""
    folder = path if settings.run.keep_encoded else planning_folder(path)
    run = Word2VecRun(settings, folder, tell)
    run._encode()
    return plan(run.encoded, settings.options, run.threads)


def planning_folder(path: Path) -> Path:
    """A hidden folder in the nearest folder above `path` that there is: on the disk where the run would be."""
    above = next(folder for folder in (*path.parents, Path()) if folder.is_dir())
    return above / f".{path.name}.plan"


def abandon(path: Path) -> None:
    """Remove what counting and encoding have written so far: for a signal, after which nothing else is done."""
    unfinished = [path / f".{IDS}.tmp", *([] if (path / FACTS).exists() else [path / IDS])]
    for file in unfinished:
        file.unlink(missing_ok=True)
    RunFolder(path).sweep(FACTS)
