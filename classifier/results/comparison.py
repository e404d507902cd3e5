"""Comparison: several trainings side by side, those that differ in their seed alone taken together."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from classifier.results.learning_curve import Epoch, best_epoch


@dataclass(frozen=True)
class Result:
    """What came of one training.

    train, test
        The metrics that the stages `train` and `evaluate` wrote.
    """

    curve: Sequence[Epoch]
    train: Mapping[str, Any]
    test: Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One line of the table: a training, or the mean of trainings that differ in their seed alone.

    Shares are between 0 and 1. `test_accuracy_low` and `_high` are the 95 % interval that the size of the test split allows a
    single training; `test_accuracy_spread` is the standard deviation between the seeds of several. Training and validation
    accuracy are those of the best epoch, the gap is the first less the second.
    """

    name: str
    seeds: int
    test_accuracy: float
    test_accuracy_low: float | None
    test_accuracy_high: float | None
    test_accuracy_spread: float | None
    best_epoch: float
    training_accuracy: float
    validation_accuracy: float
    gap: float
    parameters: int
    seconds: float


def compare(groups: Mapping[str, Sequence[Result]]) -> list[Row]:
    """Return a line for each group of trainings, by its name."""
    return [_row(name, results) for name, results in groups.items()]


def _row(name: str, results: Sequence[Result]) -> Row:
    accuracies = [result.test["accuracy"] for result in results]
    best = [best_epoch(result.curve) for result in results]
    training = statistics.fmean(epoch.train_accuracy for epoch in best)
    validation = statistics.fmean(epoch.validation_accuracy for epoch in best)
    single = results[0].test if len(results) == 1 else {}
    return Row(
        name=name,
        seeds=len(results),
        test_accuracy=statistics.fmean(accuracies),
        test_accuracy_low=single.get("accuracy_low"),
        test_accuracy_high=single.get("accuracy_high"),
        test_accuracy_spread=statistics.stdev(accuracies) if len(results) > 1 else None,
        best_epoch=statistics.fmean(epoch.epoch for epoch in best),
        training_accuracy=training,
        validation_accuracy=validation,
        gap=training - validation,
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
            f"{row.training_accuracy:.1%}",
            f"{row.validation_accuracy:.1%}",
            f"{row.gap * 100:+.1f}",
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
    """Return the table as plain values, without what a line does not have."""
    return [{key: value for key, value in asdict(row).items() if value is not None} for row in rows]
