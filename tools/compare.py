"""Compare trainings: one picture with all their learning curves, and one table as Markdown and as JSON.

A revision is an experiment, or else a tag, branch or commit, or `workspace`; a pattern such as 'augmented-seed-*' stands for
the experiments that it matches. Trainings whose dvc.lock differs only in train.seed and what follows from it become one line
with mean, spread and n.

  python -m tools.compare initial batchnorm augmented
  python -m tools.compare initial 'augmented-seed-*' --output docs/seeds
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc.scm import RevError

from classifier.figures.comparison import learning_curves
from classifier.figures.style import save_figure
from classifier.params import did_you_mean, read_yaml
from classifier.results.comparison import Result, as_markdown, as_values, compare, group, outdated
from classifier.results.learning_curve import load_curve
from classifier.results.table import write_json
from classifier.runtime.errors import InputError
from classifier.runtime.files import atomic_write, check_folder
from tools import experiments


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
    try:
        check_folder(folder)
        results = [load(revision) for revision in expand(arguments.revisions)]
        groups = group(results)
        rows = compare(groups)
        write_json(folder / "comparison.json", as_values(rows))
        with atomic_write(folder / "comparison.md") as temporary:
            temporary.write_text(as_markdown(rows), encoding="utf-8")
        with atomic_write(folder / "learning_curves.png") as temporary:
            save_figure(temporary, 150, lambda: learning_curves(groups))
    except InputError as error:
        sys.exit(f"compare: {error}")
    except KeyError as error:
        sys.exit(f"compare: the params or metrics of a revision lack {error}: another version of this program wrote them")
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


def known_experiments(name: str) -> str:
    """Return the part of an error message that names the experiments, and the one that a misspelt name resembles."""
    names = experiments.names()
    if not names:
        return "; there are no experiments: make study runs those of the study"
    return f"{did_you_mean(name, names)}; there are {', '.join(names)}"


def load(revision: str) -> Result:
    """Return the params and the results of a revision, from Git and from DVC's cache or remote.

    Raises
    ------
    InputError
        When there is no such revision, or its results are in neither.
    """
    experiment = None if revision == "workspace" else experiments.find(revision)
    commit = experiment.commit if experiment else None if revision == "workspace" else revision
    try:
        files = DVCFileSystem(rev=commit, subrepos=True)
        prefix = experiments.git("rev-parse", "--show-prefix") if commit else ""
        with tempfile.TemporaryDirectory() as folder:
            for name in ("params.yaml", "dvc.lock", "metrics/train.json", "metrics/test.json", "plots/learning_curve.csv"):
                files.get_file(prefix + name, str(Path(folder, Path(name).name)))
            train, test = (json.loads(Path(folder, f"{name}.json").read_text(encoding="utf-8")) for name in ("train", "test"))
            params, lock = (read_yaml(Path(folder, name)) for name in ("params.yaml", "dvc.lock"))
            if keys := outdated(lock, params):
                print(f"compare: {revision}: params.yaml has other values than its results: {', '.join(keys)}")
            return Result(revision, lock, load_curve(Path(folder, "learning_curve.csv")), train, test)
    except RevError:
        raise InputError(f"{revision}: no such experiment, tag, branch or commit{known_experiments(revision)}") from None
    except FileNotFoundError as error:
        raise InputError(f"{revision}: its results are not here ({error}); dvc pull may bring them, or run it again") from None
    except DvcException as error:
        raise InputError(f"{revision}: {error}") from None


if __name__ == "__main__":
    main()
