"""Comparison: several trainings side by side, those that differ only in their seed taken together."""

import json
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from classifier.params import flatten
from classifier.results.learning_curve import Epoch
from classifier.results.predictions import Predictions

PARAMS = "params.yaml"
DRAWN = "plot"  # the stage that has no effect on what is compared
SEEDED = ("train", "evaluate")  # the stages whose outputs follow from the seed of the training


@dataclass(frozen=True)
class Result:
    """Results of one training.

    revision
        Name of the experiment, tag, branch or commit; different for each result.
    lock
        Its dvc.lock: the code, the data and the params of every stage that made the results.
    train, test
        Metrics that the stages `train` and `evaluate` wrote.
    predictions
        For the test split; None if they are not here.
    """

    revision: str
    lock: Mapping[str, Any]
    curve: Sequence[Epoch]
    train: Mapping[str, Any]
    test: Mapping[str, Any]
    predictions: Predictions | None = None

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return int(_settings(self.lock)[0])


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
    """Put results whose dvc.lock differs only in train.seed and what follows from it into one group, and name each differently.

    The stage that draws pictures does not separate groups. Of equal results with one seed only the first counts; different
    results with the same dvc.lock and seed, from another processor, form a separate group.
    """
    groups: dict[str, dict[int, Result]] = {}
    for result in results:
        seed, key = _settings(result.lock)
        while not _equal(groups.setdefault(key, {}).setdefault(seed, result), result):
            key += "'"
    members = [list(seeds.values()) for seeds in groups.values()]
    names = [re.sub(r"-seed-\d+$", "", each[0].revision) if len(each) > 1 else each[0].revision for each in members]
    return {name if names.count(name) == 1 else each[0].revision: each for name, each in zip(names, members, strict=True)}


def _settings(lock: Mapping[str, Any]) -> tuple[int, str]:
    """Return the seed of the training, and everything else that dvc.lock says about how the results were made."""
    stages = {name: dict(stage) for name, stage in lock["stages"].items() if name != DRAWN}
    seeded = {out["path"] for name in SEEDED for out in stages[name].pop("outs")}
    for stage in stages.values():
        stage["deps"] = [dep for dep in stage.get("deps", []) if dep["path"] not in seeded]
        stage["params"] = flatten(stage.get("params", {}).get(PARAMS, {}))
    return stages["train"]["params"].pop("train.seed"), json.dumps(stages, sort_keys=True)


def test_split(lock: Mapping[str, Any]) -> str | None:
    """Return the checksum of the test split on which the results were scored, None if dvc.lock lacks it."""
    deps = lock["stages"]["evaluate"].get("deps", [])
    return next((dep["md5"] for dep in deps if dep["path"].startswith("data/processed/test")), None)


def outdated(lock: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    """Return the keys of params.yaml that have other values than those with which the results were made."""
    used: dict[str, Any] = {}
    for stage in lock["stages"].values():
        used |= flatten(stage.get("params", {}).get(PARAMS, {}))
    now = flatten(params)
    return sorted(key for key, value in used.items() if key not in now or now[key] != value)


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
