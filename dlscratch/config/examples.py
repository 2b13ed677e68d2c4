"""The example configs and their data, out of the wheel (or the checkout) into a folder of the user's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dlscratch.checkpoint import atomic_write
from dlscratch.errors import DataError, UsageError, did_you_mean

PACKAGE = Path(__file__).parents[1]
DATA = re.compile(r"\.\./data/([^\s,\]}]+)")


@dataclass(frozen=True)
class Example:
    """A config with its paths beside it, the files that come along, and those that the user has to bring."""

    name: str
    text: str
    files: dict[str, Path]
    absent: tuple[str, ...]

    def write(self, folder: Path, *, force: bool = False) -> list[Path]:
        """Write the config and its files; UsageError, before anything is written, where one would be overwritten.

        A file that is there already with the same contents is no obstacle.
        """
        contents = {folder / name: _read(source) for name, source in self.files.items()}
        contents[folder / f"{self.name}.yaml"] = self.text.encode()
        for path, content in contents.items():
            if not force and path.exists() and not (path.is_file() and _read(path) == content):
                raise UsageError(f"{path}: exists already and is not the example's; use another folder, or --force")
        for path, content in contents.items():
            with atomic_write(path) as file:
                file.write(content)
        return list(contents)


def examples() -> list[str]:
    """The names of the example configs."""
    return sorted(path.stem for path in _folder("configs").glob("*.yaml"))


def example(name: str) -> Example:
    """An example by name; UsageError with all names where there is none."""
    if name not in examples():
        names = ", ".join(examples())
        raise UsageError(f'there is no example "{name}"{did_you_mean(name, examples())}; the examples are {names}')
    text = _read(_folder("configs") / f"{name}.yaml").decode()
    named = list(dict.fromkeys(DATA.findall(text)))
    files = {each: _folder("data") / each for each in named}
    text = text.replace("../data/", "").replace("dlscratch train configs/", "dlscratch train ").replace("data/", "")
    present = {each: path for each, path in files.items() if path.is_file()}
    return Example(name, text, present, tuple(each for each in named if each not in present))


def _folder(kind: str) -> Path:
    """configs/ or data/: inside an installed package, beside the package in a checkout."""
    installed = PACKAGE / "examples" / kind
    return installed if installed.is_dir() else PACKAGE.parent / kind


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error

