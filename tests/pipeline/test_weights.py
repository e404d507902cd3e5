"""Pretrained weights in the pipeline: another file at the same path is noticed, which DVC alone would not."""

import json
import shutil
from pathlib import Path

import pytest

from classifier.data.sources import sha256
from classifier.data.split import DatasetInfo
from classifier.networks.build import build_network
from classifier.networks.model_file import Model, load_model, save_model
from classifier.params import read_params
from tests.pipeline.repository import Repository, ran

PATH = "data/archives/first.pt"
SOURCE = "models/pretrained/source.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which data and nothing else are there."""
    repository = Repository(tmp_path_factory.mktemp("weights"))
    (repository.folder / "variants/started.yaml").write_text(f"network:\n  pretrained: {PATH}\n")
    repository.commit("A variant")
    repository.dvc("repro", "preprocess")
    repository.commit("Data")
    return repository


@pytest.fixture
def repository(made: Repository, tmp_path: Path) -> Repository:
    shutil.copytree(made.folder, tmp_path / "copy")
    return made.at(tmp_path / "copy")


def put(repository: Repository, seed: int) -> str:
    """Put the model file of another seed at the path, and return its SHA-256."""
    params = read_params(repository.folder / "params.yaml").network
    dataset = DatasetInfo(tuple("0123456789"), (0.3,), (0.4,))
    network = build_network(params, (8, 8, 1), dataset, seed)
    save_model(Model(network.state_dict(), params, (8, 8, 1), dataset), repository.folder / PATH)
    return sha256(repository.folder / PATH)


def test_a_clone_without_pretrained_weights_runs_the_stage_once(repository: Repository) -> None:
    output = repository.dvc("repro", "train")
    assert ran(output) == ["weights", "train"]
    assert repository.json(SOURCE) == {"pretrained": "none"}
    assert "empty" not in output
    assert ran(repository.dvc("repro", "train")) == []


@pytest.mark.slow
def test_another_file_at_the_same_path_is_used_also_after_none_and_back(repository: Repository) -> None:
    repository.set("network.pretrained", PATH)
    checksum = put(repository, 1)
    assert ran(repository.python("tools.repro"))[:2] == ["weights", "train"]
    assert repository.json(SOURCE)["sha256"] == checksum
    first = repository.hashes()["models/classifier.pt"]
    assert load_model(repository.folder / "models/classifier.pt").dataset.mean == (0.3,)
    assert ran(repository.python("tools.repro")) == []

    checksum = put(repository, 2)
    assert ran(repository.dvc("repro")) == [], "DVC alone does not notice"
    assert ran(repository.python("tools.repro"))[:2] == ["weights", "train"]
    assert repository.json(SOURCE)["sha256"] == checksum
    assert repository.hashes()["models/classifier.pt"] != first

    repository.set("network.pretrained", "none")
    repository.python("tools.repro")
    assert repository.json(SOURCE) == {"pretrained": "none"}
    checksum = put(repository, 3)
    repository.set("network.pretrained", PATH)
    repository.python("tools.repro")
    assert repository.json(SOURCE)["sha256"] == checksum

    checksum = put(repository, 1)
    assert ran(repository.python("tools.repro")) == ["weights"], "the model of the first run is in the cache"
    assert repository.json(SOURCE)["sha256"] == checksum
    assert repository.hashes()["models/classifier.pt"] == first
    (repository.folder / PATH).unlink()
    assert ran(repository.python("tools.repro")) == [], "the stage has kept a copy"
    repository.set("network.pretrained", "data/archives/missing.pt")
    output = repository.python("tools.repro", fails=True)
    assert "weights: params.yaml: network.pretrained: data/archives/missing.pt: no such file or directory\n" in output
    assert (repository.folder / SOURCE).exists(), "the outputs of the last run are restored"


@pytest.mark.slow
def test_a_variant_uses_the_file_as_it_is_now(repository: Repository) -> None:
    def source() -> str:
        return str(json.loads(repository.experiment("started").read_text(SOURCE))["sha256"])

    for seed in (1, 2, 1):
        checksum = put(repository, seed)
        assert "started: done" in repository.python("tools.variant", "started")
        assert source() == checksum
        assert "up to date" in repository.python("tools.variant", "started")
    repository.set("network.pretrained", PATH)
    repository.python("tools.repro")
    repository.commit("The same in the workspace")
    for seed in (2, 1):
        checksum = put(repository, seed)
        repository.python("tools.variant", "started")
        assert source() == repository.json(SOURCE)["sha256"] == checksum
