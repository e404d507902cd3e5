"""Compare trainings: one picture with all their learning curves, one table, and how much each pair differs.

A revision is an experiment, or else a tag, branch or commit, or `workspace`; a pattern such as 'augmented-seed-*' stands for
the experiments that it matches. Trainings whose dvc.lock differs only in train.seed and what follows from it become one line
with mean, spread and n. With --fail-if-worse the first line is what the others are measured against.

  python -m tools.compare initial batchnorm augmented
  python -m tools.compare initial 'augmented-seed-*' --output docs/seeds
  python -m tools.compare main workspace --fail-if-worse
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from classifier.figures.comparison import learning_curves
from classifier.figures.style import save_figure
from classifier.params import read_yaml
from classifier.results import difference
from classifier.results.comparison import Result, as_markdown, as_values, compare, group, outdated
from classifier.results.difference import Difference, differences, missing_seeds
from classifier.results.learning_curve import load_curve
from classifier.results.predictions import Predictions, load_predictions
from classifier.results.table import write_json
from classifier.runtime.errors import InputError
from classifier.runtime.files import atomic_write, check_folder
from tools import experiments
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
    arguments = parser.parse_args(command)
    folder = arguments.output
    check_folder(folder)
    try:
        results = [load(revision) for revision in expand(arguments.revisions)]
        groups = group(results)
        rows = compare(groups)
        first = next(iter(groups))
        found = differences(groups, first if arguments.fail_if_worse else None)
    except KeyError as error:
        lacking = f"the params or metrics of a revision lack {error}"
        raise InputError(f"{lacking}: another version of this program wrote them") from error
    write_json(folder / "comparison.json", as_values(rows))
    with atomic_write(folder / "comparison.md") as temporary:
        temporary.write_text(as_markdown(rows), encoding="utf-8")
    write_json(folder / "differences.json", difference.as_values(found))
    with atomic_write(folder / "differences.md") as temporary:
        temporary.write_text(difference.as_markdown(found), encoding="utf-8")
    curves = {name: [result.curve for result in row] for name, row in groups.items()}
    with atomic_write(folder / "learning_curves.png") as temporary:
        save_figure(temporary, 150, lambda: learning_curves(curves))
    print(as_markdown(rows))
    if found:
        print(difference.as_markdown(found))
    if repeated := {result.revision for result in results} - {one.revision for row in groups.values() for one in row}:
        print(f"compare: counted once, since others have the same settings and results: {', '.join(sorted(repeated))}")
    if old := [result.revision for result in results if "training_accuracy" not in result.train]:
        print(f"compare: no training accuracy and gap: an older version of this program trained {', '.join(old)}")
    if missing := missing_seeds(groups):
        print(f"compare: {seeds_hint(missing, [result.revision for result in results])}")
    print(f"compare: comparison.md, differences.md, both as .json, and learning_curves.png are in {folder}")
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
        train, test = (json.loads((folder / f"metrics/{part}.json").read_text(encoding="utf-8")) for part in ("train", "test"))
        params, lock = read_yaml(folder / "params.yaml"), read_yaml(folder / "dvc.lock")
        if keys := outdated(lock, params):
            print(f"compare: {revision}: params.yaml has other values than its results: {', '.join(keys)}")
        predictions = read_predictions(folder / PREDICTIONS, revision)
        return Result(revision, lock, load_curve(folder / "plots/learning_curve.csv"), train, test, predictions)


def read_predictions(path: Path, revision: str) -> Predictions | None:
    """Return the predictions of a revision; None if they are missing, or, with a line, damaged or of an older version."""
    try:
        return load_predictions(path) if path.exists() else None
    except InputError:
        print(f"compare: {revision}: compared without its {PREDICTIONS}, which is damaged or of an older version")
        return None


if __name__ == "__main__":
    main()
