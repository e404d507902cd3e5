"""Found in place of the package by `python stages/NAME.py`, which has the wrong folder on its path; says what to run."""

import sys
from pathlib import Path

sys.exit(f"run it as a module, from the repository's root: python -m stages.{Path(sys.argv[0]).stem}")
