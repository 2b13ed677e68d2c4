"""The whole config as one strict model: sections here, options from the constructors in the registries.

`load("config.yaml", ["training.epochs=3"])` gives the document (for positions) and the config, or a ConfigError with
every problem in one pass; then `config.training.epochs`, `config.model[0].kind`, `config.model[0].options`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError, create_model

from dlscratch.config.options import INITIALIZER, Marker, OneOf, Options, Section, Spec, Untitled, plain, summary
from dlscratch.config.overrides import apply_overrides
from dlscratch.config.positions import Document, read
from dlscratch.config.problems import config_error
from dlscratch.datasets.preprocessing import Preprocessing
from dlscratch.datasets.readers import READERS
from dlscratch.nn.layers import LAYERS
from dlscratch.nn.losses import LOSSES
from dlscratch.optim.optimizers import OPTIMIZERS
from dlscratch.optim.schedules import SCHEDULES
from dlscratch.training.early_stopping import EarlyStopping

M = TypeVar("M", bound=BaseModel)

LAYER, LOSS = OneOf("layer", LAYERS), OneOf("loss", LOSSES)
OPTIMIZER, SCHEDULE = OneOf("optimizer", OPTIMIZERS), OneOf("schedule", SCHEDULES)


class Part(OneOf):
    """Metadata: a fraction of the rows, or a reader of rows of their own."""

    words = "a fraction of the rows of at least 0 and less than 1, or a reader such as {csv: {path: test.csv}}"

    def validate(self, value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1:
            return value
        return super().validate(value)

    def json_schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "number", "minimum": 0, "exclusiveMaximum": 1}, super().json_schema()]}


class RunName(Marker):
    """Metadata: text that can name a folder."""

    words = 'a name of letters, digits, spaces, ".", "_" and "-", which begins with a letter or digit'
    pattern = r"^[^\W_][\w .-]*$"

    def validate(self, value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
            raise self.expected()
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": self.pattern}


class Duration(Marker):
    """Metadata: seconds, as a number or as text such as `90s`, `10m` or `1.5h`; seconds once validated."""

    words = "seconds greater than 0, or text such as 90s, 10m or 1.5h"
    pattern = r"^[0-9]+(\.[0-9]+)?[smh]$"

    def validate(self, value: Any) -> float:
        if isinstance(value, str) and re.fullmatch(self.pattern, value):
            value = float(value[:-1]) * {"s": 1, "m": 60, "h": 3600}[value[-1]]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise self.expected()
        return float(value)

    def json_schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": self.pattern}]}


class Files(Marker):
    """Metadata: parameters, and the file that each is read from."""

    words = "a mapping of parameters to files, such as {0.weight: vectors.npz}"

    def validate(self, value: Any) -> dict[str, str]:
        if not isinstance(value, dict) or not all(isinstance(file, str) for file in value.values()):
            raise self.expected()
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": {"type": "string"}}


PART = Part("reader", READERS)
PREPROCESSING = Options(Preprocessing, without="task")  # the task is a key of `data`


if TYPE_CHECKING:
    Readers = Section
else:  # one optional key for each reader
    _keys = {
        kind: (Annotated[dict[str, Any] | None, Options(reader)], Field(default=None, description=summary(reader)))
        for kind, reader in READERS.items()
    }
    Readers = create_model("Readers", __base__=Section, **_keys)


class Data(Readers):
    """Where the rows come from (one reader), and what is done to them."""

    task: Literal["auto", "classification", "regression"] = Field(
        default="auto", description="what to predict: a class or a number; auto looks at the target"
    )
    validation: Annotated[Any, PART] = Field(
        default=0.1, description="the rows that choose the best epoch: a fraction, or a reader; 0 for none"
    )
    test: Annotated[Any, PART] = Field(
        default=0.2, description="the rows that are kept for the final result: a fraction, or a reader; 0 for none"
    )
    preprocessing: Annotated[dict[str, Any], PREPROCESSING] = Field(
        default_factory=lambda: PREPROCESSING.validate({}), description="what is fitted on the training rows"
    )

    @property
    def reader(self) -> Spec:
        """The reader that was chosen."""
        return next(Spec(kind, getattr(self, kind)) for kind in READERS if getattr(self, kind) is not None)

    @classmethod
    def contradictions(cls, written: dict[str, Any]) -> Iterable[tuple[tuple[str, ...], str]]:
        """No reader, or several; and parts that leave no rows for training."""
        chosen = [kind for kind in READERS if kind in written]
        if len(chosen) != 1:
            got = f"{len(chosen)}: {', '.join(chosen)}" if chosen else "none"
            yield (), f"expected one reader ({', '.join(READERS)}), got {got}"
        fractions = [written.get("validation", 0.1), written.get("test", 0.2)]
        if all(isinstance(part, int | float) and 0 <= part < 1 for part in fractions) and sum(fractions) >= 1:
            yield ("test",), "validation and test together leave no rows to train on; make their sum less than 1"


class CheckpointEvery(Section):
    """When a run is also saved in the middle of an epoch; write one of the two."""

    steps: int | None = Field(default=None, ge=1, description="at every so many steps")
    minutes: float | None = Field(default=None, gt=0, description="when so much time is over since the last save")

    @classmethod
    def contradictions(cls, written: dict[str, Any]) -> Iterable[tuple[tuple[str, ...], str]]:
        given = [name for name in cls.model_fields if written.get(name) is not None]
        if len(given) != 1 and cls.model_fields.keys() >= written.keys():
            yield (), f"expected one of steps and minutes, got {'both' if given else 'neither'}"


class Training(Section):
    """How long and in what steps to train."""

    epochs: int = Field(default=10, ge=1, description="passes over the training rows")
    batch_size: int = Field(default=32, ge=1, description="rows in one step")
    clip_norm: float | None = Field(default=None, gt=0, description="the largest norm of all gradients together")
    clip_value: float | None = Field(default=None, gt=0, description="the largest magnitude of any gradient's entry")
    time_limit: Annotated[float, Duration()] | None = Field(default=None, description="stop after it, such as 10m")
    early_stopping: Annotated[dict[str, Any], Options(EarlyStopping)] | None = Field(
        default=None, description="stop when the result gets no better"
    )
    checkpoint_every: CheckpointEvery | None = Field(
        default=None, description="when to save inside an epoch, besides at its end; by default every 10 minutes"
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="processors to use: threads and, to train on images, a second process; by default all",
    )


class Config(Section):
    """A training run."""

    name: Annotated[str, RunName()] | None = Field(default=None, description="the run's name, by default the file's")
    seed: int = Field(default=0, ge=0, description="the one number that all randomness comes from")
    data: Data = Field(description="where the rows come from, and what is done to them")
    model: list[Annotated[Spec, LAYER]] = Field(min_length=1, description="the layers, first to last")
    initial: Annotated[dict[str, str], Files()] | None = Field(
        default=None, description="parameters that begin as word vectors from files"
    )
    loss: Annotated[Spec, LOSS] | None = Field(
        default=None, description="what to minimise; by default cross_entropy for classes, mse for numbers"
    )
    optimizer: Annotated[Spec, OPTIMIZER] = Field(description="how the parameters are changed")
    schedule: Annotated[Spec, SCHEDULE] | None = Field(default=None, description="how the learning rate changes")
    training: Training = Field(default_factory=lambda: Training(), description="how long and in what steps to train")


def load(path: str | Path, overrides: Iterable[str] = ()) -> tuple[Document, Config]:
    """Read, override and check a config file (`-`: stdin)."""
    document = apply_overrides(read(path), overrides)
    config = check(document, Config)
    name = "stdin" if str(path) == "-" else run_name(Path(path).stem)
    return document, config if config.name else config.model_copy(update={"name": name})


def base_of(path: str | Path) -> Path:
    """Where the relative paths in a config file start: its folder, of stdin the working directory."""
    return Path() if str(path) == "-" else Path(path).parent


def run_name(text: str) -> str:
    """The text as a run's name: other characters than a name may have become "_"."""
    return re.sub(r"[^\w .-]", "_", text).lstrip("_ .-") or "run"


def check(document: Document, model: type[M]) -> M:
    """The document as a typed object; ConfigError with every problem, in the order of the file."""
    try:
        return model.model_validate(document.values)
    except ValidationError as error:
        raise config_error(error, document, model) from None


def effective(config: Section) -> dict[str, Any]:
    """The plain values of a checked config, defaults filled in: what a run stores."""
    return dict(plain(config))


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a config file, for editors that complete and check."""
    schema = Config.model_json_schema(schema_generator=Untitled)
    choices = [LAYER, INITIALIZER, LOSS, OPTIMIZER, SCHEDULE, PART]
    schema["$defs"] |= {choice.name: choice.definition() for choice in choices}
    schema["$defs"]["Data"]["oneOf"] = [{"required": [kind]} for kind in READERS]
    schema["$defs"]["CheckpointEvery"]["oneOf"] = [{"required": [name]} for name in CheckpointEvery.model_fields]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_linked(schema),
        "title": "dlscratch config",
    }


def _linked(schema: Any) -> Any:
    """Turn `one_of` into a reference to the definition of that name."""
    if isinstance(schema, dict) and isinstance(schema.get("one_of"), str):
        rest = {key: value for key, value in schema.items() if key != "one_of"}
        return {"$ref": f"#/$defs/{schema['one_of']}", **rest}
    if isinstance(schema, dict):
        return {key: _linked(value) for key, value in schema.items()}
    return [_linked(value) for value in schema] if isinstance(schema, list) else schema
