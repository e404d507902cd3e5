"""Where things lie that are no output of a stage: the repository, the checkpoint, the code that runs."""

import os
import sys
from pathlib import Path
from urllib.parse import quote


def repository_root(folder: Path) -> Path:
    """Return the folder from which relative paths count: this one or, for a temporary copy that DVC made, its origin.

    `dvc exp run --temp` and `dvc queue` run a pipeline in ROOT/.dvc/tmp/exps/.../NAME.
    """
    for parent in folder.parents:
        if parent.parts[-3:] == (".dvc", "tmp", "exps"):
            return parent.parents[2]
    return folder


def checkpoint_file() -> Path:
    """Return the place of a checkpoint: in the repository, also when DVC runs an experiment in a temporary copy of it."""
    here = Path.cwd()
    root = repository_root(here)
    if root == here:
        return Path("checkpoints/train.pt")
    return root / "checkpoints" / f"{quote(os.environ.get('DVC_EXP_NAME', 'train'), safe='')}.pt"


def loaded_code() -> dict[str, Path]:
    """Return the files of the modules of this project that have been imported, by their names."""
    modules = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in ("classifier", "stages")}
    return {name: Path(module.__file__) for name, module in modules.items() if module.__file__}
