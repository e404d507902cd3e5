"""Splits: the images of a revision's data set, where they are here."""

from pathlib import Path
from typing import Literal

from classifier.data.split import Split, load_split
from classifier.runtime.errors import InputError
from tools.experiments import WORKSPACE
from tools.report.revision import Revision

Part = Literal["train", "validation", "test"]


def find_output(revision: Revision, path: str) -> Path | None:
    """Return an output of a revision in the workspace or in DVC's cache, without a copy; None where it is in neither."""
    if revision.name == WORKSPACE and Path(path).is_file():
        return Path(path)
    md5 = revision.checksums.get(path)
    cached = cache_folder() / md5[:2] / md5[2:] if md5 else None
    return cached if cached and cached.is_file() else None


def find_split(revision: Revision, part: Part) -> Split | None:
    """Return a split of a revision's data set; None where it is not here or damaged."""
    path = find_output(revision, f"data/processed/{part}.safetensors")
    try:
        return load_split(path) if path else None
    except InputError:
        return None


def split_key(revision: Revision, part: Part) -> str:
    """Return what names a split: the same for revisions whose split has the same checksum."""
    return f"{part} {revision.checksums.get(f'data/processed/{part}.safetensors', revision.name)}"


def cache_folder() -> Path:
    """Return the folder of DVC's cache that has files by their MD5."""
    from dvc.repo import Repo

    with Repo() as repo:
        return Path(repo.cache.local.path)
