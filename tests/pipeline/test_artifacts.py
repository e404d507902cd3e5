"""The model as an artifact: found by its name and version once there is a tag, and by its path without one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dvc.api import artifacts_show
from PIL import Image

from tests.pipeline.repository import Repository

MODEL = "models/classifier.pt"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository whose pipeline ran once for each of two commits, the first of which is tagged."""
    repository = Repository(tmp_path_factory.mktemp("repository"))
    repository.set("train.epochs", "1")
    repository.dvc("repro", "train")
    repository.commit("Results")
    repository.run("git", "tag", "--annotate", "--message", "Version 1.0.0", "classifier@v1.0.0")
    repository.set("train.seed", "1")
    repository.dvc("repro", "train")
    repository.commit("Another seed")
    return repository


def model_at(repository: Repository, revision: str) -> bytes:
    """The model of a commit, from DVC's cache."""
    repository.dvc("get", ".", MODEL, "--rev", revision, "--out", "at-revision.pt", "--force")
    return (repository.folder / "at-revision.pt").read_bytes()


def test_the_tagged_model_is_shown_and_fetched_by_its_name(repository: Repository, tmp_path: Path) -> None:
    shown = artifacts_show("classifier", repo=str(repository.folder))
    assert shown == {"path": MODEL, "rev": repository.run("git", "rev-parse", "classifier@v1.0.0^{commit}").strip()}
    repository.dvc("artifacts", "get", str(repository.folder), "classifier", "--out", str(tmp_path / "fetched.pt"))
    assert (tmp_path / "fetched.pt").read_bytes() == model_at(repository, "HEAD~1")


def test_a_model_is_fetched_by_its_path_from_any_commit_without_a_tag(repository: Repository) -> None:
    assert model_at(repository, "HEAD") == (repository.folder / MODEL).read_bytes() != model_at(repository, "HEAD~1")


def test_a_photo_is_classified_with_the_model_of_any_revision(repository: Repository) -> None:
    random = np.random.default_rng(0).integers(256, size=(8, 8), dtype=np.uint8)
    Image.fromarray(random).save(repository.folder / "photo.png")

    def answers(*arguments: str) -> Any:
        printed = repository.python("tools.classify", "photo.png", "--json", *arguments)
        return json.loads(printed[printed.index("[ ") :])

    model_at(repository, "HEAD~1")
    expected = answers("--model", "at-revision.pt")
    assert answers("--rev", "HEAD~1") == answers("--rev", "classifier@v1.0.0") == expected
    assert answers() == answers("--rev", "HEAD") == answers("--rev", "workspace") != expected
    line = repository.python("tools.classify", "photo.png", "--rev", "nowhere", fails=True)
    assert line.startswith("classify: nowhere: no such experiment, tag, branch or commit; ")
    assert line.count("\n") == 1
