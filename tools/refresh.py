"""Files outside the repository, which DVC does not watch: the stage that reads one runs again when it has changed."""

import json
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from dvc.api import DVCFileSystem
from dvc.repo import Repo

from classifier.data.sources import PlaceError, local_path, sha256
from classifier.params import read_params
from classifier.runtime.errors import InputError
from classifier.variants import PARAMS
from tools.experiments import Interruption, find, git, run_dvc

SOURCE = "models/pretrained/source.json"


def refresh_weights(tool: str, interruption: Interruption, experiments: Collection[str] = ()) -> None:
    """Run the stage `weights` in the workspace if the file that network.pretrained names is another than that of its last run.

    Parameters
    ----------
    tool
        The name of the tool, for its lines.
    experiments
        The values of network.pretrained of experiments that are about to run in temporary folders. These start from the
        workspace's dvc.lock, and DVC's run-cache would give them the weights of an earlier file at the same path.

    Raises
    ------
    InputError
        When the stage fails.
    KeyboardInterrupt
        After an interruption while it runs.
    """
    own = read_params(PARAMS).network.pretrained
    found = {pretrained: checksum for pretrained in {own, *experiments} if (checksum := _checksum(pretrained))}
    if not found:
        return
    _forget_runs("weights")
    try:
        source: Any = json.loads(Path(SOURCE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        source = {}
    concerned = own in found or source.get("pretrained") in found
    if concerned and not _matches(source, own, found.get(own)):
        print(f"{tool}: {own} is new, or has other bytes than in the last run: running the stage weights", flush=True)
        run_stage("weights", interruption)


def has_current_weights(name: str, pretrained: str) -> bool:
    """Return whether an experiment started from the file that this value of network.pretrained names as it is now."""
    checksum, experiment = _checksum(pretrained), find(name)
    if not (checksum and experiment):
        return True
    files = DVCFileSystem(rev=experiment.commit, subrepos=True)
    try:
        source = json.loads(files.read_text(git("rev-parse", "--show-prefix") + SOURCE))
    except FileNotFoundError:  # neither here nor in the cache
        return False
    return _matches(source, pretrained, checksum)


def run_stage(name: str, interruption: Interruption) -> None:
    """Run one stage in the workspace, whatever DVC knows of it; raises as `refresh_weights`."""
    if run_dvc("repro", "--force", "--single-item", name, interruption=interruption) != 0:
        raise InputError(f"the stage {name} failed; see the output above")


def _checksum(pretrained: str) -> str | None:
    """Return the SHA-256 of the file that network.pretrained names, or None without such a file on this machine."""
    try:
        path = None if pretrained == "none" else local_path(pretrained, Path.cwd())
    except (PlaceError, PackageNotFoundError):
        return None
    return sha256(path) if path and path.is_file() else None


def _matches(source: Any, pretrained: str, checksum: str | None) -> bool:
    return source.get("pretrained") == pretrained and (checksum is None or source.get("sha256") == checksum)


def _forget_runs(name: str) -> None:
    """Remove a stage from DVC's run-cache, which knows it by its params alone."""
    runs = Path(Repo().cache.local_cache_dir, "runs")
    for path in runs.glob("*/*/*"):
        if path.read_text(encoding="utf-8", errors="replace").startswith(f"cmd: python -m stages.{name}\n"):
            path.unlink()
            if not any(path.parent.iterdir()):  # an empty folder would make DVC fail
                path.parent.rmdir()
