import pickle
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from classifier.data.split import DatasetInfo
from classifier.networks.build import build_network
from classifier.networks.model_file import Model, load_model, save_model
from classifier.networks.tensor_file import load_tensors, save_tensors
from classifier.params import NetworkParams
from classifier.runtime.errors import InputError
from tests.conftest import ROOT


@pytest.fixture
def model() -> Model:
    dataset = DatasetInfo(("no", "yes"), (0.4,), (0.2,))
    params = NetworkParams("study", (4, 8), "relu", False, 1.0, True, 16, 3, "none")
    return Model(build_network(params, (8, 8, 1), dataset, seed=5).state_dict(), params, (8, 8, 1), dataset, temperature=1.5)


def test_a_model_comes_back_whole_and_gives_the_same_logits(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "classifier.pt")
    loaded = load_model(tmp_path / "classifier.pt")
    assert (loaded.network, loaded.image_shape, loaded.dataset) == (model.network, model.image_shape, model.dataset)
    images = torch.randint(256, (3, 8, 8, 1), dtype=torch.uint8)
    assert torch.equal(loaded.build()(images), model.build()(images))
    assert loaded.temperature == 1.5


def saved_content(model: Model, path: Path) -> Any:
    save_model(model, path)
    return load_tensors(path)


@pytest.mark.parametrize("version", [1, 3, "x"])
def test_a_model_of_another_format_is_refused_in_one_line_that_says_so(model: Model, tmp_path: Path, version: object) -> None:
    path = tmp_path / "classifier.pt"
    save_tensors(saved_content(model, path) | {"format": version}, path)
    with pytest.raises(InputError, match=rf"^[^\n]*classifier\.pt: a model file of format {version}, not 2: [^\n]*$"):
        load_model(path)


def test_a_model_file_from_before_formats_had_numbers_is_of_format_1(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "classifier.pt"
    save_tensors({"weights": model.weights, "network": {}, "image_shape": (8, 8, 1), "description": {}}, path)
    with pytest.raises(InputError, match="a model file of format 1, not 2: "):
        load_model(path)


def test_the_settings_may_grow_without_a_new_format(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "classifier.pt"
    content = saved_content(model, path)
    content["settings"]["of a later version"] = {"a": 1}
    save_tensors(content, path)
    assert load_model(path).network == model.network


def test_a_file_without_a_temperature_has_that_of_plain_probabilities(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "classifier.pt"
    content = saved_content(model, path)
    del content["settings"]["temperature"]
    save_tensors(content, path)
    assert load_model(path).temperature == 1


def test_a_setting_that_is_newer_than_a_file_takes_the_value_that_the_file_implies(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "classifier.pt"
    content = saved_content(model, path)
    del content["settings"]["network"]["whitening"]
    save_tensors(content, path)
    with pytest.raises(InputError, match=r"a model file without the setting network\.whitening: another version"):
        load_model(path)
    monkeypatch.setattr("classifier.networks.model_file.ADDED", {"whitening": False, "widths": ()})
    assert load_model(path).network == model.network


def test_a_setting_of_the_network_that_is_not_known_is_not_ignored(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "classifier.pt"
    content = saved_content(model, path)
    content["settings"]["network"]["residual"] = True
    save_tensors(content, path)
    with pytest.raises(InputError, match=r"classifier\.pt: a model file with the unknown setting network\.residual: "):
        load_model(path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("image_shape", r"damaged \('image_shape'\)"),
        ("dataset.mean", r"a model file without the setting dataset\.mean: another version"),
        ("network.hidden_width", r"a model file without the setting network\.hidden_width: another version"),
    ],
)
def test_a_setting_that_is_missing_is_named(model: Model, tmp_path: Path, name: str, reason: str) -> None:
    path = tmp_path / "classifier.pt"
    content = saved_content(model, path)
    values = content["settings"]
    *section, last = name.split(".")
    for key in section:
        values = values[key]
    del values[last]
    save_tensors(content, path)
    with pytest.raises(InputError, match=rf"^[^\n]*classifier\.pt: {reason}[^\n]*$"):
        load_model(path)


def test_weights_that_the_network_does_not_have_or_lacks_are_named(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "classifier.pt"
    name = next(iter(model.weights))
    others = {
        f"without the weights {name}: ": {key: value for key, value in model.weights.items() if key != name},
        "with the unknown weights 9.bias: ": model.weights | {"9.bias": torch.zeros(1)},
        rf"with the weights {name} of shape \[2, 2\], not \[1\]: ": model.weights | {name: torch.zeros(2, 2)},
    }
    for reason, weights in others.items():
        save_model(Model(weights, model.network, model.image_shape, model.dataset), path)
        with pytest.raises(InputError, match=rf"^[^\n]*classifier\.pt: a model file {reason}[^\n]*$"):
            load_model(path)


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


@pytest.mark.parametrize("channels", [1, 3])
def test_the_lines_of_the_docs_classify_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], channels: int
) -> None:
    dataset = DatasetInfo(("no", "yes"), (0.4,) * channels, (0.2,) * channels)
    params = NetworkParams("study", (4, 8), "relu", False, 1.0, True, 16, 3, "none")
    shape = (8, 8, channels)
    model = Model(build_network(params, shape, dataset, seed=5).state_dict(), params, shape, dataset, temperature=0.5)
    save_model(model, tmp_path / "models/classifier.pt")
    pixels = np.random.default_rng(0).integers(256, size=(8, 8, 3) if channels == 3 else (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    page = (ROOT / "docs/model.md").read_text(encoding="utf-8").partition("## From Python")[2]
    code = page.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "documented.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("documented.py")
    with torch.inference_mode():
        expected = (model.build()(torch.from_numpy(pixels).view(1, *shape)) / 0.5).softmax(dim=1)[0].tolist()
    assert capsys.readouterr().out == f"no: {expected[0]:.1%}\nyes: {expected[1]:.1%}\n"
