import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from dulwich.refs import Ref, check_ref_format
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides, to_hydra_overrides
from dvc.utils.serialize import load_yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.params import flatten, parse_params, parse_yaml, read_yaml
from classifier.runtime.errors import InputError
from classifier.variants import as_override, edited, experiment_name, merge, parse_override, plan, read_variant
from tests.conftest import ROOT, parameters

BASE: Any = parse_yaml(parameters(), "params.yaml")


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the project's params.yaml and one variant of its own."""
    (tmp_path / "params.yaml").write_text(parameters())
    (tmp_path / "variants").mkdir()
    (tmp_path / "variants/mine.yaml").write_text("train:\n  epochs: 3\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str) -> None:
    Path("variants/mine.yaml").write_text(text)


def test_a_variant_is_its_differences() -> None:
    assert read_variant("mine") == {"train": {"epochs": 3}}


@pytest.mark.parametrize("text", ["", "# params.yaml as it stands\n"])
def test_an_empty_variant_differs_in_nothing(text: str) -> None:
    write(text)
    assert read_variant("mine") == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train:\n  epoch: 3\n", "variants/mine.yaml: train.epoch: unknown key (did you mean train.epochs?); train takes"),
        ("train:\n  epochs: many\n", 'variants/mine.yaml: train.epochs: should be an integer from 1 to 1000000, got "many"'),
        ("train:\n", "variants/mine.yaml: train: should be a section with the keys epochs, batch_size"),
        ("- train\n", "variants/mine.yaml: the whole file: should be a section with the keys data"),
        (
            "train: {epochs: 1, epochs: 2}\n",
            "variants/mine.yaml, line 1, column 20: not valid YAML: a key should stand only once",
        ),
    ],
)
def test_a_variant_is_checked_as_strictly_as_the_params(text: str, expected: str) -> None:
    write(text)
    with pytest.raises(InputError) as caught:
        read_variant("mine")
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(("name", "nearest"), [("mien", " (did you mean mine?)"), ("../params", ""), ("", "")])
def test_an_unknown_name_lists_the_names_and_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(InputError) as caught:
        read_variant(name)
    assert str(caught.value) == f"no variant '{name}'{nearest}; there are mine; a new one is a file variants/NAME.yaml"


def test_an_override_is_read_as_yaml() -> None:
    assert parse_override("train.learning_rate=1e-5") == {"train": {"learning_rate": 1e-5}}
    assert parse_override("network.widths=[8, 16]") == {"network": {"widths": [8, 16]}}


@pytest.mark.parametrize("override", ["train.epochs", "=3", "train..epochs=3", "train.epochs=[1"])
def test_a_bad_override_is_refused(override: str) -> None:
    with pytest.raises(InputError, match=r"^-S "):
        parse_override(override)


def test_overrides_win_over_the_variant_and_seeds_over_both() -> None:
    experiments = plan(BASE, ["mine"], ["train.epochs=5", "train.seed=9"], [0, 1])
    assert list(experiments.values()) == [{"train": {"epochs": 5, "seed": seed}} for seed in (0, 1)]


def test_the_seed_that_a_variant_has_anyway_has_its_name_alone() -> None:
    own = BASE["train"]["seed"]
    experiments = plan(BASE, ["mine"], [], [own, own + 1])
    assert list(experiments) == ["mine", f"mine-seed-{own + 1}"]
    assert experiments["mine"] == plan(BASE, ["mine"], [], None)["mine"]
    write(f"train:\n  seed: {own + 1}\n")
    assert list(plan(BASE, ["mine"], [], [own, own + 1])) == [f"mine-seed-{own}", "mine"]


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(InputError, match=f"--seeds {seed}: train.seed: "):
        plan(BASE, ["mine"], [], [seed])


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "mine"),
        (["train.epochs=3"], "mine-train.epochs=3"),
        (["train.epochs=3", "data.seed=1"], "mine-train.epochs=3-data.seed=1"),
        (["network.widths=[8, 16]"], "mine-network.widths=-8,-16-HASH"),
        (["network.widths=[8,16]"], "mine-network.widths=-8,16-HASH"),
        (["data.sources=[../a b]"], "mine-data.sources=-a-b-HASH"),
        ([f"data.sources=[{'é' * 200}]"], f"mine-data.sources=-{'é' * 70}-HASH"),
    ],
)
def test_an_override_is_in_the_name_as_far_as_git_can_hold_it(overrides: list[str], name: str) -> None:
    assert re.sub(r"-[0-9a-f]{7}\Z", "-HASH", experiment_name("mine", overrides)) == name


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(".@{/~ -=lock"), max_size=200), max_size=3))
def test_every_name_is_one_that_git_can_hold_and_tells_its_overrides_apart(overrides: list[str]) -> None:
    name = experiment_name("mine", overrides)
    assert check_ref_format(Ref(f"refs/exps/{name}".encode()))
    assert not {"/", "]"} & set(name)
    assert len(name.encode()) <= 180
    assert experiment_name("mine", [*overrides, "a"]) != name


def test_what_is_edited_is_set_back_leaf_by_leaf_without_the_sources() -> None:
    workspace = merge(BASE, {"train": {"epochs": BASE["train"]["epochs"] + 1}, "data": {"sources": ["x"], "name": "digits"}})
    assert edited(BASE, workspace) == {"train.epochs": BASE["train"]["epochs"], "data.name": BASE["data"]["name"]}
    assert edited(BASE, BASE) == {}
    one = merge(BASE, {"train": {"weight_decay": 1}})
    assert edited(one, merge(BASE, {"train": {"weight_decay": 1.0}})) == {"train.weight_decay": 1}, "another text for DVC"


def test_an_added_or_removed_key_asks_for_a_commit() -> None:
    more = merge(BASE, {"train": {"new": 1}})
    for committed, workspace, word in [(BASE, more, "added"), (more, BASE, "removed")]:
        with pytest.raises(InputError, match=rf"^params.yaml: train.new is {word}: commit the file first$"):
            edited(committed, workspace)


def test_merging_changes_what_differs_and_keeps_the_rest() -> None:
    base: Any = {"a": {"b": 1, "c": [1, 2]}, "d": 4}
    assert merge(base, {"a": {"c": [3]}}) == {"a": {"b": 1, "c": [3]}, "d": 4}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 4}


TEXTS = st.text(st.sampled_from("\\'${}\"ab é,=:?#~*[]"), max_size=8) | st.text(max_size=5)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS.filter(lambda text: text.isprintable() and text != "???")  # which OmegaConf takes for a missing value
)


def through_dvc(override: str) -> Any:
    """The value of a.b after `dvc exp run -S OVERRIDE`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "params.yaml")
        path.write_text("a:\n  b: 1\n  c: [1] # a list\n")
        overrides = to_path_overrides([override])
        assert list(overrides) == ["params.yaml"]
        assert not any(each.is_sweep_override() for each in to_hydra_overrides(overrides["params.yaml"]))
        apply_overrides(path, overrides["params.yaml"])
        return load_yaml(str(path))["a"]["b"]


@pytest.mark.parametrize(
    "value",
    [
        ["https://example.org/a?b=c&d=e,f", "C:\\data\\", "it's", "${HOME}", "東京"],
        [],
        [[8, 16], []],
        1e-5,
        1.0,
        None,
        "null",
        "1e-5",
        "",
    ],
)
def test_a_value_reaches_dvc_intact(value: Any) -> None:
    got = through_dvc(as_override("a.b", value))
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize("text", ["???", "two\nlines"])
def test_text_that_the_grammar_cannot_express_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^a.b: dvc exp run -S cannot set .*: set it in params.yaml and commit"):
        as_override("a.b", ["x", text])


@settings(deadline=None)
@given(SCALARS | st.lists(SCALARS, max_size=3))
def test_any_printable_value_reaches_dvc_intact(value: Any) -> None:
    got = through_dvc(as_override("a.b", value))
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize("path", sorted((ROOT / "variants").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_variant_of_the_project_is_valid_and_repeats_no_default(path: Path) -> None:
    params = parse_yaml(parameters(), "params.yaml")
    differences = read_yaml(path) or {}
    parse_params(merge(params, differences), path.name)
    for key, value in flatten(differences).items():
        section, name = key.split(".")
        assert params[section][name] != value, f"{key} is the default"
