"""Hyperparameters: each section of params.yaml as a frozen dataclass, read strictly."""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails, PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from classifier.runtime.errors import InputError

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Schedule = Literal["constant", "linear", "cosine"]
Precision = Literal["auto", "float32", "bfloat16"]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Views = Literal["plain", "mirrored", "shifted"]


def file_name(location: str) -> str:
    """Return the name of the file at a URL or path: its last part."""
    return PurePosixPath(urlsplit(location).path).name


def _checked_location(location: str) -> str:
    if not location.isprintable() or file_name(location) in {"", ".."}:
        raise ValueError("should be a path or URL that ends in the name of a file")
    return location


@dataclass(frozen=True, config=STRICT)
class Source:
    """Where an archive can be had (URL, path, or package://PACKAGE/FILE) and the checksum that its bytes must have."""

    location: Annotated[str, AfterValidator(_checked_location)]
    checksum: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$")]


@dataclass(frozen=True, config=STRICT)
class DataParams:
    """The section `data`."""

    name: Literal["cifar10", "digits"]
    validation_fraction: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed
    sources: dict[Literal["cifar10", "digits"], Annotated[tuple[Source, ...], Field(min_length=1)]]


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


def read_yaml(path: Path) -> Any:
    """Read a YAML 1.2 file; a missing file, a duplicate key or a syntax error raises InputError."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run from the repository's root") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8: {error}") from None


def parse_yaml(text: str, where: str) -> Any:
    """Read YAML 1.2; `where` names its place in errors. A duplicate key or a syntax error raises InputError."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError, TypeError, AttributeError) as error:  # the last four of odd values and tags
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split(" with value")[0].split())
        raise InputError(f"{where}{line}: not valid YAML: {problem}") from None


def parse_params(values: Any, where: str) -> Params:
    """Check the values of a whole file of params; `where` names the file in errors.

    Raises
    ------
    InputError
        As `read_params`.
    """
    try:
        # In JSON, lists stand for tuples even in strict mode. Dates and other YAML extras become text, which no key takes.
        return TypeAdapter(Params).validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        # A misspelt key is both unknown and missing: the unknown one says more.
        complaints = sorted(error.errors(), key=lambda complaint: complaint["type"] != "unexpected_keyword_argument")
        raise InputError(f"{where}: {_in_one_line(complaints[0])}") from None
    except (TypeError, ValueError, RecursionError) as error:  # of keys and values for which JSON has no form
        raise InputError(f"{where}: {error}") from None


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
        section = Source if section is DataParams and part == "sources" else _types_of(section).get(str(part), section)
    return list(_types_of(section))


def _types_of(section: type) -> dict[str, Any]:
    return {field.name: field.type for field in dataclasses.fields(section)}
