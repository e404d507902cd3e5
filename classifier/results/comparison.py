"""Comparison: several trainings side by side, those that differ only in their seed taken together."""

import json
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from classifier.results.learning_curve import Epoch

WITHOUT_EFFECT = {"data": {"sources"}, "train": {"seed", "checkpoint_steps"}}  # on what is compared, but for the seed


@dataclass(frozen=True)
class Result:
    """Results of one training.

    revision
        Name of the experiment, tag, branch or commit; different for each result.
    params
        All of its params.yaml.
    train, test
        Metrics that the stages `train` and `evaluate` wrote.
    """

    revision: str
    params: Mapping[str, Any]
    curve: Sequence[Epoch]
    train: Mapping[str, Any]
    test: Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One line of the table: a training, or the mean of trainings that differ only in their seed.

    Accuracies are shares between 0 and 1. `test_accuracy_low` and `_high` are the 95 % interval that the size of the test split
    allows a single training; `test_accuracy_spread` is the standard deviation between the seeds of several. Training and
    validation accuracy are those of the best weights; the gap is their difference. Older versions have no training accuracy.
    """

    name: str
    seeds: int
    test_accuracy: float
    test_accuracy_low: float | None
    test_accuracy_high: float | None
    test_accuracy_spread: float | None
    best_epoch: float
    training_accuracy: float | None
    validation_accuracy: float
    gap: float | None
    parameters: int
    seconds: float


def group(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Put results that differ only in their seed into one group, and give each group a different name.

    What has no effect on a result does not separate groups. Of equal results with one seed only the first counts; different
    results with the same settings and seed, from another version of the code or another processor, form a separate group.
    """
    groups: dict[str, dict[int, Result]] = {}
    for result in results:
        seed, key = result.params["train"]["seed"], _settings(result.params)
        while not _equal(groups.setdefault(key, {}).setdefault(seed, result), result):
            key += "'"
    members = [list(seeds.values()) for seeds in groups.values()]
    names = [re.sub(r"-seed-\d+$", "", each[0].revision) if len(each) > 1 else each[0].revision for each in members]
    return {name if names.count(name) == 1 else each[0].revision: each for name, each in zip(names, members, strict=True)}


def _settings(params: Mapping[str, Any]) -> str:
    sections = {name: values for name, values in params.items() if name != "plot"}
    for name, keys in WITHOUT_EFFECT.items():
        sections[name] = {key: value for key, value in sections[name].items() if key not in keys}
    return json.dumps(sections, sort_keys=True)


def _equal(one: Result, other: Result) -> bool:
    """Compare everything but the metrics of the training, whose seconds differ from run to run."""
    return (one.curve, one.test) == (other.curve, other.test)


def compare(groups: Mapping[str, Sequence[Result]]) -> list[Row]:
    """Return one line for each group of trainings."""
    return [_row(name, results) for name, results in groups.items()]


def _row(name: str, results: Sequence[Result]) -> Row:
    accuracies = [result.test["accuracy"] for result in results]
    training = [result.train["training_accuracy"] for result in results if "training_accuracy" in result.train]
    validation = statistics.fmean(result.train["validation_accuracy"] for result in results)
    training_accuracy = statistics.fmean(training) if len(training) == len(results) else None
    single = results[0].test if len(results) == 1 else {}
    return Row(
        name=name,
        seeds=len(results),
        test_accuracy=statistics.fmean(accuracies),
        test_accuracy_low=single.get("accuracy_low"),
        test_accuracy_high=single.get("accuracy_high"),
        test_accuracy_spread=statistics.stdev(accuracies) if len(results) > 1 else None,
        best_epoch=statistics.fmean(result.train["best_epoch"] for result in results),
        training_accuracy=training_accuracy,
        validation_accuracy=validation,
        gap=None if training_accuracy is None else training_accuracy - validation,
        parameters=results[0].train["parameters"],
        seconds=statistics.fmean(result.train["seconds"] for result in results),
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the table in Markdown."""
    head = ["variant", "test accuracy", "best epoch", "training", "validation", "gap", "parameters", "seconds"]
    lines = [
        [
            row.name,
            f"{row.test_accuracy:.1%} ({_spread(row)})",
            f"{row.best_epoch:.3g}",
            "-" if row.training_accuracy is None else f"{row.training_accuracy:.1%}",
            f"{row.validation_accuracy:.1%}",
            "-" if row.gap is None else f"{row.gap * 100:+.1f}",
            f"{row.parameters:,}",
            f"{row.seconds:.0f}",
        ]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *lines]) + "\n"


def _spread(row: Row) -> str:
    if row.test_accuracy_low is not None and row.test_accuracy_high is not None:
        return f"{row.test_accuracy_low:.1%} to {row.test_accuracy_high:.1%}"
    return f"± {(row.test_accuracy_spread or 0) * 100:.2f}, n = {row.seeds}"


def as_values(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the table as plain values, without those that a line lacks."""
    return [{key: value for key, value in asdict(row).items() if value is not None} for row in rows]
