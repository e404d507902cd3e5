from dataclasses import replace
from typing import Any

import pytest

from classifier.results.comparison import Result, as_markdown, as_values, compare, group, outdated
from classifier.results.learning_curve import Epoch
from classifier.variants import merge

PARAMS: dict[str, Any] = {"network": {"widths": [8]}, "train": {"epochs": 3, "seed": 0}}


def made_by(params: dict[str, Any], code: str = "1", data: str = "2", drawing: str = "3") -> dict[str, Any]:
    """The dvc.lock of a training with these params; the arguments are checksums. Outputs follow from all of them."""
    model, predictions = (f"{name} of {params} {code} {data}" for name in ("model", "predictions"))
    train = {
        "deps": [{"path": "classifier/training", "md5": code}, {"path": "data/train", "md5": data}],
        "params": {"params.yaml": params},
        "outs": [{"path": "model", "md5": model}],
    }
    evaluate = {"deps": [{"path": "model", "md5": model}], "outs": [{"path": "predictions", "md5": predictions}]}
    plot = {"deps": [{"path": "classifier/figures", "md5": drawing}], "outs": [{"path": "picture", "md5": drawing}]}
    return {"stages": {"train": train, "evaluate": evaluate, "plot": plot}}


def result(accuracy: float, best: int = 2, revision: str = "mine", seed: int = 0, epochs: int = 3, **checksums: str) -> Result:
    """A training; the curve says something else than the metrics."""
    lock = made_by(merge(PARAMS, {"train": {"seed": seed, "epochs": epochs}}), **checksums)
    curve = [Epoch(number, 1.0, 1.0, 0.6, 0.8 if number == best else 0.7, 0.001) for number in (1, 2, 3)]
    train = {"best_epoch": best, "training_accuracy": 0.91, "validation_accuracy": 0.79, "parameters": 1234}
    test = {"accuracy": accuracy, "accuracy_low": accuracy - 0.01, "accuracy_high": accuracy + 0.01}
    return Result(revision, lock, curve, train | {"seconds": 60.0 + best}, test)


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


def test_metrics_of_an_older_version_have_no_training_accuracy_and_no_gap() -> None:
    old = result(0.75)
    old = replace(old, train={key: value for key, value in old.train.items() if key != "training_accuracy"})
    rows = compare({"old": [old], "both": [old, result(0.75)]})
    assert [(row.training_accuracy, row.gap, row.validation_accuracy) for row in rows] == [(None, None, 0.79)] * 2
    assert "gap" not in as_values(rows)[0]
    assert "| - | 79.0% | - |" in as_markdown(rows)


def test_seeds_form_a_group_named_after_the_variant() -> None:
    seeds = [result(0.8 + seed / 100, revision=f"mine-seed-{seed}", seed=seed) for seed in (0, 1, 2)]
    assert named(*seeds) == {"mine": ["mine-seed-0", "mine-seed-1", "mine-seed-2"]}
    assert named(seeds[0]) == {"mine-seed-0": ["mine-seed-0"]}


def test_what_cannot_affect_a_result_does_not_separate_groups() -> None:
    assert named(result(0.8), result(0.81, revision="other", seed=1, drawing="9")) == {"mine": ["mine", "other"]}
    assert named(result(0.8), result(0.8, revision="other", drawing="9")) == {"mine": ["mine"]}


@pytest.mark.parametrize(("code", "data"), [("9", "2"), ("1", "9")])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("accuracy", [0.8, 0.9])
def test_a_change_of_code_or_data_is_a_line_of_its_own(code: str, data: str, seed: int, accuracy: float) -> None:
    before, after = result(0.8, revision="before"), result(accuracy, revision="after", seed=seed, code=code, data=data)
    assert named(before, after) == {"before": ["before"], "after": ["after"]}


def test_params_that_changed_after_the_results_are_named() -> None:
    lock = made_by(PARAMS)
    assert outdated(lock, PARAMS | {"plot": {"new": 1}}) == []
    assert outdated(lock, {"network": {"widths": [9]}, "train": {"epochs": 3}}) == ["network.widths", "train.seed"]


def test_groups_that_differ_get_different_names() -> None:
    short = [result(0.8, revision=f"mine-seed-{seed}", seed=seed) for seed in (0, 1)]
    long = [result(0.9, revision=f"mine-seed-{seed}", seed=seed, epochs=9) for seed in (2, 3)]
    other = result(0.7, epochs=1)
    assert named(*short, *long, other) == {
        "mine-seed-0": ["mine-seed-0", "mine-seed-1"],
        "mine-seed-2": ["mine-seed-2", "mine-seed-3"],
        "mine": ["mine"],
    }


def test_other_results_of_the_same_settings_and_seed_are_not_lost() -> None:
    before = [result(0.8, revision=f"before-seed-{seed}", seed=seed) for seed in (0, 1)]
    after = [result(0.9, revision=f"after-seed-{seed}", seed=seed) for seed in (0, 1)]
    assert named(*before, *after) == {
        "before": ["before-seed-0", "before-seed-1"],
        "after": ["after-seed-0", "after-seed-1"],
    }
