"""Hyperparameters: each section of params.yaml as a frozen dataclass, read strictly."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails
from yamlcore import CoreLoader

from classifier.runtime.errors import InputError

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Schedule = Literal["constant", "linear", "cosine"]
ClassWeights = Literal["none", "balanced"]
Precision = Literal["auto", "float32", "bfloat16"]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Views = Literal["plain", "mirrored", "shifted"]
TorchvisionDesign = Literal[
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "resnet34",
    "resnet50",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "swin_t",
    "vgg16",
    "vit_b_16",
]
Fit = Literal["crop", "pad", "stretch"]
URL_SCHEMES = ("http", "https", "file", "package")  # package: a file that a Python package brings along


def _checked_place(place: str) -> str:
    if not place.isprintable() or not place.strip():
        raise ValueError("should be a URL or a path")
    scheme = re.match(r"(\w[\w+.-]*)://", place)
    if scheme and scheme[1].lower() not in URL_SCHEMES:
        raise ValueError("should be a path (~ and $NAME are replaced) or a URL with http://, https:// or file://")
    return place


Place = Annotated[str, AfterValidator(_checked_place)]


def _checked_folder(folder: str) -> str:
    if not folder.isprintable() or not folder.strip() or "://" in folder:
        raise ValueError("should be the path of a folder (~ and $NAME are replaced)")
    return folder


@dataclass(frozen=True, config=STRICT)
class DataParams:
    """The section `data`."""

    name: Literal["cifar10", "cifar100", "digits", "fashion_mnist", "folder", "mnist"]
    validation_fraction: Share
    seed: Seed
    sources: Annotated[tuple[Place, ...], Field(description="a list of places, as in [data/archives, ../shared]")]
    folder: Annotated[str, AfterValidator(_checked_folder), Field(description="a path of a folder")]
    layout: Literal["auto", "classes", "splits"]
    test_fraction: Share
    image_size: Annotated[int, Field(ge=1, le=1024)]
    fit: Fit
    unreadable: Literal["stop", "skip"]
    duplicates: Literal["warn", "error"]


@dataclass(frozen=True, config=STRICT)
class NetworkParams:
    """The section `network`."""

    design: Literal["study", "airbench", TorchvisionDesign]
    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1)]
    activation: Literal["relu", "silu", "gelu"]
    whitening: bool
    logit_scale: Annotated[float, Field(gt=0, le=1000)]
    batch_norm: bool
    hidden_width: Annotated[int, Field(ge=1, le=65536)]
    first_kernel_size: Annotated[int, Field(ge=2, le=3)]
    pretrained: Annotated[Place, Field(description="a URL or a path, or none")]


@dataclass(frozen=True, config=STRICT)
class AugmentationParams:
    """The section `augmentation`."""

    flip: bool | Literal["alternating"]
    crop_padding: Annotated[int, Field(ge=0, le=256)]
    crop_fill: Literal["black", "reflection"]


def _checked_freeze(shares: tuple[float, ...]) -> tuple[float, ...]:
    if list(shares) != sorted(shares):
        raise ValueError("should not fall, since a layer needs gradients as long as one in front of it learns")
    return shares


def _checked_patience(patience: int, others: ValidationInfo) -> int:
    """Check against the fields above it."""
    found = others.data
    if patience and (found.get("schedule", "constant") != "constant" or found.get("image_sizes") or found.get("freeze")):
        raise ValueError(
            "should be 0 with a schedule that is not constant, with image_sizes and with freeze, "
            "which need the number of epochs"
        )
    return patience


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
    class_weights: ClassWeights
    image_sizes: tuple[Annotated[int, Field(ge=1, le=256)], ...]
    freeze: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], AfterValidator(_checked_freeze)]
    patience: Annotated[int, Field(ge=0, le=1_000_000), AfterValidator(_checked_patience)]
    temperature: Literal["none", "validation"]
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

    long_quote: tuple[yaml.Mark, yaml.Mark] | None = None  # start and end of the last text in quotes with a line break

    def fetch_directive(self) -> None:
        raise _AmbiguousError(problem="should be without directives", problem_mark=self.get_mark())

    def fetch_document_end(self) -> None:
        raise _AmbiguousError(problem="should be without document end markers", problem_mark=self.get_mark())

    def fetch_flow_scalar(self, style: str) -> None:
        start = self.get_mark()
        super().fetch_flow_scalar(style)
        if self.get_mark().line > start.line:
            self.long_quote = start, self.get_mark()

    def fetch_value(self) -> None:
        if self.peek(1) not in " \n\0":
            raise _AmbiguousError(problem="should have a space after the colon", problem_mark=self.get_mark())
        super().fetch_value()

    def scan_anchor(self, token: Any) -> Any:
        anchor = super().scan_anchor(token)
        if self.peek() not in " \t\n\0,]}":
            raise _AmbiguousError(problem="should have a space after the name", problem_mark=anchor.start_mark)
        return anchor

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
        One line with the place, line and column: a syntax error, a duplicate key, a value that DVC would read differently.
    """
    where = where if where.isprintable() else json.dumps(where)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if odd := _ODD_CHARACTER.search(text):
        line, column = text.count("\n", 0, odd.start()) + 1, odd.start() - text.rfind("\n", 0, odd.start())
        raise InputError(f"{where}, line {line}, column {column}: not valid YAML: remove the character {odd[0]!a}")
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:  # the last three of escapes and deep nesting
        mark, problem = _problem_in_words(error, loader)
        rest = re.split(r"\s#", text[mark.index :].partition("\n")[0])[0].strip()  # without a comment
        got = json.dumps(rest if len(rest) <= 60 else rest[:57] + "...")
        problem = f"{problem}, got {got}" if rest else problem
        raise InputError(f"{where}, line {mark.line + 1}, column {mark.column + 1}: {problem}") from None


# What PyYAML says, and what a person should do instead.
_PROBLEMS = {
    r"found duplicate key": "a key should stand only once",
    r"found unhashable key": "a key should be text",
    r".*got '\?'": "put text with a '?' in quotes",
    r"found character '\\t' .*": "indent with spaces, not with a tab",
    r"found character '(.)' that cannot start any token": r"put text that begins with \1 in quotes",
    r"found undefined alias .*": "put text that begins with * in quotes",
    r"(block )?sequence entries are not allowed here": "put a list in [ ], or each - item on a line below the key",
    r"mapping values are not allowed here": "put text with a colon in quotes, and a space before the # of a comment",
    r"could not find expected ':'": "a key should be followed by a colon and a space",
    r"expected <block end>, but found '<block mapping start>'": (
        "indent like the line above, whose key should be followed by a colon and a space"
    ),
    r"expected <block end>, but found .*": "nothing should follow the value",
    r"expected '<document start>', but found .*": "nothing should follow the value, and a key be indented like the first one",
    r"expected ',' or '(.)', but got .*": r"should have a comma between items and a \1 at the end",
    r"(expected the node content, but )?found (unexpected end of stream|'<stream end>')": "should be closed",
    r"found unknown escape character .*": "double the backslash, or use single quotes",
    r"Python int too large .*|chr\(\) arg .*": "remove the escape of a character that does not exist",
    r"but found another document": "should be one document, without ---",
}


def _problem_in_words(error: Exception, loader: _Loader) -> tuple[yaml.Mark, str]:
    """Return where a document is not valid, and what to do there: the start of what is not closed, not where that shows."""
    mark = getattr(error, "problem_mark", None) or loader.get_mark()
    if isinstance(error, _AmbiguousError):
        return mark, str(error.problem)
    if isinstance(error, RecursionError):
        return mark, "not valid YAML: nested too deeply"
    if loader.long_quote and loader.long_quote[1].line == mark.line:  # closed by the next quote, as in a comment
        return loader.long_quote[0], "not valid YAML: a quote should be closed in its line"
    problem = " ".join(str(getattr(error, "problem", None) or error).split())
    start, context = getattr(error, "context_mark", None), str(getattr(error, "context", ""))
    shows_later = mark.index == len(loader.buffer) - 1 or (start and start.line < mark.line and not problem.endswith("'?'"))
    if start and shows_later and re.search("quoted scalar|flow|simple key", context):
        mark = start
    for pattern, words in _PROBLEMS.items():
        if match := re.fullmatch(pattern, problem):
            return mark, f"not valid YAML: {match.expand(words)}"
    return mark, f"not valid YAML: {problem}"


def check_mapping(values: Any, where: str) -> Mapping[str, Any]:
    """Return the content of a file that consists of keys and values; another one, as an empty one, raises InputError."""
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: should consist of keys and values, got {_shortened(values)}")
    return values


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


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return the part of an error message that names what a misspelt word resembles, or an empty string."""
    near = get_close_matches(word.lower(), names, 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _in_one_line(complaint: ErrorDetails) -> str:
    found, schema = _known(complaint["loc"])
    path = ".".join(map(str, complaint["loc"] if complaint["type"] == "unexpected_keyword_argument" else found))
    key = (path if path.isprintable() else json.dumps(path)) or "the whole file"
    got = _shortened(complaint["input"])
    match complaint["type"]:
        case "unexpected_keyword_argument":
            takes = f"{'.'.join(map(str, found)) or 'the file'} takes {', '.join(schema['properties'])}"
            return f"{key}: unknown key{_nearest_key(found, schema, str(complaint['loc'][-1]))}; {takes}"
        case "missing":
            return f"{key}: missing; it should be {_in_words(schema)}"
        case "value_error":
            return f"{key}: {complaint['msg'].removeprefix('Value error, ')}, got {got}"
        case _:
            word, names = complaint["input"], [choice.strip("'") for choice in _choices(schema)]
            nearest = did_you_mean(word, names) if isinstance(word, str) else ""
            return f"{key}: should be {_in_words(schema)}, got {got}{nearest}"


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _known(location: Sequence[int | str]) -> tuple[Sequence[int | str], dict[str, Any]]:
    """Return the part of a location that exists in params, and its JSON schema: without unknown keys and names of types."""
    definitions = TypeAdapter(Params).json_schema(ref_template="{model}")
    schema = definitions
    for number, part in enumerate(location):
        inner = schema.get("items") if isinstance(part, int) else schema.get("properties", {}).get(part)
        if inner is None:
            return location[:number], schema
        schema = definitions["$defs"].get(inner.get("$ref"), inner)
    return location, schema


def _nearest_key(section: Sequence[int | str], schema: Mapping[str, Any], name: str) -> str:
    """Return the part of an error message that names the key which an unknown one resembles, or the sections that have it."""
    near = [".".join(map(str, [*section, key])) for key in get_close_matches(name.lower(), schema["properties"], 1)]
    others = [other for other in _known(())[1]["properties"] if name in _known((other,))[1]["properties"]]
    found = near or [f"{other}.{name}" for other in others]
    return f" (did you mean {' or '.join(found)}?)" if found else ""


def _in_words(schema: Mapping[str, Any], many: bool = False) -> str:
    """Return what a JSON schema allows, for one value or for the items of a list."""
    if "description" in schema and "properties" not in schema:
        return str(schema["description"])
    match schema.get("type"):
        case "object":
            return f"a section with the keys {', '.join(schema['properties'])}"
        case "array":
            return f"a list of {'one or more ' if schema.get('minItems') else ''}{_in_words(schema['items'], many=True)}"
        case "integer":
            return f"{'integers' if many else 'an integer'} {_range_in_words(schema)}"
        case "number":
            return f"{'numbers' if many else 'a number'} {_range_in_words(schema)}"
    *others, last = _choices(schema) or ["text"]
    return f"{', '.join(others)} or {last}" if others else last


def _choices(schema: Mapping[str, Any]) -> list[str]:
    if schema.get("type") == "boolean":
        return ["true", "false"]
    inner = [choice for each in schema.get("anyOf", ()) for choice in _choices(each)]
    return inner or [repr(name) for name in schema.get("enum", [schema["const"]] if "const" in schema else [])]


def _range_in_words(schema: Mapping[str, Any]) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f"from {schema['minimum']} to {schema['maximum']}"
    low = f"of at least {schema['minimum']}" if "minimum" in schema else f"greater than {schema['exclusiveMinimum']}"
    high = f"at most {schema['maximum']}" if "maximum" in schema else f"less than {schema['exclusiveMaximum']}"
    return f"{low} and {high}"
