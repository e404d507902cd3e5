"""A folder of images beside the repository, under real DVC: what is added to it arrives, and nothing else runs again."""

import os
import shutil
from pathlib import Path

import pytest

from tests.pipeline.repository import Repository, ran
from tests.stages.test_image_folder import photos

STAGES = ["download", "preprocess", "train", "evaluate", "plot"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which the pipeline ran on a folder of images beside it, and its results were committed."""
    folder = tmp_path_factory.mktemp("folder")
    photos(folder / "my photos", 12, "cat", "dog")
    repository = Repository(folder / "repository")
    for key, value in {"data.name": "folder", "data.folder": "../my photos", "data.image_size": "8"}.items():
        repository.set(key, value)
    assert [stage for stage in ran(repository.python("tools.repro")) if stage in STAGES] == STAGES
    repository.commit("Results")
    return repository


@pytest.fixture
def repository(made: Repository, tmp_path: Path) -> Repository:
    """A copy of it, with its folder of images, for a test to change."""
    shutil.copytree(made.folder.parent, tmp_path / "copy")
    return made.at(tmp_path / "copy/repository")


def add_ten(repository: Repository) -> None:
    photos(repository.folder.parent / "new", 5, "cat", "dog")
    for path in (repository.folder.parent / "new").rglob("*.png"):
        path.rename(repository.folder.parent / "my photos" / path.parent.name / f"new {path.name}")


def test_nothing_runs_when_the_folder_is_copied_with_other_times(repository: Repository) -> None:
    lock = (repository.folder / "dvc.lock").read_bytes()
    for path in (repository.folder.parent / "my photos").rglob("*.png"):
        os.utime(path, (1, 1))
    shutil.rmtree(repository.folder / "checkpoints")
    assert ran(repository.python("tools.repro")) == []
    assert ran(repository.python("tools.repro", "--force", "download")) == ["download"]
    assert (repository.folder / "dvc.lock").read_bytes() == lock


def test_added_images_arrive_and_removed_ones_bring_the_old_results_back(repository: Repository) -> None:
    lock = (repository.folder / "dvc.lock").read_bytes()
    add_ten(repository)
    output = repository.python("tools.repro")
    assert "../my photos has changed since its images were packed (10 images added): running download again\n" in output
    assert ran(output)[:3] == ["download", "preprocess", "train"]
    assert len(repository.json("data/raw/manifest.json")) == 34
    assert ran(repository.python("tools.repro")) == []
    for path in (repository.folder.parent / "my photos").rglob("new *.png"):
        path.unlink()
    output = repository.python("tools.repro")
    assert "(10 images removed)" in output
    assert "train" not in ran(output), "the run-cache has it"
    assert (repository.folder / "dvc.lock").read_bytes() == lock


@pytest.mark.slow
def test_added_images_arrive_in_a_variant_of_the_same_data(repository: Repository) -> None:
    (repository.folder / "variants/mine.yaml").write_text("plot:\n  mistakes: 3\n")
    assert ran(repository.python("tools.variant", "mine")) == ["plot"]
    assert ran(repository.python("tools.variant", "mine")) == []
    add_ten(repository)
    output = repository.python("tools.variant", "mine")
    assert "(10 images added)" in output
    assert "train" in ran(output)
    assert ran(repository.python("tools.variant", "mine")) == []
    assert repository.hashes("mine")["data/raw"] == repository.hashes()["data/raw"]


@pytest.mark.slow
def test_added_images_arrive_in_a_variant_that_alone_is_of_the_folder(repository: Repository) -> None:
    repository.set("data.name", "digits")
    repository.python("tools.repro")
    repository.commit("Digits")
    (repository.folder / "variants/mine.yaml").write_text("data:\n  name: folder\n")
    assert "train" not in ran(repository.python("tools.variant", "mine")), "the run-cache has it"
    before = repository.hashes("mine")["data/raw"]
    add_ten(repository)
    assert "train" in ran(repository.python("tools.variant", "mine"))
    assert repository.hashes("mine")["data/raw"] != before
    assert ran(repository.python("tools.variant", "mine")) == []


def test_a_folder_that_is_gone_is_one_line(repository: Repository) -> None:
    (repository.folder.parent / "my photos").rename(repository.folder.parent / "elsewhere")
    output = repository.python("tools.repro", fails=True)
    assert output.startswith("repro: params.yaml: data.folder: ")
    assert output.count("\n") == 1
