"""Every mutation of a valid file of params either trains, or is refused with one line that names what is wrong.

And every YAML document is read as DVC reads it, or refused.
"""

import copy
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from dvc.utils.serialize import parse_yaml as parse_as_dvc
from dvc.utils.serialize import parse_yaml_for_update
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifier.data.split import DatasetInfo, Split
from classifier.networks.build import build_network, fit_whitening
from classifier.networks.device import Device
from classifier.params import Params, flatten, parse_yaml, read_params, read_yaml
from classifier.runtime.errors import InputError
from classifier.training.trainer import Training
from tests.conftest import ROOT, parameters

VALID = parse_yaml(parameters(), "params.yaml")
KEYS = list(flatten(VALID))
SECTIONS = list(VALID)
DESCRIPTION = DatasetInfo(("dark", "bright", "striped"), (0.5,), (0.25,))
SPLIT = Split(np.arange(12 * 64, dtype=np.uint8).reshape(12, 8, 8, 1), np.arange(12) % 3)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.sampled_from([10**6, 10**6 + 1, 2**32, 2**63, 10**30, -(10**30)]),
    st.floats(),
    st.floats(0, 1),
    st.text(max_size=8),
    st.sampled_from(
        [
            "study",
            "airbench",
            "relu",
            "gelu",
            "silu",
            "adam",
            "sgd",
            "muon",
            "linear",
            "cosine",
            "constant",
            "alternating",
            "black",
            "reflection",
            "none",
            "balanced",
            "validation",
        ]
    ),
    st.sampled_from(["float32", "bfloat16", "auto", "cifar10", "digits", "plain", "shifted", "mirrored", "1e-5"]),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(st.one_of(SCALARS, st.integers(1, 64)), max_size=4),
    st.dictionaries(st.text(max_size=4), SCALARS, max_size=2),
)


class Dumper(yaml.SafeDumper):
    """Puts text in quotes, since what PyYAML writes as plain text (1e5) is a number in YAML 1.2."""


Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def written(values: Any) -> str:
    return yaml.dump(values, Dumper=Dumper, width=math.inf)


def complaint(text: str, folder: Path) -> tuple[Params | None, str]:
    """The params of a file, or the line with which it is refused."""
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        return read_params(path), ""
    except InputError as error:
        line = str(error)
        assert line.isprintable(), "one line, and nothing in it that a terminal would obey"
        assert len(line) < 1000
        return None, line


def train_one_step(params: Params) -> str:
    """Train a step with these params on twelve tiny images; return the line with which it is refused, if it is."""
    try:
        network = build_network(params.network, (8, 8, 1), DESCRIPTION, params.train.seed)
        fit_whitening(network, torch.from_numpy(SPLIT.images))
        device = Device("cpu", "float32" if params.train.precision == "auto" else params.train.precision)
        Training(network, SPLIT, SPLIT, params.augmentation, params.train, device).run_epoch(lambda *_: None)
    except InputError as error:
        return str(error)
    return ""


def put(values: Any, key: str, value: object) -> None:
    *sections, last = key.split(".")
    for section in sections:
        values = values[section]
    values[last] = value


# Examples come from the test's own source, so the same ones are tried every time.
examples = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
few_examples = settings(examples, max_examples=30)  # of what differs little from one to the next


@examples
@given(key=st.sampled_from(KEYS), value=VALUES)
def test_another_value_trains_a_step_or_is_refused_by_its_key(tmp_path: Path, key: str, value: object) -> None:
    values = copy.deepcopy(VALID)
    put(values, "network.widths", [4, 8])
    put(values, key, value)
    params, line = complaint(written(values), tmp_path)
    line = line or (train_one_step(params) if params else "")
    assert line.isprintable()
    assert not line or key in line, line


@examples
@given(
    batch_size=st.integers(1, 12),
    design=st.sampled_from(["study", "airbench"]),
    widths=st.lists(st.just(4), min_size=1, max_size=7),
    whitening=st.booleans(),
    image_sizes=st.lists(st.integers(1, 12), max_size=2),
)
def test_small_batches_of_small_maps_train_a_step_or_are_refused_by_a_key(tmp_path: Path, **choice: Any) -> None:
    values = copy.deepcopy(VALID)
    values["network"] |= {name: choice[name] for name in ("design", "widths", "whitening")}
    values["train"] |= {name: choice[name] for name in ("batch_size", "image_sizes")}
    params, line = complaint(written(values), tmp_path)
    assert params
    line = train_one_step(params)
    assert not line or re.match(r"params\.yaml: (network\.widths|train\.(batch_size|image_sizes)): ", line), line


@few_examples
@given(section=st.sampled_from(SECTIONS), value=VALUES)
def test_a_section_that_is_none_is_refused_by_its_name(tmp_path: Path, section: str, value: object) -> None:
    params, line = complaint(written(VALID | {section: value}), tmp_path)
    assert params is None
    assert section in line, line


@pytest.mark.parametrize("key", [*KEYS, *SECTIONS])
def test_a_missing_key_is_refused_by_its_name(tmp_path: Path, key: str) -> None:
    values = copy.deepcopy(VALID)
    *sections, last = key.split(".")
    inside = values
    for section in sections:
        inside = inside[section]
    del inside[last]
    params, line = complaint(written(values), tmp_path)
    assert params is None
    assert line.startswith(f"{tmp_path / 'params.yaml'}: {key}: missing; it should be ")


@few_examples
@given(section=st.sampled_from(["", *(f"{section}." for section in SECTIONS)]), name=st.text(min_size=1), value=VALUES)
def test_an_unknown_key_is_refused_with_those_that_exist(tmp_path: Path, section: str, name: str, value: object) -> None:
    values = copy.deepcopy(VALID)
    inside = values[section.rstrip(".")] if section else values
    if name in inside:
        return
    inside[name] = value
    params, line = complaint(written(values), tmp_path)
    assert params is None
    assert "unknown key" in line, line
    assert "takes" in line, line


@pytest.mark.parametrize("key", [*KEYS, *SECTIONS])
def test_a_duplicate_key_is_refused_with_its_line(tmp_path: Path, key: str) -> None:
    lines = (ROOT / "params.yaml").read_text().splitlines()
    section, _, name = key.partition(".")
    number = next(n for n, line in enumerate(lines) if line.startswith(f"{section}:"))
    if name:
        number = next(n for n in range(number + 1, len(lines)) if lines[n].startswith(f"  {name}:"))
    lines.insert(number + 1, lines[number])
    params, line = complaint("\n".join(lines), tmp_path)
    assert params is None
    column = len(lines[number]) - len(lines[number].lstrip()) + 1
    expected = (
        f"{tmp_path / 'params.yaml'}, line {number + 2}, column {column}: not valid YAML: a key should stand only once, got "
    )
    assert line.startswith(expected)


@few_examples
@given(text=st.one_of(st.text(), VALUES.map(written)))
def test_any_other_text_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    params, line = complaint(text, tmp_path)
    assert params is None
    assert line.startswith(f"{tmp_path / 'params.yaml'}")


@few_examples
@given(data=st.data())
def test_a_few_characters_changed_are_valid_or_refused_in_one_line(tmp_path: Path, data: st.DataObject) -> None:
    text = (ROOT / "params.yaml").read_text()
    where = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 20))
    complaint(text[:where] + data.draw(st.text(max_size=5)) + text[where + length :], tmp_path)


# What scalars, and then whole documents, are made of that readers of YAML may disagree about.
SCALAR = st.text("0123456789+-._eExXoObB:TtZ aAfF=<~nN", min_size=1, max_size=8)
CHARACTERS = "ab1~=-?:,[]{}#!|>&*%@`'\"\\ \t\n\r\0\x85\xa0\u2028\ufeffé😀"
# fmt: off
WORDS = [
    "1_0", "1e5", ".5", "-0x1", ".inf", "2020-01-01", "<<", "null", "true", "yes", "%YAML", "%YAML 1.1\n---\n", "---", "...",
    "\n---\n", "\n...\n", "a: ", "b: ", "- ", "? ", "a:b", ":a", "?a", "-a", '"a"', "'b'", "''", '""', "&x ", "*x ", "!!int ",
    "!t ", "\\n", "\\x41", "\\ud83d", "|-", "|2", ">-", "a: |\n  ", "- >\n  ", "k:\n  b: ", " # c\n", "  ", "\r\n", "\n  ",
    "\n    ", "\n- ", "\n\n",
]
# fmt: on
TOKENS = [*CHARACTERS, *WORDS]
DOCUMENT = st.lists(st.sampled_from(TOKENS), max_size=10).map("".join)


def read(text: str) -> tuple[Any, str]:
    """The value of a document, or the line with which it is refused."""
    try:
        return parse_yaml(text, "params.yaml"), ""
    except InputError as error:
        return None, str(error)


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same: 1, 1.0 and true are not, .nan and .nan are."""
    if isinstance(one, dict) and isinstance(other, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and repr(one) == repr(other)


@pytest.mark.parametrize("number", [500, pytest.param(5000, marks=pytest.mark.slow)])
def test_yaml_is_read_as_dvc_reads_it_or_refused_in_one_line(number: int) -> None:
    texts = st.one_of(SCALAR, SCALAR.map("a: {}".format), SCALAR.map("[{}]".format), DOCUMENT, DOCUMENT, DOCUMENT)
    settings(examples, max_examples=number)(given(text=texts)(check_reading))()


def check_reading(text: str) -> None:
    value, line = read(text)
    if line:
        assert re.match(r"params\.yaml, line \d+, column \d+: \w", line)
        assert line.isprintable()
    else:
        assert same(value or {}, parse_as_dvc(text, "params.yaml"))
        parse_yaml_for_update(text, "params.yaml")  # DVC's other reader, for `-S`, takes it as well


PROJECT_FILES = [ROOT / "params.yaml", ROOT / "dvc.yaml", ROOT / "dvc.lock", *sorted(ROOT.glob("variants/*.yaml"))]


@pytest.mark.parametrize("path", PROJECT_FILES, ids=lambda path: path.name)
def test_the_files_of_the_project_are_read_as_dvc_reads_them(path: Path) -> None:
    assert same(read_yaml(path) or {}, parse_as_dvc(path.read_text(encoding="utf-8"), path))


def test_bytes_that_are_no_text_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"\xff\xfe\x00train")
    with pytest.raises(InputError, match=r"not text in UTF-8"):
        read_params(path)


def test_the_mutated_file_is_valid_before_it_is_mutated() -> None:
    assert parse_yaml(written(VALID), "") == VALID
    assert train_one_step(read_params(ROOT / "params.yaml")) == ""
