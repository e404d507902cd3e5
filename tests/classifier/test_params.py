import copy
import datetime
import re
from pathlib import Path
from typing import Any

import pytest

from classifier.params import file_name, flatten, parse_params, read_params, read_yaml
from classifier.runtime.errors import InputError
from tests.conftest import ROOT


@pytest.fixture
def values() -> Any:
    return copy.deepcopy(read_yaml(ROOT / "params.yaml"))


def complaint(values: Any) -> str:
    with pytest.raises(InputError) as caught:
        parse_params(values, "params.yaml")
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("augmentation", "flip", 1, "params.yaml: augmentation.flip: should be true, false or 'alternating', got 1"),
        (
            "augmentation",
            "flip",
            "odd",
            """params.yaml: augmentation.flip: should be true, false or 'alternating', got "odd\"""",
        ),
        (
            "augmentation",
            "crop_fill",
            "x",
            """params.yaml: augmentation.crop_fill: should be 'black' or 'reflection', got "x\"""",
        ),
        ("train", "image_sizes", [0], "params.yaml: train.image_sizes.0: should be greater than or equal to 1, got 0"),
        ("train", "image_sizes", 24, "params.yaml: train.image_sizes: should be a valid array, got 24"),
        ("train", "freeze", [0.5, 1.5], "params.yaml: train.freeze.1: should be less than or equal to 1, got 1.5"),
        ("train", "freeze", [0.75, 0.5], "params.yaml: train.freeze: should not fall, since a convolution needs gradients"),
        ("train", "epochs", -3, "params.yaml: train.epochs: should be greater than or equal to 1, got -3"),
        ("train", "epochs", "abc", 'params.yaml: train.epochs: should be a valid integer, got "abc"'),
        ("train", "epochs", 2.0, "params.yaml: train.epochs: should be a valid integer, got 2.0"),
        ("train", "epochs", True, "params.yaml: train.epochs: should be a valid integer, got true"),
        ("train", "epochs", None, "params.yaml: train.epochs: should be a valid integer, got null"),
        ("train", "epochs", 10**30, "params.yaml: train.epochs: should be less than or equal to 1000000"),
        ("train", "learning_rate", float("nan"), "params.yaml: train.learning_rate: should be a finite number, got NaN"),
        ("train", "optimizer", "adm", "params.yaml: train.optimizer: should be"),
        ("data", "name", "mnist", "params.yaml: data.name: should be 'cifar10' or 'digits', got \"mnist\""),
        ("data", "validation_fraction", 1, "params.yaml: data.validation_fraction: should be less than 1, got 1"),
        ("network", "widths", [], "params.yaml: network.widths: should have at least 1 item"),
        ("network", "widths", [8, "a"], 'params.yaml: network.widths.1: should be a valid integer, got "a"'),
        ("network", "widths", 8, "params.yaml: network.widths: should be a valid array, got 8"),
    ],
)
def test_a_bad_value_is_refused_with_its_key_what_it_got_and_what_it_takes(
    values: Any, section: str, key: str, value: object, expected: str
) -> None:
    values[section][key] = value
    assert complaint(values).startswith(expected)


def test_a_misspelt_key_is_refused_with_the_keys_that_exist(values: Any) -> None:
    values["train"]["epoch"] = values["train"].pop("epochs")
    assert complaint(values) == (
        "params.yaml: train.epoch: unknown key; train takes epochs, batch_size, learning_rate, optimizer, schedule, "
        "weight_decay, label_smoothing, image_sizes, freeze, seed, device, precision"
    )


def test_a_misspelt_section_is_refused_with_the_sections_that_exist(values: Any) -> None:
    values["trian"] = values.pop("train")
    assert complaint(values) == (
        "params.yaml: trian: unknown key; the file takes data, network, augmentation, train, evaluate, plot"
    )


def test_a_missing_key_is_named(values: Any) -> None:
    del values["train"]["epochs"]
    assert complaint(values) == "params.yaml: train.epochs: missing"


@pytest.mark.parametrize("section", [None, [], 3, "text"])
def test_a_section_that_is_none_is_refused_with_the_keys_that_it_takes(values: Any, section: object) -> None:
    values["augmentation"] = section
    assert complaint(values).startswith("params.yaml: augmentation: should be a section with the keys flip, crop_padding")


def test_a_source_needs_a_whole_checksum(values: Any) -> None:
    values["data"]["sources"]["cifar10"][0]["checksum"] = "sha256:12"
    assert complaint(values).startswith("params.yaml: data.sources.cifar10.0.checksum: should match pattern")


@pytest.mark.parametrize("location", ["", "/", "https://server.org/", "..", "data/..", "a\nb", "http://[bad"])
def test_a_location_that_names_no_file_is_refused(values: Any, location: str) -> None:
    values["data"]["sources"]["cifar10"][0]["location"] = location
    line = complaint(values)
    assert line.startswith("params.yaml: data.sources.cifar10.0.location: ")
    if location != "http://[bad":
        assert ": should be a path or URL that ends in the name of a file, got " in line


@pytest.mark.parametrize(("location", "name"), [("../a/b.tar.gz", "b.tar.gz"), ("https://a.org/b.gz?c=/d", "b.gz"), ("b", "b")])
def test_the_name_of_a_file_is_the_last_part_of_its_location(location: str, name: str) -> None:
    assert file_name(location) == name


@pytest.mark.parametrize("flip", [True, False, "alternating"])
def test_flips_are_on_off_or_alternating(values: Any, flip: object) -> None:
    values["augmentation"]["flip"] = flip
    assert parse_params(values, "params.yaml").augmentation.flip == flip


def test_a_long_value_is_cut_at_80_characters(values: Any) -> None:
    for length, shown in ((78, f'"{"x" * 78}"'), (79, f'"{"x" * 76}...')):
        values["train"]["epochs"] = "x" * length
        assert complaint(values) == f"params.yaml: train.epochs: should be a valid integer, got {shown}"


def test_a_date_is_text_and_refused_as_such(values: Any) -> None:
    values["train"]["optimizer"] = datetime.date(2020, 1, 2)
    assert complaint(values).endswith(', got "2020-01-02"')


def test_a_key_that_would_break_the_line_is_shown_escaped(values: Any) -> None:
    values["train"]["a\nb"] = 1
    assert complaint(values).startswith('params.yaml: "train.a\\nb": unknown key; train takes epochs, ')


def test_keys_that_are_no_text_name_the_file(values: Any) -> None:
    values["train"][(1, 2)] = 1
    assert complaint(values).startswith("params.yaml: keys must be str")


def test_an_unknown_key_of_a_source_is_refused_with_the_keys_that_exist(values: Any) -> None:
    values["data"]["sources"]["cifar10"][0]["md5"] = "12"
    assert complaint(values) == (
        "params.yaml: data.sources.cifar10.0.md5: unknown key; data.sources.cifar10.0 takes location, checksum"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train:\n  epochs: 1\n  epochs: 2\n", 'line 3: not valid YAML: found duplicate key "epochs"'),
        ("train: [1\n", "line 2: not valid YAML"),
        ("x: !!python/object/apply:os.system [true]\n", "line 1: not valid YAML"),
        ("", "the whole file: should be a section"),
        ("- 1\n", "the whole file: should be a section"),
    ],
)
def test_a_file_that_is_no_params_file_is_refused_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"^[^\n]*$") as caught:
        read_params(path)
    assert expected in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; run from the repository's root"):
        read_params(tmp_path / "params.yaml")


def test_numbers_are_read_the_way_dvc_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(re.sub(r"learning_rate: \S+", "learning_rate: 1e-05", (ROOT / "params.yaml").read_text()))
    assert read_params(path).train.learning_rate == 1e-5


def test_flattening_joins_keys_by_dots() -> None:
    assert flatten({"a": {"b": 1, "c": [1]}, "d": 2}) == {"a.b": 1, "a.c": [1], "d": 2}
