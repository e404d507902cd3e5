"""A small model and a data set for it, in the files of the stages."""

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from classifier.data.split import DatasetInfo, Split, save_dataset_info, save_split
from classifier.networks.build import build_network
from classifier.networks.model_file import Model, save_model
from classifier.params import NetworkParams, parse_params, parse_yaml
from classifier.runtime.errors import explain
from classifier.variants import merge
from tests.conftest import parameters

CLASSES = ("no", "yes", "maybe so", "d|e")
COLOUR, GREY = (32, 32, 3), (8, 8, 1)


def network_params(**changes: Any) -> NetworkParams:
    """The network of params.yaml with these differences."""
    return parse_params(merge(parse_yaml(parameters(), "params.yaml"), {"network": changes}), "params.yaml").network


def small_model(shape: tuple[int, int, int] = COLOUR, temperature: float = 1.0, **changes: Any) -> Model:
    """A model with random weights that prefers different classes for different images."""
    dataset = DatasetInfo(CLASSES, (0.4,) * shape[2], (0.2,) * shape[2])
    params = network_params(**({"widths": [4, 8], "hidden_width": 16} | changes))
    weights = build_network(params, shape, dataset, seed=5).state_dict()
    last = list(weights)[-1]
    if last.endswith("bias"):
        weights[last.replace("bias", "weight")] *= 20
    return Model(weights, params, shape, dataset, temperature)


def write_workspace(folder: Path, model: Model, views: str = "plain", images: int = 40) -> NDArray[np.uint8]:
    """Write what the stages up to train write, and params.yaml; return the test images."""
    name = "digits" if model.image_shape == GREY else "cifar10"
    values = parse_yaml(parameters(), "params.yaml")
    changes = {"data": {"name": name}, "network": dataclasses.asdict(model.network), "evaluate": {"views": views}}
    (folder / "params.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(merge(values, changes)))), encoding="utf-8")
    save_model(model, folder / "models/classifier.pt")
    save_dataset_info(model.dataset, folder / "data/processed/dataset.json")
    random = np.random.default_rng(0)
    pixels = random.integers(256, size=(images, *model.image_shape), dtype=np.uint8) // random.integers(
        1, 4, size=(images, 1, 1, 1), dtype=np.uint8
    )
    save_split(Split(pixels, random.integers(len(CLASSES), size=images)), folder / "data/processed/test.safetensors")
    return pixels


def write_png(pixels: NDArray[np.uint8], path: Path) -> Path:
    """Write an image, uint8 [H, W, C], without loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0]).save(path)
    return path


def end_of(main: Callable[[], None]) -> Any:
    """Run a tool in this process, and return its exit status, or the line that the user would see."""
    try:
        main()
    except SystemExit as ended:
        return ended.code
    except Exception as error:
        if line := explain(error):
            return f"{sys.argv[0]}: {line}"
        raise
    return 0
