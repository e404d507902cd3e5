"""The model as an artifact: found by its name and version once there is a tag, and by its path without one."""

from pathlib import Path

import pytest
from dvc.api import artifacts_show

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
