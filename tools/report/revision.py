"""Revisions and their results, and the rows of the report: a revision, or those that differ only in their seed."""

import csv
import json
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.params import flatten, read_yaml
from classifier.results.comparison import PARAMS, Result, Row, compare, group, outdated
from classifier.results.learning_curve import load_curve
from classifier.results.predictions import Predictions, load_predictions
from classifier.runtime.errors import InputError
from classifier.runtime.files import read_output
from tools import experiments
from tools.experiments import WORKSPACE
from tools.model_card import reproducing_command
from tools.revisions import fetch

CURVE, MATRIX, PREDICTIONS, PROJECT = (
    "plots/learning_curve.csv",
    "plots/confusion_matrix.csv",
    "data/predictions.npz",
    "pyproject.toml",
)
REQUIRED = ("params.yaml", "dvc.lock", "metrics/train.json", "metrics/test.json", CURVE)


@dataclass(frozen=True)
class Revision:
    """A revision with its results.

    class_names
        In the order of the labels; empty where neither predictions nor confusion matrix are here.
    confusions
        int64 [classes, classes], test images by true and predicted class.
    commit
        Its hash, with the commit that an experiment is based on.
    version
        Of the program that made the results; None where it is not known.
    remarks
        What is missing or to be known, a sentence each.
    """

    result: Result
    class_names: tuple[str, ...]
    confusions: NDArray[np.int64]
    commit: str
    version: str | None
    command: str
    remarks: Sequence[str] = ()

    @property
    def name(self) -> str:
        """Name of the experiment, tag, branch or commit."""
        return self.result.revision

    @cached_property
    def params(self) -> dict[str, Any]:
        """The params with which the results were made, without those of the pictures."""
        used: dict[str, Any] = {}
        for stage in self.result.lock["stages"].values():
            used |= flatten(stage.get("params", {}).get(PARAMS, {}))
        return {key: value for key, value in sorted(used.items()) if not key.startswith("plot.")}

    @cached_property
    def checksums(self) -> dict[str, str]:
        """MD5 of each output, by path."""
        return {out["path"]: out["md5"] for stage in self.result.lock["stages"].values() for out in stage.get("outs", [])}


@dataclass(frozen=True)
class Line:
    """A row of the report: a revision, or those of a design that differ only in their seed.

    number
        In the order of the report, the highest accuracy first; decides colour and marker.
    revisions
        One for each seed, the lowest seed first.
    """

    number: int
    row: Row
    revisions: Sequence[Revision]

    @property
    def name(self) -> str:
        """Name of the design, different for each row."""
        return self.row.name

    @cached_property
    def first(self) -> Revision:
        """The revision of the first seed that has predictions, or else of the first: its matrix and images are shown."""
        return next((each for each in self.revisions if each.result.predictions), self.revisions[0])

    @property
    def remarks(self) -> list[tuple[str, str]]:
        """What is missing or to be known: name of the revision, and a sentence."""
        found = [(each.name, remark) for each in self.revisions for remark in each.remarks]
        if not self.first.result.predictions:
            found.append((self.name, f"{PREDICTIONS} is not here: images, certainty and suspects are left out."))
        if not self.first.class_names:
            found.append((self.name, f"{MATRIX} is not here: the confusion matrix and the scores by class are left out."))
        return found

    @property
    def first_name(self) -> str:
        """Name of the row, with the seed whose matrix and images are shown if there are several."""
        return f"{self.name} (seed {self.first.result.seed})" if len(self.revisions) > 1 else self.name


@dataclass(frozen=True)
class Lines:
    """The rows of a report, the highest accuracy first.

    groups
        Their results by the name of the row.
    repeated
        Revisions that are not shown, since others have the same settings and results.
    """

    lines: Sequence[Line]
    groups: Mapping[str, Sequence[Result]]
    repeated: Sequence[str]


def load(name: str) -> Revision:
    """Return a revision with its results; InputError where there is no such revision or its results are not here."""
    experiment = None if name == WORKSPACE else experiments.find(name)
    remarks = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fetch(name, REQUIRED, folder, optional=[MATRIX, PREDICTIONS, PROJECT])
        with read_output(Path("metrics"), "evaluate"):
            train, test = (
                json.loads((folder / f"metrics/{part}.json").read_text(encoding="utf-8")) for part in ("train", "test")
            )
        lock, params = read_yaml(folder / "dvc.lock"), read_yaml(folder / "params.yaml")
        if keys := outdated(lock, params):
            remarks.append(
                f"params.yaml has other values than these results: {', '.join(keys)}; dvc repro makes those of params.yaml."
            )
        predictions = None
        class_names: tuple[str, ...] = ()
        confusions = np.zeros((0, 0), dtype=np.int64)
        if (folder / MATRIX).exists():
            class_names, confusions = read_confusions(folder / MATRIX)
        if (folder / PREDICTIONS).exists():
            try:
                predictions = load_predictions(folder / PREDICTIONS)
                class_names, confusions = tuple(predictions.class_names.tolist()), count(predictions)
            except InputError:
                remarks.append(f"{PREDICTIONS} is damaged or of an older version.")
        result = Result(name, lock, load_curve(folder / CURVE), train, test, predictions)
        version = None
        if (folder / PROJECT).exists():
            version = tomllib.loads((folder / PROJECT).read_text(encoding="utf-8")).get("project", {}).get("version")
    command = reproducing_command(name, experiment=bool(experiment))
    return Revision(result, class_names, confusions, commit_of(name, experiment), version, command, remarks)


def commit_of(name: str, experiment: experiments.Experiment | None) -> str:
    """Return the commit of a revision in words."""
    if experiment:
        base = "".join(experiment.reference.split("/")[2:4])
        return f"{experiment.commit[:10]}, an experiment on {base[:10]}"
    commit = experiments.git("rev-parse", "--verify", "HEAD^{commit}" if name == WORKSPACE else f"{name}^{{commit}}")[:10]
    changed = name == WORKSPACE and experiments.git("status", "--porcelain", "--untracked-files=no")
    return f"{commit}, with changes that are not committed" if changed else commit


def read_confusions(path: Path) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return class names and counts [classes, classes] of a confusion matrix in a CSV file."""
    with read_output(Path(MATRIX), "evaluate"), path.open(newline="", encoding="utf-8") as file:
        rows = [(row["actual"], row["predicted"], int(row["count"])) for row in csv.DictReader(file)]
        names = tuple(dict.fromkeys(actual for actual, _, _ in rows))
        return names, np.array([times for _, _, times in rows], dtype=np.int64).reshape(len(names), len(names))


def count(predictions: Predictions) -> NDArray[np.int64]:
    """Return the confusion matrix, int64 [classes, classes]."""
    classes = len(predictions.class_names)
    cells = predictions.labels * classes + predictions.probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def arrange(revisions: Sequence[Revision]) -> Lines:
    """Return the rows of the report."""
    ordered = sorted(revisions, key=lambda each: each.result.seed)
    by_name = {each.name: each for each in ordered}
    groups = group([each.result for each in ordered])
    rows = sorted(compare(groups), key=lambda row: -row.test_accuracy)
    lines = [Line(number, row, [by_name[result.revision] for result in groups[row.name]]) for number, row in enumerate(rows)]
    shown = {each.name for line in lines for each in line.revisions}
    repeated = [name for name in by_name if name not in shown]
    return Lines(lines, {row.name: groups[row.name] for row in rows}, repeated)


def differing_params(lines: Sequence[Line]) -> dict[str, list[Any]]:
    """Return the params that are not the same in all rows, apart from the seeds of one row: key -> value of each row."""
    keys = dict.fromkeys(key for line in lines for key in line.first.params)
    values = {key: [line.first.params.get(key) for line in lines] for key in sorted(keys)}
    return {key: each for key, each in values.items() if any(value != each[0] for value in each)}
