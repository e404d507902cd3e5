"""Say what came of the last training: its accuracy, where the pictures are, and what to try next.

python -m tools.summary [FOLDER]
"""

import argparse
import json
import sys
from pathlib import Path

from classifier.errors import InputError
from classifier.files import reading


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.summary", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where metrics/ and plots/ lie (default: here)")
    folder = parser.parse_args().folder
    try:
        print(summary(folder))
    except InputError as error:
        sys.exit(f"summary: {error}")


def summary(folder: Path) -> str:
    """Return the summary of the results in `folder`."""
    with reading(folder / "metrics", "evaluate"):
        test, train = (json.loads((folder / "metrics" / f"{name}.json").read_text()) for name in ("test", "train"))
        interval = f"{test['accuracy_low']:.2%} to {test['accuracy_high']:.2%}"
        pictures = [path.as_posix() for path in sorted((folder / "plots").glob("*.png"))]
        return f"""
Test accuracy {test["accuracy"]:.2%} (95 % interval {interval})
Training      {train["seconds"]:.0f} s, best epoch {train["best_epoch"]}
Pictures      {" ".join(pictures)}
Metrics       {(folder / "metrics").as_posix()}/
Next          source .venv/bin/activate, then
              dvc plots show                      the curves and the matrix as a page
              dvc exp run -S train.epochs=3       another value, as an experiment
              dvc params diff; dvc metrics diff   what it changed, and what that did"""


if __name__ == "__main__":
    main()
