"""Paths other than those of outputs: the repository, the checkpoint, the code."""

import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from classifier.runtime.errors import InputError

CODE = Path(__file__).parents[2]  # the root of the code that runs


def repository_root(folder: Path) -> Path:
    """Return the folder to which relative paths refer: `folder` or, for a temporary copy that DVC made, the original.

    `dvc exp run --temp` and `dvc queue` run a pipeline in ROOT/.dvc/tmp/exps/.../NAME.
    """
    for parent in folder.parents:
        if parent.parts[-3:] == (".dvc", "tmp", "exps"):
            return parent.parents[2]
    return folder


def checkpoint_file() -> Path:
    """Return the path of the checkpoint: in the repository, also when DVC runs an experiment in a temporary copy of it.

    Each experiment has a separate checkpoint, named after it; a long name is cut, since a file's has 255 bytes at most.
    """
    here = Path.cwd()
    root = repository_root(here)
    if root == here:
        return Path("checkpoints/train.pt")
    experiment = os.environ.get("DVC_EXP_NAME", "train")
    name = quote(experiment, safe="")
    if len(name) > 150:
        name = f"{name[:150]}-{sha256(experiment.encode()).hexdigest()[:12]}"
    return root / "checkpoints" / f"{name}.pt"


def check_output_folders() -> None:
    """Raise InputError for a folder of outputs that is a link to outside of the repository, which DVC would refuse too late."""
    for folder in map(Path, ("data", "data/processed", "models", "metrics", "plots")):
        if not folder.resolve().is_relative_to(Path.cwd()):
            raise InputError(
                f"{folder} is a link to {folder.resolve()}, outside of the repository, where DVC accepts no outputs: make it a "
                "folder; to use another disk, put DVC's cache there: dvc cache dir --local FOLDER"
            )


def code_files(deps: Iterable[str]) -> dict[str, Path]:
    """Return the Python files among the dependencies of a stage, as dvc.yaml lists them: files, and all modules in folders.

    Hidden files and folders, which editors leave behind, do not count, as for DVC (.dvcignore).
    """
    found: dict[str, Path] = {}
    for path in (CODE / name for name in deps):
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.suffix == ".py" else []
        modules = [file for file in files if not any(part.startswith(".") for part in file.relative_to(path).parts)]
        found |= {module.relative_to(CODE).as_posix(): module for module in modules}
    return found
