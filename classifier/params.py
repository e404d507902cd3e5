"""Hyperparameters: each section of params.yaml as a frozen dataclass, read strictly."""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails, PydanticCustomError
from yamlcore import CoreLoader

from classifier.runtime.errors import InputError

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Schedule = Literal["constant", "linear", "cosine"]
Precision = Literal["auto", "float32", "bfloat16"]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Views = Literal["plain", "mirrored", "shifted"]
URL_SCHEMES = ("http", "https", "file", "package")  # package: a file that a Python package brings along


def _checked_place(place: str) -> str:
    if not place.isprintable() or not place.strip():
        raise ValueError("should be a URL or the path of an archive or a folder")
    scheme = re.match(r"(\w[\w+.-]*)://", place)
    if scheme and scheme[1].lower() not in URL_SCHEMES:
        raise ValueError("should be a path (~ and $NAME are replaced) or a URL with http://, https:// or file://")
    return place


@dataclass(frozen=True, config=STRICT)
class DataParams:
    """The section `data`."""

    name: Literal["cifar10", "cifar100", "digits", "fashion_mnist", "mnist"]
    validation_fraction: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed
    sources: tuple[Annotated[str, AfterValidator(_checked_place)], ...]


@dataclass(frozen=True, config=STRICT)
class NetworkParams:
    """The section `network`."""

    design: Literal["study", "airbench"]
    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1)]
    activation: Literal["relu", "silu", "gelu"]
    whitening: bool
    logit_scale: Annotated[float, Field(gt=0, le=1000)]
    batch_norm: bool
    hidden_width: Annotated[int, Field(ge=1, le=65536)]
    first_kernel_size: Annotated[int, Field(ge=2, le=3)]


def _checked_flip(value: object) -> object:
    """Check in one piece what pydantic, as a union, would complain of once for each type, under keys that do not exist."""
    if isinstance(value, bool) or value == "alternating":
        return value
    raise PydanticCustomError("flip", "Input should be true, false or 'alternating'")


@dataclass(frozen=True, config=STRICT)
class AugmentationParams:
    """The section `augmentation`."""

    flip: Annotated[bool | Literal["alternating"], PlainValidator(_checked_flip)]
    crop_padding: Annotated[int, Field(ge=0, le=256)]
    crop_fill: Literal["black", "reflection"]


def _checked_freeze(shares: tuple[float, ...]) -> tuple[float, ...]:
    if list(shares) != sorted(shares):
        raise ValueError("should not fall, since a convolution needs gradients as long as one in front of it learns")
    return shares


@dataclass(frozen=True, config=STRICT)
class TrainParams:
    """The section `train`."""

    epochs: Count
    batch_size: Count
    learning_rate: Annotated[float, Field(gt=0, le=1000)]
    optimizer: Literal["adam", "sgd", "muon"]
    schedule: Schedule
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    image_sizes: tuple[Annotated[int, Field(ge=1, le=256)], ...]
    freeze: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], AfterValidator(_checked_freeze)]
    seed: Seed
    device: DeviceName
    precision: Precision


@dataclass(frozen=True, config=STRICT)
class EvaluateParams:
    """The section `evaluate`."""

    views: Views
    calibration_bins: Annotated[int, Field(ge=1, le=10_000)]


@dataclass(frozen=True, config=STRICT)
class PlotParams:
    """The section `plot`."""

    confusions: Annotated[int, Field(ge=0, le=50)]
    mistakes: Annotated[int, Field(ge=1, le=400)]
    dots_per_inch: Annotated[int, Field(ge=10, le=1200)]


@dataclass(frozen=True, config=STRICT)
class Params:
    """All of params.yaml."""

    data: DataParams
    network: NetworkParams
    augmentation: AugmentationParams
    train: TrainParams
    evaluate: EvaluateParams
    plot: PlotParams


def read_params(path: Path) -> Params:
    """Read and check a whole file of params.

    The file is read the way DVC writes it, as YAML 1.2: `1e-05` is a number.

    Raises
    ------
    InputError
        One line that names the first wrong key, what it got and what it takes.
    """
    return parse_params(read_yaml(path), str(path))


# Control characters, halves of surrogate pairs, and the line ends of YAML 1.1 that YAML 1.2 no longer has.
_ODD_CHARACTER = re.compile(r"[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Numbers that yamlcore and ruamel.yaml read alike; Python refuses integers of more than 4300 digits.
_NUMBER = re.compile(
    r"[-+]?[0-9]{1,100}(\.[0-9]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9]+([eE][-+][0-9]+)?|0x[0-9a-fA-F]{1,100}|0o[0-7]{1,100}"
)
# What at least one of the two takes for a number, a date, a default value or a merge of dictionaries.
_SPECIAL = re.compile(
    r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9_]+([eE][-+]?[0-9]+)?|[-+][0-9_]+"
    r"|[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+)"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:.*|=|<<"
)
_EMPTY_FIRST_LINE = re.compile(r".*\n *(\n|$)")  # of a block of text, below its | or >


class _AmbiguousError(yaml.MarkedYAMLError):
    """Part of a document that DVC's reader, ruamel.yaml, would read differently or not at all."""


class _Loader(CoreLoader):  # type: ignore[misc] # yamlcore has no types
    """PyYAML with the core schema of YAML 1.2; what ruamel.yaml would read differently raises _AmbiguousError."""

    def fetch_directive(self) -> None:
        raise _AmbiguousError(problem="should be without directives", problem_mark=self.get_mark())

    def fetch_document_end(self) -> None:
        raise _AmbiguousError(problem="should be without document end markers", problem_mark=self.get_mark())

    def fetch_value(self) -> None:
        if self.peek(1) not in " \n\0":
            raise _AmbiguousError(problem="should have a space after the colon", problem_mark=self.get_mark())
        super().fetch_value()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        problem = ""
        if isinstance(event, yaml.AliasEvent):
            anchored = self.anchors.get(event.anchor)
            if anchored and anchored.end_mark is None:  # not yet composed as a whole
                problem = "should not be an alias of a value that contains it"
        elif event.tag is not None:
            problem = "should be without a tag"
        elif isinstance(event, yaml.ScalarEvent):
            problem = _ambiguity_of_scalar(event, is_root=parent is None)
        if problem:
            raise _AmbiguousError(problem=problem, problem_mark=event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def _ambiguity_of_scalar(event: Any, is_root: bool) -> str:
    """Return what this scalar should be instead where ruamel.yaml would read it differently, otherwise an empty string."""
    plain = event.implicit[0]
    if plain and event.value == "<<":
        return "should be the keys that are to be merged"
    if plain and _SPECIAL.fullmatch(event.value) and not _NUMBER.fullmatch(event.value):
        return "should be a plain number, such as 1000, 0.5 or 1e-05, or text in quotes"
    if _SURROGATE.search(event.value):
        return "should be a character instead of the escaped halves of a surrogate pair"
    source = event.start_mark.buffer[event.start_mark.index : event.end_mark.index]
    if event.style in {"|", ">"} and (is_root or _EMPTY_FIRST_LINE.match(source)):
        return "should start with a line of text, below a key"
    return ""


def read_yaml(path: Path) -> Any:
    """Read a YAML file as `parse_yaml` does; a missing file raises InputError too."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run from the repository's root") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8: {error}") from None


def parse_yaml(text: str, where: str) -> Any:
    """Read one YAML 1.2 document (core schema): dictionaries, lists, text, numbers, booleans and None.

    DVC reads the same files with ruamel.yaml. What the two readers would take for different values is an error.

    Parameters
    ----------
    text
        The document; an empty one is None.
    where
        Where it comes from (a file, an option), for error messages.

    Raises
    ------
    InputError
        One line with the place and the line number: a syntax error, a duplicate key, a value that DVC would read differently.
    """
    where = where if where.isprintable() else json.dumps(where)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if odd := _ODD_CHARACTER.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        raise InputError(f"{where}, line {line}: not valid YAML: remove the character {odd[0]!a}")
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:  # the last three of escapes and deep nesting
        mark = getattr(error, "problem_mark", None) or loader.get_mark()
        rest = text[mark.index :].partition("\n")[0].strip()
        got = json.dumps(rest if len(rest) <= 60 else rest[:57] + "...")
        match error:
            case _AmbiguousError():
                problem = f"{error.problem}, got {got}"
            case RecursionError():
                problem = "not valid YAML: nested too deeply"
            case _:
                problem = " ".join(str(getattr(error, "problem", None) or error).split())
                if problem.endswith("got '?'"):
                    problem = "put text with a '?' in quotes"
                problem = f"not valid YAML: {problem}" + (f" at {got}" if rest else "")
        raise InputError(f"{where}, line {mark.line + 1}: {problem}") from None


def parse_params(values: Any, where: str) -> Params:
    """Check the values of a whole file of params; `where` names the file in errors.

    Raises
    ------
    InputError
        As `read_params`.
    """
    try:
        return TypeAdapter(Params).validate_json(json.dumps(values))  # in JSON, lists stand for tuples even in strict mode
    except ValidationError as error:
        # A misspelt key is both unknown and missing: the unknown one says more.
        complaints = sorted(error.errors(), key=lambda complaint: complaint["type"] != "unexpected_keyword_argument")
        raise InputError(f"{where}: {_older_form(complaints) or _in_one_line(complaints[0])}") from None


def _older_form(complaints: Sequence[ErrorDetails]) -> str:
    """Return what to change in params from versions in which `data.sources` listed archives with their checksums."""
    found = {
        complaint["loc"][:2]: complaint["type"]
        for complaint in complaints
        if complaint["loc"][:2] != ("data", "sources")
        or (isinstance(complaint["input"], dict) and complaint["type"] in {"tuple_type", "string_type"})
    }
    changes = []
    if ("data", "sources") in found:
        changes.append("data.sources should be a list of places to look in first, as in sources: [data/archives, ../shared]")
    if found.get(("train", "checkpoint_steps")) == "unexpected_keyword_argument":
        changes.append("train.checkpoint_steps should be removed")
    if changes and found.get(("train", "device")) == "missing":
        changes.append("train.device should be added, as in device: auto")
    return f"has the form of an earlier version; {'; '.join(changes)}" if changes else ""


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dictionaries as one, its keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _in_one_line(complaint: ErrorDetails) -> str:
    path = ".".join(map(str, complaint["loc"])) or "the whole file"
    key = path if path.isprintable() else json.dumps(path)
    got = json.dumps(complaint["input"])
    got = got if len(got) <= 80 else got[:77] + "..."
    match complaint["type"]:
        case "unexpected_keyword_argument":
            section = complaint["loc"][:-1]
            return f"{key}: unknown key; {'.'.join(map(str, section)) or 'the file'} takes {', '.join(_keys_of(section))}"
        case "missing":
            return f"{key}: missing"
        case "dataclass_type":
            return f"{key}: should be a section with the keys {', '.join(_keys_of(complaint['loc']))}, got {got}"
        case _:
            should = re.sub(r"^(Value error, |\w+ )should", "should", complaint["msg"])
            return f"{key}: {should}, got {got}"


def _keys_of(location: tuple[int | str, ...]) -> list[str]:
    """Names of the keys that the section at this location takes."""
    section: Any = Params
    for part in location:
        section = _types_of(section).get(str(part), section)
    return list(_types_of(section))


def _types_of(section: type) -> dict[str, Any]:
    return {field.name: field.type for field in dataclasses.fields(section)}
