from dataclasses import replace
from typing import Any

import pytest

from classifier.figures.comparison import learning_curves
from classifier.results.comparison import Result, as_markdown, as_values, compare, group
from classifier.results.learning_curve import Epoch
from classifier.variants import merge

PARAMS: dict[str, Any] = {
    "data": {"name": "digits", "sources": ["a"]},
    "train": {"epochs": 3, "seed": 0},
    "plot": {"mistakes": 4},
}


def result(accuracy: float, best: int = 2, revision: str = "mine", **overrides: Any) -> Result:
    """A training on PARAMS with the overrides SECTION__KEY; the curve says something else than the metrics."""
    params = PARAMS
    for key, value in overrides.items():
        section, name = key.split("__")
        params = merge(params, {section: {name: value}})
    curve = [Epoch(number, 1.0, 1.0, 0.6, 0.8 if number == best else 0.7, 0.001) for number in (1, 2, 3)]
    train = {"best_epoch": best, "training_accuracy": 0.91, "validation_accuracy": 0.79, "parameters": 1234}
    test = {"accuracy": accuracy, "accuracy_low": accuracy - 0.01, "accuracy_high": accuracy + 0.01}
    return Result(revision, params, curve, train | {"seconds": 60.0 + best}, test)


def named(*results: Result) -> dict[str, list[str]]:
    """The revisions in each group, by its name."""
    return {name: [one.revision for one in members] for name, members in group(results).items()}


def test_a_single_training_has_its_interval() -> None:
    assert as_values(compare({"initial": [result(0.75)]})) == [
        {
            "name": "initial",
            "seeds": 1,
            "test_accuracy": 0.75,
            "test_accuracy_low": 0.74,
            "test_accuracy_high": 0.76,
            "best_epoch": 2,
            "training_accuracy": 0.91,
            "validation_accuracy": 0.79,
            "gap": pytest.approx(0.12),
            "parameters": 1234,
            "seconds": 62,
        }
    ]


def test_several_seeds_have_their_mean_their_standard_deviation_and_their_number() -> None:
    (row,) = compare({"augmented": [result(0.83), result(0.84, best=3), result(0.85)]})
    assert row.test_accuracy == pytest.approx(0.84)
    assert row.test_accuracy_spread == pytest.approx(0.01)
    assert (row.seeds, row.test_accuracy_low) == (3, None)
    assert row.best_epoch == pytest.approx(7 / 3)


def test_the_table_in_markdown() -> None:
    rows = compare({"initial": [result(0.75)], "augmented": [result(0.83), result(0.85)]})
    assert as_markdown(rows) == (
        "| variant | test accuracy | best epoch | training | validation | gap | parameters | seconds |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| initial | 75.0% (74.0% to 76.0%) | 2 | 91.0% | 79.0% | +12.0 | 1,234 | 62 |\n"
        "| augmented | 84.0% (± 1.41, n = 2) | 2 | 91.0% | 79.0% | +12.0 | 1,234 | 62 |\n"
    )


def test_every_curve_is_drawn_training_dashed_and_validation_solid_in_the_colour_of_its_group() -> None:
    figure = learning_curves({"initial": [result(0.75)], "augmented": [result(0.83), result(0.85)]})
    for axes in figure.axes:
        lines = [line for line in axes.get_lines() if line.get_linestyle() in ("-", "--")]
        assert [line.get_linestyle() for line in lines] == ["--", "-"] * 3
        assert [line.get_color() for line in lines[2:]] == [lines[2].get_color()] * 4
        assert lines[0].get_color() != lines[2].get_color()
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["initial", "augmented", "training", "validation", "best epoch"]


def test_metrics_of_an_older_version_have_no_training_accuracy_and_no_gap() -> None:
    old = result(0.75)
    old = replace(old, train={key: value for key, value in old.train.items() if key != "training_accuracy"})
    rows = compare({"old": [old], "both": [old, result(0.75)]})
    assert [(row.training_accuracy, row.gap, row.validation_accuracy) for row in rows] == [(None, None, 0.79)] * 2
    assert "gap" not in as_values(rows)[0]
    assert "| - | 79.0% | - |" in as_markdown(rows)


def test_seeds_form_a_group_named_after_the_variant() -> None:
    seeds = [result(0.8 + seed / 100, revision=f"mine-seed-{seed}", train__seed=seed) for seed in (0, 1, 2)]
    assert named(*seeds) == {"mine": ["mine-seed-0", "mine-seed-1", "mine-seed-2"]}
    assert named(seeds[0]) == {"mine-seed-0": ["mine-seed-0"]}


@pytest.mark.parametrize("override", [{"plot__mistakes": 9}, {"data__sources": ["b"]}, {"train__checkpoint_steps": 10}])
def test_what_cannot_affect_a_result_does_not_separate_groups(override: dict[str, Any]) -> None:
    assert named(result(0.8), result(0.81, revision="other", train__seed=1, **override)) == {"mine": ["mine", "other"]}
    assert named(result(0.8), result(0.8, revision="other", **override)) == {"mine": ["mine"]}


def test_groups_that_differ_get_different_names() -> None:
    short = [result(0.8, revision=f"mine-seed-{seed}", train__seed=seed) for seed in (0, 1)]
    long = [result(0.9, revision=f"mine-seed-{seed}", train__seed=seed, train__epochs=9) for seed in (2, 3)]
    other = result(0.7, train__epochs=1)
    assert named(*short, *long, other) == {
        "mine-seed-0": ["mine-seed-0", "mine-seed-1"],
        "mine-seed-2": ["mine-seed-2", "mine-seed-3"],
        "mine": ["mine"],
    }


def test_other_results_of_the_same_settings_and_seed_are_not_lost() -> None:
    before = [result(0.8, revision=f"before-seed-{seed}", train__seed=seed) for seed in (0, 1)]
    after = [result(0.9, revision=f"after-seed-{seed}", train__seed=seed) for seed in (0, 1)]
    assert named(*before, *after) == {
        "before": ["before-seed-0", "before-seed-1"],
        "after": ["after-seed-0", "after-seed-1"],
    }
