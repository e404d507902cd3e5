"""Print the results of the last training: accuracy, pictures, and what to try next.

python -m tools.summary [FOLDER [EXPERIMENT]]
"""

import argparse
import json
from pathlib import Path

from classifier.runtime.files import read_output

STEPS = """dvc plots show                      the curves and the matrix as a page
              dvc exp run -S train.epochs=3       another value, as an experiment
              dvc params diff; dvc metrics diff   what differs, and what that did"""
STEPS_AFTER_EXPERIMENT = """dvc plots diff {1:20} {2}
              dvc params diff HEAD {0:14} what differs from the last commit
              make repro                          the same on CIFAR-10"""


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.summary", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="folder of metrics/ and plots/ (default: .)")
    parser.add_argument("experiment", nargs="?", help="experiment that they belong to (default: the workspace)")
    arguments = parser.parse_args()
    print(summary(arguments.folder, arguments.experiment))


def summary(folder: Path, experiment: str | None) -> str:
    """Return the summary of the results in a folder; InputError when they are missing or damaged."""
    with read_output(folder / "metrics", "evaluate"):
        test, train = (json.loads((folder / "metrics" / f"{name}.json").read_text()) for name in ("test", "train"))
        interval = f"{test['accuracy_low']:.2%} to {test['accuracy_high']:.2%}"
        compared = (experiment, "curves and matrices beside those of the workspace")
        if not Path("plots/learning_curve.csv").exists():  # of those DVC would say that it failed to load them
            compared = (f"{experiment} {experiment}", "its curves and matrix as a page")
        pictures = [path.as_posix() for path in sorted((folder / "plots").glob("*.png"))]
        return f"""
Test accuracy {test["accuracy"]:.2%} (95 % interval {interval})
Training      {train["seconds"]:.0f} s, best epoch {train["best_epoch"]}
Pictures      {" ".join(pictures)}
Metrics       {(folder / "metrics").as_posix()}/
Next          . .venv/bin/activate, then
              {STEPS_AFTER_EXPERIMENT.format(experiment, *compared) if experiment else STEPS}"""


if __name__ == "__main__":
    main()
