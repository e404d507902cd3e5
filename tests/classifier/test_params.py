import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from dvc.utils.hydra import apply_overrides

from classifier.data.readers import READERS
from classifier.data.registry import DATA_SETS
from classifier.networks.layers import ACTIVATIONS
from classifier.params import (
    DataParams,
    EvaluateParams,
    NetworkParams,
    TrainParams,
    flatten,
    parse_params,
    parse_yaml,
    read_params,
    read_yaml,
)
from classifier.runtime.errors import InputError
from classifier.variants import merge
from tests.conftest import ROOT, parameters


@pytest.fixture
def values() -> Any:
    return dict(parse_yaml(parameters(), "params.yaml"))


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
        ("train", "image_sizes", [0], "params.yaml: train.image_sizes.0: should be an integer from 1 to 256, got 0"),
        ("train", "image_sizes", 24, "params.yaml: train.image_sizes: should be a list of integers from 1 to 256, got 24"),
        ("train", "freeze", [0.5, 1.5], "params.yaml: train.freeze.1: should be a number from 0 to 1, got 1.5"),
        ("train", "freeze", [0.75, 0.5], "params.yaml: train.freeze: should not fall, since a layer needs gradients"),
        ("train", "epochs", -3, "params.yaml: train.epochs: should be an integer from 1 to 1000000, got -3"),
        ("train", "epochs", "abc", 'params.yaml: train.epochs: should be an integer from 1 to 1000000, got "abc"'),
        ("train", "epochs", 2.0, "params.yaml: train.epochs: should be an integer from 1 to 1000000, got 2.0"),
        ("train", "epochs", True, "params.yaml: train.epochs: should be an integer from 1 to 1000000, got true"),
        ("train", "epochs", None, "params.yaml: train.epochs: should be an integer from 1 to 1000000, got null"),
        ("train", "epochs", 10**30, "params.yaml: train.epochs: should be an integer from 1 to 1000000, got 1000"),
        (
            "train",
            "learning_rate",
            float("nan"),
            "params.yaml: train.learning_rate: should be a number greater than 0 and at most 1000, got NaN",
        ),
        (
            "train",
            "optimizer",
            "adm",
            "params.yaml: train.optimizer: should be 'adam', 'sgd' or 'muon', got \"adm\" (did you mean adam?)",
        ),
        ("train", "patience", -1, "params.yaml: train.patience: should be an integer from 0 to 1000000, got -1"),
        ("train", "class_weights", "x", """params.yaml: train.class_weights: should be 'none' or 'balanced', got "x\""""),
        ("train", "temperature", 2, "params.yaml: train.temperature: should be 'none' or 'validation', got 2"),
        (
            "data",
            "name",
            "emnist",
            "params.yaml: data.name: should be 'cifar10', 'cifar100', 'digits', 'fashion_mnist', 'folder' or 'mnist', "
            'got "emnist" (did you mean mnist?)',
        ),
        (
            "data",
            "sources",
            ["data/archives", "s3://bucket/a"],
            "params.yaml: data.sources.1: should be a path (~ and $NAME are replaced) "
            'or a URL with http://, https:// or file://, got "s3://bucket/a"',
        ),
        (
            "data",
            "validation_fraction",
            1,
            "params.yaml: data.validation_fraction: should be a number greater than 0 and less than 1, got 1",
        ),
        (
            "data",
            "sources",
            "a",
            'params.yaml: data.sources: should be a list of places, as in [data/archives, ../shared], got "a"',
        ),
        (
            "data",
            "name",
            "CIFAR-10",
            "params.yaml: data.name: should be 'cifar10', 'cifar100', 'digits', 'fashion_mnist', 'folder' or 'mnist', "
            'got "CIFAR-10" (did you mean cifar10?)',
        ),
        ("network", "batch_norm", "yes", 'params.yaml: network.batch_norm: should be true or false, got "yes"'),
        (
            "train",
            "label_smoothing",
            1,
            "params.yaml: train.label_smoothing: should be a number of at least 0 and less than 1, got 1",
        ),
        (
            "network",
            "widths",
            [],
            "params.yaml: network.widths: should be a list of one or more integers from 1 to 4096, got []",
        ),
        ("network", "widths", [8, "a"], 'params.yaml: network.widths.1: should be an integer from 1 to 4096, got "a"'),
        ("network", "widths", 8, "params.yaml: network.widths: should be a list of one or more integers from 1 to 4096, got 8"),
    ],
)
def test_a_bad_value_is_refused_with_its_key_what_it_got_and_what_it_takes(
    values: Any, section: str, key: str, value: object, expected: str
) -> None:
    values[section][key] = value
    assert complaint(values).startswith(expected)


def test_a_misspelt_key_is_refused_with_the_nearest_one_and_the_keys_that_exist(values: Any) -> None:
    values["train"]["epoch"] = values["train"].pop("epochs")
    assert complaint(values) == (
        "params.yaml: train.epoch: unknown key (did you mean train.epochs?); "
        "train takes epochs, batch_size, learning_rate, optimizer, schedule, "
        "weight_decay, label_smoothing, class_weights, image_sizes, freeze, patience, temperature, seed, device, precision"
    )


def test_a_misspelt_section_is_refused_with_the_sections_that_exist(values: Any) -> None:
    values["trian"] = values.pop("train")
    assert complaint(values) == (
        "params.yaml: trian: unknown key (did you mean train?); "
        "the file takes data, network, augmentation, train, evaluate, plot"
    )


def test_a_key_in_the_wrong_section_is_refused_with_the_sections_that_have_it(values: Any) -> None:
    values["network"]["seed"] = 1
    assert complaint(values).startswith(
        "params.yaml: network.seed: unknown key (did you mean data.seed or train.seed?); network takes"
    )
    del values["network"]["seed"]
    values["epochs"] = 3
    assert complaint(values).startswith("params.yaml: epochs: unknown key (did you mean train.epochs?); the file takes")
    del values["epochs"]
    values["train"]["zzz"] = 3
    assert complaint(values).startswith("params.yaml: train.zzz: unknown key; train takes")


def test_a_missing_key_or_section_is_named_with_what_it_takes(values: Any) -> None:
    del values["train"]["epochs"]
    assert complaint(values) == "params.yaml: train.epochs: missing; it should be an integer from 1 to 1000000"
    values["train"]["epochs"] = 1
    del values["augmentation"]["flip"]
    assert complaint(values) == "params.yaml: augmentation.flip: missing; it should be true, false or 'alternating'"
    del values["augmentation"]
    assert complaint(values) == (
        "params.yaml: augmentation: missing; it should be a section with the keys flip, crop_padding, crop_fill"
    )


def test_every_key_is_described_in_plain_words(values: Any) -> None:
    for key in flatten(values):
        section, name = key.split(".")
        wrong = complaint(values | {section: values[section] | {name: None}})
        missing = complaint(values | {section: {other: value for other, value in values[section].items() if other != name}})
        words = wrong.removeprefix(f"params.yaml: {key}: should be ").removesuffix(", got null")
        assert missing == f"params.yaml: {key}: missing; it should be {words}"
        assert re.match("an? |true|'", words)
        assert not re.search(r"\b(valid|array|boolean|string|tuple)\b", words)


@pytest.mark.parametrize("section", [None, [], 3, "text"])
def test_a_section_that_is_none_is_refused_with_the_keys_that_it_takes(values: Any, section: object) -> None:
    values["augmentation"] = section
    assert complaint(values).startswith("params.yaml: augmentation: should be a section with the keys flip, crop_padding")


@pytest.mark.parametrize("flip", [True, False, "alternating"])
def test_flips_are_on_off_or_alternating(values: Any, flip: object) -> None:
    values["augmentation"]["flip"] = flip
    assert parse_params(values, "params.yaml").augmentation.flip == flip


@pytest.mark.parametrize(
    ("key", "value"), [("schedule", "linear"), ("schedule", "cosine"), ("image_sizes", [24, 32]), ("freeze", [0.5])]
)
def test_patience_is_refused_with_what_needs_the_number_of_epochs(values: Any, key: str, value: object) -> None:
    values["train"] |= {"patience": 5}
    assert parse_params(values, "params.yaml").train.patience == 5
    values["train"] |= {key: value}
    assert complaint(values) == (
        "params.yaml: train.patience: should be 0 with a schedule that is not constant, with image_sizes and with freeze, "
        "which need the number of epochs, got 5"
    )
    values["train"] |= {"patience": 0}
    parse_params(values, "params.yaml")


def test_a_long_value_is_cut_at_80_characters(values: Any) -> None:
    for length, shown in ((78, f'"{"x" * 78}"'), (79, f'"{"x" * 76}...')):
        values["train"]["epochs"] = "x" * length
        assert complaint(values) == f"params.yaml: train.epochs: should be an integer from 1 to 1000000, got {shown}"


def test_a_key_that_would_break_the_line_is_shown_escaped(values: Any) -> None:
    values["train"]["a\nb"] = 1
    assert complaint(values).startswith('params.yaml: "train.a\\nb": unknown key; train takes epochs, ')


OLD_SOURCES = {"digits": [{"location": "package://scikit-learn/digits.csv.gz", "checksum": f"sha256:{'0' * 64}"}]}
NEW_SOURCES = "data.sources should be a list of places to look in first, as in sources: [data/archives, ../shared]"


@pytest.mark.parametrize(
    ("older", "changes"),
    [
        (
            {"data": {"sources": OLD_SOURCES}, "train": {"checkpoint_steps": 1000}},
            [NEW_SOURCES, "train.checkpoint_steps should be removed", "train.device should be added, as in device: auto"],
        ),
        ({"data": {"sources": OLD_SOURCES}, "train": {"device": "cpu"}}, [NEW_SOURCES]),
        ({"data": {"sources": OLD_SOURCES["digits"]}, "train": {"device": "cpu"}}, [NEW_SOURCES]),
        ({"train": {"checkpoint_steps": 1000, "device": "cpu"}}, ["train.checkpoint_steps should be removed"]),
    ],
)
def test_params_of_an_earlier_version_are_refused_with_what_to_change(values: Any, older: Any, changes: list[str]) -> None:
    values["train"].pop("device", None)
    line = complaint(merge(values, older))
    assert line == f"params.yaml: has the form of an earlier version; {'; '.join(changes)}"


NO_PLAIN_NUMBER = "should be a plain number, such as 1000, 0.5 or 1e-05, or text in quotes, got "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "train:\n  epochs: 1\n  epochs: 2\n",
            'line 3, column 3: not valid YAML: a key should stand only once, got "epochs: 2"',
        ),
        ("train: [1\n", 'line 1, column 8: not valid YAML: should have a comma between items and a ] at the end, got "[1"'),
        ("a: x\nb: *x\n", 'line 2, column 4: not valid YAML: put text that begins with * in quotes, got "*x"'),
        ("x: [" + "9," * 50, "line 1, column 105: not valid YAML: should be closed"),
        ("x: '" + "9" * 100, f'line 1, column 4: not valid YAML: should be closed, got "\'{"9" * 56}..."'),
        ("x: " + "[" * 1000, "line 1, column 1004: not valid YAML: nested too deeply"),
        ('x: "\\Uffffffff"', "line 1, column 7: not valid YAML: remove the escape of a character that does not exist, got "),
        ("a: 1\nb: \0", "line 2, column 4: not valid YAML: remove the character '\\x00'"),
        ("a: 1 # x\u2028b: 2", "line 1, column 9: not valid YAML: remove the character '\\u2028'"),
        ("a: 1\n--- 2", 'line 2, column 1: not valid YAML: should be one document, without ---, got "--- 2"'),
        ("a: [https://a.org/b?c=d]", "line 1, column 20: not valid YAML: put text with a '?' in quotes, got \"?c=d]\""),
        ("a: [b,\n  c?]", "line 2, column 4: not valid YAML: put text with a '?' in quotes, got \"?]\""),
        ("a:\n  b: 1_000 # steps", f'line 2, column 6: {NO_PLAIN_NUMBER}"1_000"'),
        ("-0x1F", f'line 1, column 1: {NO_PLAIN_NUMBER}"-0x1F"'),
        ("[1, .5e3]", f'line 1, column 5: {NO_PLAIN_NUMBER}".5e3]"'),
        ("2020-01-02", f'line 1, column 1: {NO_PLAIN_NUMBER}"2020-01-02"'),
        ("x: " + "9" * 5000, f'line 1, column 4: {NO_PLAIN_NUMBER}"{"9" * 57}..."'),
        ("a: 1\n<<: {a: 1}", 'line 2, column 1: should be the keys that are to be merged, got "<<: {a: 1}"'),
        ("x: !!python/object/apply:os.system [true]", 'line 1, column 4: should be without a tag, got "!!python/object'),
        ("x: !!int 1", 'line 1, column 4: should be without a tag, got "!!int 1"'),
        ("%YAML 1.1\n---\nx: 1", 'line 1, column 1: should be without directives, got "%YAML 1.1"'),
        ("x: 1\n...", 'line 2, column 1: should be without document end markers, got "..."'),
        ("x: &a?b", 'line 1, column 4: should have a space after the name, got "&a?b"'),
        ("x: &a {y: *a}", 'line 1, column 11: should not be an alias of a value that contains it, got "*a}"'),
        ("{a:}", 'line 1, column 3: should have a space after the colon, got ":}"'),
        ('x: "\\ud83d\\ude00"', "line 1, column 4: should be a character instead of the escaped halves of a surrogate pair"),
        ("x: |\n\n  y", "line 1, column 4: should start with a line of text, below a key"),
        ("|\n y", "line 1, column 1: should start with a line of text, below a key"),
    ],
)
def test_yaml_that_dvc_may_read_differently_or_not_at_all_is_refused_with_its_line(text: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "params.yaml")
    line = str(caught.value)
    assert line.startswith(f"params.yaml, {expected}")
    assert line.isprintable()


@pytest.mark.parametrize(
    ("change", "start", "expected"),
    [
        (
            ("  epochs: 15", "   epochs: 15"),
            "  patience",
            'column 3: not valid YAML: indent like the line above, {key}, got "patience: 0"',
        ),
        (
            ("  epochs: 15", "  epochs 15"),
            "  patience",
            'column 3: not valid YAML: indent like the line above, {key}, got "patience: 0"',
        ),
        (
            ("  epochs: 15", "\tepochs: 15"),
            "	epochs",
            'column 1: not valid YAML: indent with spaces, not with a tab, got "epochs: 15"',
        ),
        (
            ("data:\n", "  data:\n"),
            "network",
            "column 1: not valid YAML: nothing should follow the value, and a key be indented like the first one, got ",
        ),
        (
            ("  epochs: 15", "  [epochs]: 15"),
            "  [epochs]",
            'column 3: not valid YAML: a key should be text, got "[epochs]: 15"',
        ),
        (
            ("train:\n", "train\n"),
            "train",
            'column 1: not valid YAML: a key should be followed by a colon and a space, got "train"',
        ),
        (("train:\n", "<<<<<<< HEAD\ntrain:\n"), "<<<<<<< HEAD", 'column 1: not valid YAML: {merge}, got "<<<<<<< HEAD"'),
        (
            ("128, 256]", "128, 256"),
            "  widths",
            'column 11: not valid YAML: should have a comma between items and a ] at the end, got "[8, ',
        ),
        (
            ("cifar10 #", "'cifar10 #"),
            "  name",
            'column 9: not valid YAML: a quote should be closed in its line, got "\'cifar10"',
        ),
        (
            ("cifar10 #", '"cifar10 #'),
            "  name",
            'column 9: not valid YAML: a quote should be closed in its line, got "\\"cifar10"',
        ),
        (
            ("cifar10 #", "cifar10: x #"),
            "  name",
            'column 16: not valid YAML: put text with a colon in quotes, {comment}, got ": x"',
        ),
        (("cifar10 #", '"cifar10" x #'), "  name", 'column 19: not valid YAML: nothing should follow the value, got "x"'),
        (("cifar10 #", "@x #"), "  name", 'column 9: not valid YAML: put text that begins with @ in quotes, got "@x"'),
        (
            ("cifar10 #", '"\\c" #'),
            "  name",
            'column 11: not valid YAML: double the backslash, or use single quotes, got "c\\""',
        ),
        (
            ("cifar10 #", "- x #"),
            "  name",
            'column 9: not valid YAML: put a list in [ ], or each - item on a line below the key, got "- x"',
        ),
    ],
)
def test_a_slip_in_the_file_is_shown_where_it_is_and_without_comments(
    change: tuple[str, str], start: str, expected: str
) -> None:
    words = {"key": "whose key should be followed by a colon and a space", "comment": "and a space before the # of a comment"}
    words["merge"] = "a key should be followed by a colon and a space"
    with pytest.raises(InputError) as caught:
        parse_yaml(text := parameters().replace(*change), "params.yaml")
    line = next(number for number, line in enumerate(text.splitlines(), start=1) if line.startswith(start))
    assert str(caught.value).startswith(f"params.yaml, line {line}, {expected.format(**words)}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-05", 1e-5),
        ("+1", 1),
        ("0o17", 15),
        ("0x1F", 31),
        ("-.5", -0.5),
        ("-.inf", -float("inf")),
        ("yes", "yes"),
        ("1:30", "1:30"),
        ("0b7aa7ce", "0b7aa7ce"),
        ("1.2.3", "1.2.3"),
        ("", None),
        ("a: &b [1]\nc: *b", {"a": [1], "c": [1]}),
        ("a: >-\n  b\n  c", {"a": "b c"}),
        ("\ufeffa: b\r\nc: 'd'\r", {"a": "b", "c": "d"}),
        ('["https://a.org/b?c=d", https://a.org/b]', ["https://a.org/b?c=d", "https://a.org/b"]),
    ],
)
def test_yaml_is_read_by_the_rules_of_yaml_1_2(text: str, value: object) -> None:
    read = parse_yaml(text, "")
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(("text", "got"), [("", "null"), ("- 1\n", "[1]"), ("yes\n", '"yes"')])
def test_a_file_that_is_no_section_is_refused_with_the_sections_that_exist(tmp_path: Path, text: str, got: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_params(path)
    sections = "data, network, augmentation, train, evaluate, plot"
    assert str(caught.value) == f"{path}: the whole file: should be a section with the keys {sections}, got {got}"


def test_an_override_that_would_break_the_line_is_shown_escaped() -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml("1_0", "-S train.epochs\n=1_0")
    assert str(caught.value).startswith('"-S train.epochs\\n=1_0", line 1, column 1: should be a plain number')


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; run from the repository's root"):
        read_params(tmp_path / "params.yaml")


def test_numbers_are_read_the_way_dvc_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(re.sub(r"learning_rate: \S+", "learning_rate: 1e-05", (ROOT / "params.yaml").read_text()))
    assert read_params(path).train.learning_rate == 1e-5


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("train.learning_rate=1e-05", "train.learning_rate", 1e-5),
        ("augmentation.flip=alternating", "augmentation.flip", "alternating"),
        ("network.widths=[4,8]", "network.widths", [4, 8]),
        ("train.freeze=[0.5,0.75]", "train.freeze", [0.5, 0.75]),
        ("data.sources=['https://a.org/b?c=d,e',../f]", "data.sources", ["https://a.org/b?c=d,e", "../f"]),
        ("data.sources=[]", "data.sources", []),
    ],
)
def test_every_comment_is_still_there_after_dvc_wrote_a_value(tmp_path: Path, override: str, key: str, value: object) -> None:
    path = tmp_path / "params.yaml"
    before = parameters()
    path.write_text(before)
    for again in (override, "train.epochs=15", override):  # the second time, lists stand on several lines
        apply_overrides(path, [again])  # what `dvc exp run -S` does
        after = path.read_text()
        assert re.findall("#.*", after) == re.findall("#.*", before)
        assert flatten(read_yaml(path)) == flatten(parse_yaml(before, "params.yaml")) | {key: value}
        read_params(path)


def test_lists_that_dvc_fills_and_empties_in_any_order_keep_the_file_valid(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(parameters())
    lists = {"data.sources": "a", "network.widths": "8", "train.image_sizes": "24", "train.freeze": "0.5"}
    names = list(lists)
    rotations = [names[start:] + names[:start] for start in range(len(names))]
    for filled in [*rotations, *(rotation[::-1] for rotation in rotations)]:  # each before and after each other
        for key, content in [(key, lists[key]) for key in filled] + [(key, "") for key in filled if key != "network.widths"]:
            apply_overrides(path, [f"{key}=[{content}]"])
            assert re.findall("#.*", path.read_text()) == re.findall("#.*", parameters())
            read_params(path)


def test_flattening_joins_keys_by_dots() -> None:
    assert flatten({"a": {"b": 1, "c": [1]}, "d": 2}) == {"a.b": 1, "a.c": [1], "d": 2}


def names(section: type, key: str) -> set[object]:
    """The names that a key takes."""
    return set(get_args(get_type_hints(section)[key]))


def test_the_names_in_params_are_those_of_the_data_sets_and_activations() -> None:
    assert names(DataParams, "name") == {*DATA_SETS, "folder"} == {*READERS, "folder"}
    assert names(NetworkParams, "activation") == set(ACTIVATIONS)


@pytest.mark.parametrize(
    ("section", "key", "module"),
    [
        (TrainParams, "optimizer", "training/optimizers.py"),
        (TrainParams, "schedule", "training/schedules.py"),
        (TrainParams, "class_weights", "training/loss.py"),
        (EvaluateParams, "views", "networks/inference.py"),
    ],
)
def test_the_names_in_params_are_the_cases_of_the_module_that_implements_them(section: type, key: str, module: str) -> None:
    assert names(section, key) == set(re.findall(r'^ +case "(\w+)":', (ROOT / "classifier" / module).read_text(), re.MULTILINE))
