"""A constructor's annotated signature -> a strict pydantic model: the signature is the schema.

Models are built when a config first uses their kind: of some forty kinds a config uses five, and a small training run
is over in the time that building all of them would take.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import GenericAlias, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_doc import Doc
from annotated_types import BaseMetadata, GroupedMetadata, MaxLen, MinLen
from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, create_model, model_validator
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from dlscratch.errors import did_you_mean
from dlscratch.nn.initializers import INITIALIZERS

LENGTHS = (MinLen, MaxLen)


class Section(BaseModel):
    """One mapping of a config: strict, frozen, no unknown keys, no NaN; null stands for an empty one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, value: Any, handler: Any) -> Any:
        """pydantic's check and `contradictions`, with the problems of both in one error."""
        value = {} if value is None else value
        found = cls.contradictions(value) if isinstance(value, dict) else ()
        details = [InitErrorDetails(type=problem(what), loc=path, input=None) for path, what in found]
        try:
            section = handler(value)
        except ValidationError as error:
            raise _rebuilt(error, (), details) from None
        if details:
            raise ValidationError.from_exception_data(cls.__name__, details)
        return section

    @classmethod
    def contradictions(cls, written: dict[str, Any]) -> Iterable[tuple[tuple[str, ...], str]]:
        """What is wrong with several keys of one section together: paths inside it, and messages."""
        return ()


@dataclass(frozen=True)
class Spec:
    """What a config chose: a kind from a registry, and every option of its constructor (defaults filled in)."""

    kind: str
    options: dict[str, Any]

    def value(self) -> Any:
        """The form it has in YAML: `{kind: {option: value}}`."""
        return {self.kind: plain(self.options)}


def plain(value: Any) -> Any:
    """Validated values as the JSON-like values that a config holds."""
    if isinstance(value, Spec):
        return value.value()
    if isinstance(value, Section):  # a key that is null is a key that is left out
        return {name: plain(inner) for name, inner in value if inner is not None}
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


class Marker:
    """Metadata in an Annotated hint: pydantic asks it to validate, messages ask it for words."""

    words: str

    def validate(self, value: Any) -> Any:
        raise NotImplementedError

    def json_schema(self) -> dict[str, Any]:
        raise NotImplementedError

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return self.json_schema()

    def expected(self) -> PydanticCustomError:
        """The error that reads "expected {words}, got …"."""
        return PydanticCustomError("expected", self.words)


@dataclass(frozen=True)
class Options(Marker):
    """The options of one constructor, as a dict; a parameter that holds layers is made of `layers`.

    `without` names a parameter that stands elsewhere in the config.
    """

    target: type
    layers: OneOf | None = None
    without: str = ""

    @property
    def model(self) -> type[Section]:
        return options_model(self.target, self.layers, self.without)

    @property
    def words(self) -> str:  # type: ignore[override]
        names = ", ".join(self.model.model_fields)
        return f"a mapping of options ({names})" if names else "no options"

    def validate(self, value: Any) -> dict[str, Any]:
        return dict(self.model.model_validate(value).__dict__)

    def json_schema(self) -> dict[str, Any]:
        return {**self.model.model_json_schema(schema_generator=Untitled), "description": summary(self.target)}


@dataclass(frozen=True, eq=False)
class OneOf(Marker):
    """One kind of a registry: its bare name (`relu`), or a mapping of that one name to options."""

    name: str
    registry: Mapping[str, type]

    @property
    def words(self) -> str:  # type: ignore[override]
        article = "an" if self.name[0] in "aeiou" else "a"
        kind = next(iter(self.registry), "name")
        return f'{article} {self.name} by name, or as one name with its options, such as "{kind}" or {{{kind}: {{…}}}}'

    def options(self, kind: str) -> Options:
        return Options(self.registry[kind], self)

    def validate(self, value: Any) -> Any:
        kind, options = self.split(value)
        try:
            return Spec(kind, self.options(kind).validate(options))
        except ValidationError as error:
            raise _rebuilt(error, (kind,), []) from None

    def split(self, value: Any) -> tuple[str, Any]:
        """The kind and the options as written."""
        if isinstance(value, str):
            value = {value: None}
        if not isinstance(value, dict) or not value:
            raise self.expected()
        if len(value) > 1:
            listed = ", ".join(value)
            raise problem(f"expected one {self.name}, got {len(value)}: {listed}; keep one of them")
        [(kind, options)] = value.items()
        if kind not in self.registry:
            hint = did_you_mean(kind, self.registry) or f"; there are {', '.join(self.registry)}"
            raise problem(f'unknown {self.name} "{kind}"{hint}')
        return kind, options

    def json_schema(self) -> dict[str, Any]:
        return {"one_of": self.name}  # schema.py turns this into a reference: layers hold layers

    def definition(self) -> dict[str, Any]:
        """The JSON Schema of this choice."""
        kinds = {kind: self.options(kind).json_schema() for kind in self.registry}
        bare = [kind for kind, schema in kinds.items() if not schema.get("required")]
        nullable = {kind: {"anyOf": [s, {"type": "null"}]} if kind in bare else s for kind, s in kinds.items()}
        mapping = {"type": "object", "properties": nullable, "additionalProperties": False}
        return {"anyOf": [{"enum": bare}, {**mapping, "minProperties": 1, "maxProperties": 1}]}


class Written(OneOf):
    """One kind of a registry that is passed on as it is written, `{kind: {option: value}}`: a layer's initializer."""

    def validate(self, value: Any) -> Any:
        return super().validate(value).value()


INITIALIZER = Written("initializer", INITIALIZERS)


class Untitled(GenerateJsonSchema):
    """JSON Schema without a title for each key that only repeats the key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def summary(target: type) -> str:
    """The first sentence of a docstring."""
    return (inspect.getdoc(target) or "").partition("\n\n")[0].replace("\n", " ")


@functools.cache
def options_model(target: type, layers: OneOf | None = None, without: str = "") -> type[Section]:
    """The strict model of a constructor's options: its parameters that are Annotated, with their Doc and bounds."""
    hints = get_type_hints(target.__init__, include_extras=True)  # type: ignore[misc]
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(target.__init__).parameters.items():  # type: ignore[misc]
        hint = hints.get(name)
        if get_origin(hint) is not Annotated or name == without:
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        if parameter.kind is parameter.VAR_POSITIONAL:
            hint, default = _listed(hint), []
        described = next((note.documentation for note in get_args(hint) if isinstance(note, Doc)), None)
        fields[name] = (strict(hint, layers), Field(default=default, description=described))
    return create_model(target.__name__, __base__=Section, **fields)


def _listed(hint: Any) -> Any:
    """`*layers: Annotated[Layer, Doc]` is a list in a config."""
    return Annotated[GenericAlias(list, get_args(hint)[:1]), *get_args(hint)[1:]]


def strict(hint: Any, layers: OneOf | None, rules: tuple[Any, ...] = ()) -> Any:
    """The hint for pydantic: bounds moved onto what they bound, tuples written as YAML lists, layers as OneOf."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(inner[0], inner[1:], layers, rules)
    if getattr(hint, "__name__", hint) == "Layer":
        return Annotated[Any, layers]
    if hint in (int, float, str):
        return _bounded(hint, [rule for rule in rules if isinstance(rule, LENGTHS) == (hint is str)])
    if origin is None or origin is Literal:
        return hint
    inside = tuple(member if member is ... else strict(member, layers, rules) for member in inner)
    if origin in (Union, UnionType):
        return functools.reduce(operator.or_, inside)
    if origin is tuple:
        return Annotated[GenericAlias(tuple, inside), Strict(False)]
    return _bounded(GenericAlias(origin, inside), [rule for rule in rules if isinstance(rule, LENGTHS)])


def _annotated(hint: Any, notes: tuple[Any, ...], layers: OneOf | None, rules: tuple[Any, ...]) -> Any:
    if any(isinstance(note, Marker) for note in notes):
        return Annotated[hint, *notes]
    if "layers" in notes:
        return GenericAlias(list, (Annotated[Any, layers],))
    if "initializer" in notes:
        return Annotated[Any, INITIALIZER] | None
    return strict(hint, layers, (*rules, *(rule for note in notes for rule in bounds_in(note))))


def _bounded(hint: Any, rules: list[Any]) -> Any:
    return Annotated[hint, *rules] if rules else hint


def bounds_in(note: Any) -> Iterator[Any]:
    """The simple bounds in one piece of metadata: `Interval` and `Len` hold two."""
    if isinstance(note, GroupedMetadata):
        yield from (rule for inner in note for rule in bounds_in(inner))
    elif isinstance(note, BaseMetadata):
        yield note


def problem(what: str) -> PydanticCustomError:
    """An error whose message is whole as it is."""
    return PydanticCustomError("problem", what)


def _rebuilt(error: ValidationError, above: tuple[str, ...], more: list[InitErrorDetails]) -> ValidationError:
    """The same errors one level deeper, and more of them."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError(line["type"], line["msg"]), loc=(*above, *line["loc"]), input=line["input"]
        )
        for line in error.errors(include_url=False, include_context=False)
    ]
    return ValidationError.from_exception_data(error.title, details + more)
