"""Compare the results of two commits: a refactoring must change none of them.

Each commit is checked out into a temporary folder, where its own stages run on digits and, for one epoch, on CIFAR-10. Models,
curves, predictions, metrics and pictures are compared as bytes and, where these differ, value by value, so that an added field
in a file is distinguished from changed weights. Run times are left out. The exit status is 1 if a value differs.

  python -m benchmarks.commits HEAD~1
  python -m benchmarks.commits v0.1.0 HEAD --data digits
"""

import argparse
import csv
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from safetensors.numpy import load_file
from torch import Tensor

from classifier.params import flatten, read_yaml
from classifier.runtime.console import log
from classifier.runtime.errors import InputError
from classifier.variants import merge

ROOT = Path(__file__).parents[1]
CASES: dict[str, Any] = {"digits": {}, "cifar10": {"train": {"epochs": 1}}}
ARCHIVE = "cifar-10-python.tar.gz"
RESULTS = ("models/", "plots/", "metrics/", "data/predictions", "data/mistakes")
TIMES = {"seconds", "images_per_second"}  # differ in every run


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.commits", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", metavar="COMMIT", help="the commit before the change")
    parser.add_argument("after", metavar="COMMIT", nargs="?", default="HEAD", help="the commit after it (default: HEAD)")
    parser.add_argument("--data", choices=CASES, nargs="+", default=list(CASES), help="default: %(default)s")
    arguments = parser.parse_args()
    same = True
    for case in arguments.data:
        before, after = (results(commit, case) for commit in (arguments.before, arguments.after))
        for name in sorted(before.keys() | after.keys()):
            equal, line = difference(before.get(name), after.get(name))
            same = same and equal
            log(f"{case}: {name}: {line}")
    log("commits: all values are the same" if same else "commits: values differ, see above")
    sys.exit(not same)


class Result(NamedTuple):
    """A file that a stage wrote."""

    suffix: str
    content: bytes
    values: dict[str, Any]


def results(commit: str, case: str) -> dict[str, Result]:
    """Run the stages of a commit; return the results by path, without the suffix, so that a file may change its format."""
    found = {}
    with checkout(commit) as folder:
        params = merge(merge(read_yaml(folder / "params.yaml"), variant(folder, case)), CASES[case])
        params["data"] |= {"name": case, "sources": sources(params["data"]["sources"], case)}
        (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
        for name, stage in read_yaml(folder / "dvc.yaml")["stages"].items():
            log(f"commits: {commit}, {case}: {name}")
            command = [sys.executable, *shlex.split(stage["cmd"])[1:]]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise InputError(f"the stage {name} of {commit} failed: {done.stderr.strip()[-2000:]}")
            for entry in [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]:
                output = entry if isinstance(entry, str) else next(iter(entry))
                path = folder / output
                if output.startswith(RESULTS) and not path.is_dir():  # a picture may have the name of the table that it shows
                    key = output if path.suffix == ".png" else output.removesuffix(path.suffix)
                    found[key] = Result(path.suffix, path.read_bytes(), values(path))
    return found


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """Check a commit out into a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "commit")
        done = subprocess.run(
            ["git", "-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--quiet", "--detach", str(folder), commit],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"GIT_LFS_SKIP_SMUDGE": "1"},
        )
        if done.returncode != 0:
            raise InputError(f"{commit}: {' '.join(done.stderr.split())}")
        try:
            yield folder
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(folder)], cwd=ROOT, check=False)


def variant(folder: Path, case: str) -> Any:
    """Return what the variant of a data set changes, if the commit has one."""
    path = folder / "variants" / f"{case}.yaml"
    return (read_yaml(path) or {}) if path.exists() else {}


def sources(of_commit: Any, case: str) -> Any:
    """Return `data.sources` in the form that the commit takes, for a checkout elsewhere.

    The form is a list of places to look in or, in older commits, archives with their checksums for each data set.
    """
    if not isinstance(of_commit, Mapping):
        return [place if "://" in place else str((ROOT / place).resolve()) for place in of_commit]
    if case == "digits":
        return of_commit
    folders = [ROOT / "data/archives", ROOT.parent / "shared/cifar10", ROOT.parent / "shared"]
    archives = [folder / ARCHIVE for folder in folders if (folder / ARCHIVE).exists()]
    if not archives:
        raise InputError(f"no {ARCHIVE} in {' or '.join(map(str, folders))}; put it there, or compare --data digits alone")
    with archives[0].open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    return {**of_commit, case: [{"location": str(archives[0].resolve()), "checksum": f"sha256:{checksum}"}]}


def values(path: Path) -> dict[str, Any]:
    """Return the content of a file as named values, tensors and arrays; a picture has none."""
    match path.suffix:
        case ".json":
            return flatten(json.loads(path.read_text(encoding="utf-8")))
        case ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                header, *rows = csv.reader(file)
            return {name: [row[column] for row in rows] for column, name in enumerate(header)}
        case ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return dict(arrays)
        case ".safetensors":
            return dict(load_file(path))
        case ".pt":
            return flatten(torch.load(path, map_location="cpu", weights_only=True))
        case _:
            return {}


def difference(before: Result | None, after: Result | None) -> tuple[bool, str]:
    """Return whether two versions of a result agree in all values that both have, and a line that says what differs."""
    if before is None:
        return True, "new"
    if after is None:
        return False, "gone"
    if before[:2] == after[:2]:
        return True, f"{before.suffix}, the same bytes"
    old, new = before.values, after.values
    shared = [key for key in old if key in new and key not in TIMES]
    changed = [key for key in shared if not equal(old[key], new[key])]
    parts = [
        "" if shared else "other bytes",
        "the same values" if shared and not changed else "",
        f"{len(changed)} values differ: {', '.join(changed)}" if changed else "",
        f"new: {', '.join(sorted(new.keys() - old.keys()))}" if new.keys() - old.keys() else "",
        f"gone: {', '.join(sorted(old.keys() - new.keys()))}" if old.keys() - new.keys() else "",
    ]
    return bool(shared) and not changed, "; ".join(filter(None, parts))


def equal(one: Any, other: Any) -> bool:
    """Return whether two values are the same; of arrays and tensors the type, the shape and every bit."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        same_form = (one.dtype, one.shape) == (other.dtype, other.shape)
        return same_form and torch.equal(one.flatten().view(torch.uint8), other.flatten().view(torch.uint8))
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    return not any(isinstance(value, Tensor | np.ndarray) for value in (one, other)) and bool(one == other)


if __name__ == "__main__":
    main()
