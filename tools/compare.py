"""Compare trainings: one picture with all their learning curves, and one table as Markdown and as JSON.

A revision is an experiment, or else a tag, branch or commit, or `workspace`; a pattern such as 'augmented-seed-*' stands for
the experiments that it matches. Trainings whose dvc.lock differs only in train.seed and what follows from it become one line
with mean, spread and n.

  python -m tools.compare initial batchnorm augmented
  python -m tools.compare initial 'augmented-seed-*' --output docs/seeds
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from classifier.figures.comparison import learning_curves
from classifier.figures.style import save_figure
from classifier.params import read_yaml
from classifier.results.comparison import Result, as_markdown, as_values, compare, group, outdated
from classifier.results.learning_curve import load_curve
from classifier.results.table import write_json
from classifier.runtime.errors import InputError
from classifier.runtime.files import atomic_write, check_folder
from tools import experiments
from tools.revisions import fetch, known_experiments


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
    arguments = parser.parse_args(command)
    folder = arguments.output
    check_folder(folder)
    try:
        results = [load(revision) for revision in expand(arguments.revisions)]
        groups = group(results)
        rows = compare(groups)
    except KeyError as error:
        missing = f"the params or metrics of a revision lack {error}"
        raise InputError(f"{missing}: another version of this program wrote them") from error
    write_json(folder / "comparison.json", as_values(rows))
    with atomic_write(folder / "comparison.md") as temporary:
        temporary.write_text(as_markdown(rows), encoding="utf-8")
    with atomic_write(folder / "learning_curves.png") as temporary:
        save_figure(temporary, 150, lambda: learning_curves(groups))
    print(as_markdown(rows))
    if repeated := {result.revision for result in results} - {one.revision for row in groups.values() for one in row}:
        print(f"compare: counted once, since others have the same settings and results: {', '.join(sorted(repeated))}")
    if old := [result.revision for result in results if "training_accuracy" not in result.train]:
        print(f"compare: no training accuracy and gap: an older version of this program trained {', '.join(old)}")
    print(f"compare: comparison.md, comparison.json and learning_curves.png are in {folder}")


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
        fetch(revision, paths, folder)
        train, test = (json.loads((folder / f"metrics/{part}.json").read_text(encoding="utf-8")) for part in ("train", "test"))
        params, lock = read_yaml(folder / "params.yaml"), read_yaml(folder / "dvc.lock")
        if keys := outdated(lock, params):
            print(f"compare: {revision}: params.yaml has other values than its results: {', '.join(keys)}")
        return Result(revision, lock, load_curve(folder / "plots/learning_curve.csv"), train, test)


if __name__ == "__main__":
    main()
