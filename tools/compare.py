"""Compare trainings: one picture with all their learning curves, one table, and how much each pair differs.

A revision is an experiment, or else a tag, branch or commit, or `workspace`; a pattern such as 'augmented-seed-*' stands for
the experiments that it matches. Trainings whose dvc.lock differs only in train.seed and what follows from it become one line
with mean, spread and n. With --fail-if-worse the first line is what the others are measured against. With --markdown all of it,
params and confusions too, becomes one text for a pull request.

  python -m tools.compare initial batchnorm augmented
  python -m tools.compare initial 'augmented-seed-*' --output docs/seeds
  python -m tools.compare main workspace --fail-if-worse --markdown
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from classifier.figures.comparison import learning_curves
from classifier.figures.style import save_figure
from classifier.params import check_mapping, flatten, parse_yaml, read_yaml
from classifier.results import difference
from classifier.results.comparison import PARAMS, Result, as_markdown, as_values, compare, group, outdated
from classifier.results.difference import Difference, differences, missing_seeds
from classifier.results.learning_curve import load_curve
from classifier.results.predictions import Predictions, load_predictions
from classifier.results.table import write_json
from classifier.runtime.errors import InputError
from classifier.runtime.files import atomic_outputs, check_folder
from tools import experiments, markdown
from tools.revisions import fetch, known_experiments

PREDICTIONS = "data/predictions.npz"


def main(command: Sequence[str] | None = None) -> None:
    """Run the tool with the given command line, by default that of the process."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "revisions", nargs="+", metavar="REVISION", help="experiment, tag, branch, commit, pattern or workspace"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("comparison"), metavar="FOLDER", help="where to write (default: comparison/)"
    )
    parser.add_argument(
        "--fail-if-worse", action="store_true", help="end with 1 if another line is worse than the first, or cannot be compared"
    )
    parser.add_argument("--markdown", action="store_true", help="also write summary.md, one text for a pull request")
    arguments = parser.parse_args(command)
    folder = arguments.output
    check_folder(folder)
    revisions = expand(arguments.revisions)
    if arguments.fail_if_worse and len(revisions) == 1:
        raise InputError(f"--fail-if-worse: {revisions[0]} alone cannot be compared: name another revision")
    try:
        results = [load(revision) for revision in revisions]
        groups = group(results)
        rows = compare(groups)
        table = as_markdown([replace(row, name=row.name.replace("|", "\\|")) for row in rows])
        first = next(iter(groups))
        found = differences(groups, first if arguments.fail_if_worse else None)
    except KeyError as error:
        lacking = f"the params or metrics of a revision lack {error}"
        raise InputError(f"{lacking}: another version of this program wrote them") from error
    curves = {name: [result.curve for result in row] for name, row in groups.items()}
    with atomic_outputs() as place:
        write_json(place(folder / "comparison.json"), as_values(rows))
        place(folder / "comparison.md").write_text(table, encoding="utf-8")
        write_json(place(folder / "differences.json"), difference.as_values(found))
        place(folder / "differences.md").write_text(difference.as_markdown(found), encoding="utf-8")
        save_figure(place(folder / "learning_curves.png"), 150, lambda: learning_curves(curves))
        if arguments.markdown:
            committed = {result.revision: committed_params(result.revision) for result in results}
            place(folder / "summary.md").write_text(markdown.summary(groups, found, committed), encoding="utf-8")
    print(table)
    if found:
        print(difference.as_markdown(found))
    if repeated := {result.revision for result in results} - {one.revision for row in groups.values() for one in row}:
        print(f"compare: counted once, since others have the same settings and results: {', '.join(sorted(repeated))}")
    if old := [result.revision for result in results if "training_accuracy" not in result.train]:
        print(f"compare: no training accuracy and gap: an older version of this program trained {', '.join(old)}")
    if missing := missing_seeds(groups):
        print(f"compare: {seeds_hint(missing, [result.revision for result in results])}")
    written = "summary.md, comparison.md" if arguments.markdown else "comparison.md"
    print(f"compare: {written}, differences.md, both as .json, and learning_curves.png are in {folder}")
    if arguments.fail_if_worse and (failures := [reason for each in found if (reason := failure(each, first))]):
        sys.exit(f"compare: --fail-if-worse: {'; '.join(failures)}")


def failure(found: Difference, baseline: str) -> str:
    """Return why the second line of a difference fails against the baseline; empty if it does not."""
    if found.first != baseline or not (found.worse or found.method == "none"):
        return ""
    return difference.sentence(found)


def seeds_hint(missing: Mapping[str, Sequence[int]], given: Sequence[str]) -> str:
    """Return a line that says which seeds are missing to compare designs, and how to get them."""
    names = {re.sub(r"-seed-\d+$", "", name) for name in missing}
    here = [name for name in experiments.names() if re.sub(r"-seed-\d+$", "", name) in names and name not in given]
    seeds = "; ".join(f"{name} {', '.join(map(str, numbers))}" for name, numbers in missing.items())
    add = f"add {' '.join(here)}" if here else "python -m tools.variant NAME --seeds N trains them"
    return f"with one seed, models are compared, not designs; seeds missing: {seeds}; {add}"


def expand(revisions: Sequence[str]) -> list[str]:
    """Replace patterns by the names of the experiments that they match, each once."""
    names: dict[str, None] = {}
    for revision in revisions:
        matches = [name for name in experiments.names() if fnmatchcase(name, revision)] if "*" in revision else [revision]
        if not matches:
            raise InputError(f"no experiment matches {revision}{known_experiments(revision)}")
        names |= dict.fromkeys(matches)
    return list(names)


def load(revision: str) -> Result:
    """Return the params and the results of a revision; those that are missing raise InputError."""
    paths = ("params.yaml", "dvc.lock", "metrics/train.json", "metrics/test.json", "plots/learning_curve.csv")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fetch(revision, paths, folder, optional=[PREDICTIONS])
        params, lock, train, test = (read_mapping(folder / path, f"{revision}: {path}") for path in paths[:4])
        if keys := outdated(lock, params):
            print(f"compare: {revision}: params.yaml has other values than its results: {', '.join(keys)}")
        predictions = read_predictions(folder / PREDICTIONS, revision, test)
        return Result(revision, lock, load_curve(folder / "plots/learning_curve.csv"), train, test, predictions)


def committed_params(revision: str) -> dict[str, Any]:
    """Return params.yaml by key, of the commit of a revision: for an experiment, of that on which it ran."""
    experiment = None if revision == experiments.WORKSPACE else experiments.find(revision)
    with tempfile.TemporaryDirectory() as folder:
        fetch(experiment.baseline if experiment else revision, [PARAMS], Path(folder))
        return flatten(read_yaml(Path(folder, PARAMS)))


def read_mapping(path: Path, where: str) -> Mapping[str, Any]:
    """Return the content of a JSON or YAML file; one that is damaged raises InputError, which names it `where`."""
    try:
        text = path.read_text(encoding="utf-8")
        return check_mapping(json.loads(text) if path.suffix == ".json" else parse_yaml(text, where), where)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{where}: damaged ({error})") from None


def read_predictions(path: Path, revision: str, test: Mapping[str, Any]) -> Predictions | None:
    """Return the predictions of a revision; None if they are missing, or, with a line, if they cannot be used.

    Those of a workspace may be another commit's than its metrics: `git checkout` leaves what DVC keeps as it is.
    """
    try:
        predictions = load_predictions(path) if path.exists() else None
    except InputError:
        print(f"compare: {revision}: compared without its {PREDICTIONS}, which is damaged or of an older version")
        return None
    if predictions:
        right = int((predictions.probabilities.argmax(axis=1) == predictions.labels).sum())
        if (right, len(predictions.labels)) != (round(test["accuracy"] * test["images"]), test["images"]):
            print(f"compare: {revision}: compared without its {PREDICTIONS}, which belongs to other metrics; run dvc checkout")
            return None
    return predictions


if __name__ == "__main__":
    main()
