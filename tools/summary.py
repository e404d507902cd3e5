"""Say what came of the last training: its accuracy, where the pictures are, and what to try next.

python -m tools.summary [FOLDER [EXPERIMENT]]
"""

import argparse
import json
import sys
from pathlib import Path

from classifier.runtime.errors import InputError
from classifier.runtime.files import read_output


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.summary", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where metrics/ and plots/ lie (default: here)")
    parser.add_argument("experiment", nargs="?", help="which they are of (default: none, but the workspace)")
    arguments = parser.parse_args()
    try:
        print(summary(arguments.folder, arguments.experiment))
    except InputError as error:
        sys.exit(f"summary: {error}")


def summary(folder: Path, experiment: str | None) -> str:
    """Return the summary of the results in `folder`, which are the workspace's or an experiment's."""
    with read_output(folder / "metrics", "evaluate"):
        test, train = (json.loads((folder / "metrics" / f"{name}.json").read_text()) for name in ("test", "train"))
        interval = f"{test['accuracy_low']:.2%} to {test['accuracy_high']:.2%}"
        pictures = [path.as_posix() for path in sorted((folder / "plots").glob("*.png"))]
        return f"""
Test accuracy {test["accuracy"]:.2%} (95 % interval {interval})
Training      {train["seconds"]:.0f} s, best epoch {train["best_epoch"]}
Pictures      {" ".join(pictures)}
Metrics       {(folder / "metrics").as_posix()}/
Next          source .venv/bin/activate, then
{next_steps(experiment)}"""


def next_steps(experiment: str | None) -> str:
    """Return the commands to try, each with what it does."""
    steps = {
        "dvc plots show": "the curves and the matrix as a page",
        "dvc exp run -S train.epochs=3": "another value, as an experiment",
        "dvc params diff; dvc metrics diff": "what it changed, and what that did",
    }
    if experiment:
        steps = {
            f"dvc plots diff {experiment}": "the curves and the matrix as a page, beside those of the workspace",
            f"dvc params diff HEAD {experiment}": "what differs from the last commit",
            "make repro": "the same on CIFAR-10",
        }
    return "\n".join(f"{'':14}{command:36}{what}" for command, what in steps.items())


if __name__ == "__main__":
    main()
