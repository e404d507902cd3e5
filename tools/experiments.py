"""DVC's experiments: Git references refs/exps/aa/bbbb/NAME, for an experiment on the commit aabbbb."""

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifier.params import parse_yaml, read_yaml
from classifier.runtime.errors import InputError


def git(*arguments: str) -> str:
    """Run Git, and return what it printed; InputError with what it says when it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InputError(f"git {arguments[0]}: {' '.join(done.stderr.split())}")
    return done.stdout.strip()


def references(name: str = "*") -> list[str]:
    """Return the references of the experiments of a name, on whatever commit; of all without a name."""
    return git("for-each-ref", "--format=%(refname)", f"refs/exps/??/*/{name}").split()


def names() -> list[str]:
    """Return the names of all experiments."""
    return sorted({reference.rsplit("/", 1)[1] for reference in references()})


def remove(name: str) -> None:
    """Remove the experiments of a name, on whatever commit."""
    for reference in references(name):
        git("update-ref", "-d", reference)


def rename(old: str, new: str) -> bool:
    """Give the experiment `old` the name `new`, in place of all others of that name; return whether there was one."""
    found = references(old)
    if found:
        commit = git("rev-parse", found[0])
        remove(new)
        git("update-ref", f"{found[0].rsplit('/', 1)[0]}/{new}", commit)
        remove(old)
    return bool(found)


def up_to_date(name: str, params: Mapping[str, Any]) -> bool:
    """Return whether the experiment of a name came of these params and of the code as it stands.

    This is what DVC asks before it runs a stage, asked of the dvc.lock of the experiment: the same command, the same values
    of the params that the stage uses, the same bytes of the modules that it imports. Data follows from these.
    """
    found = references(name)
    if len(found) != 1 or not git("ls-tree", found[0], "dvc.lock"):
        return False
    locked = parse_yaml(git("show", f"{found[0]}:dvc.lock"), "dvc.lock").get("stages", {})
    stages = read_yaml(Path("dvc.yaml"))["stages"]
    return all(stage in locked and _as_locked(definition, locked[stage], params) for stage, definition in stages.items())


def _as_locked(definition: Mapping[str, Any], locked: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    code = {path: _md5(Path(path)) for path in definition["deps"] if path.endswith(".py")}
    locked_code = {dependency["path"]: dependency["md5"] for dependency in locked["deps"] if dependency["path"].endswith(".py")}
    values = {key: _value(params, key) for key in definition["params"]}
    return bool(definition["cmd"] == locked["cmd"] and code == locked_code and values == locked["params"]["params.yaml"])


def _md5(path: Path) -> str | None:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() if path.is_file() else None


def _value(params: Any, key: str) -> Any:
    for part in key.split("."):
        params = params[part]
    return params
