import pickle
from pathlib import Path

import pytest
import torch

from classifier.data.split import DatasetInfo
from classifier.networks.build import build_network
from classifier.networks.model_file import Model, load_model, save_model
from classifier.params import NetworkParams
from classifier.runtime.errors import InputError


@pytest.fixture
def model() -> Model:
    description = DatasetInfo(("no", "yes"), (0.4,), (0.2,))
    params = NetworkParams("study", (4, 8), "relu", False, 1.0, True, 16, 3)
    return Model(build_network(params, (8, 8, 1), description, seed=5).state_dict(), params, (8, 8, 1), description)


def test_a_model_comes_back_whole_and_gives_the_same_logits(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "classifier.pt")
    loaded = load_model(tmp_path / "classifier.pt")
    assert (loaded.network, loaded.image_shape, loaded.description) == (model.network, model.image_shape, model.description)
    images = torch.randint(256, (3, 8, 8, 1), dtype=torch.uint8)
    assert torch.equal(loaded.build()(images), model.build()(images))


def test_the_bytes_do_not_depend_on_the_name_of_the_file(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "a.pt")
    save_model(model, tmp_path / "another-name.pt")
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "another-name.pt").read_bytes()


@pytest.mark.parametrize("keep", [0, 100, 5000, -10])
def test_a_damaged_model_says_which_stage_to_run(model: Model, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "classifier.pt"
    save_model(model, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"^[^\n]*classifier\.pt: damaged [^\n]*dvc repro --force train$"):
        load_model(path)


def test_a_model_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.mkdir, (tmp_path / "was run",)

    torch.save({"weights": Malicious()}, tmp_path / "torch.pt")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps({"weights": Malicious()}, protocol=2))
    for name in ("torch.pt", "pickle.pt"):
        with pytest.raises(InputError):
            load_model(tmp_path / name)
    assert not (tmp_path / "was run").exists()
