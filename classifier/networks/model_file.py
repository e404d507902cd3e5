"""The model file: a trained network with everything that is needed to use it."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from classifier.data.split import DatasetInfo
from classifier.networks.build import build_network
from classifier.networks.tensor_file import load_tensors, save_tensors
from classifier.params import NetworkParams
from classifier.runtime.errors import InputError
from classifier.runtime.files import read_output

FORMAT = 2  # of the file; raise it when older files can no longer be read. Format 1 did not record its number.
# Network settings that are newer than the format, with the value that a file without them implies.
ADDED: dict[str, Any] = {"pretrained": "none"}


@dataclass(frozen=True)
class Model:
    """A trained network and its settings.

    weights
        State of the network, by name.
    network
        The settings that it was built from.
    image_shape
        Height, width and channels of the images that it takes.
    dataset
        Class names, and the normalisation.
    temperature
        By which the logits are to be divided before they become probabilities.
    """

    weights: dict[str, Tensor]
    network: NetworkParams
    image_shape: tuple[int, int, int]
    dataset: DatasetInfo
    temperature: float = 1.0

    def build(self) -> nn.Sequential:
        """Build the network with its trained weights, on the CPU and in evaluation mode."""
        network = build_network(self.network, self.image_shape, self.dataset, seed=0)
        network.load_state_dict(self.weights)
        return network.eval()


def save_model(model: Model, path: Path) -> None:
    """Write a model, whole or not at all; the same model gives the same bytes, whatever the name of the file."""
    settings = {
        "network": dataclasses.asdict(model.network),
        "image_shape": model.image_shape,
        "dataset": dataclasses.asdict(model.dataset),
        "temperature": model.temperature,
    }
    save_tensors({"format": FORMAT, "settings": settings, "weights": model.weights}, path)


def load_model(path: Path) -> Model:
    """Read the model that `save_model` wrote. Only tensors and plain values are accepted, so that no code can run.

    The settings are a dictionary that later versions may extend without a new format: unknown settings are ignored, except
    those of the network.

    Raises
    ------
    InputError
        When there is no such file, it is damaged, or another version of the program wrote it in a form that this one cannot
        read.
    """
    with read_output(path, "train"):
        content = load_tensors(path)
        found = content.get("format", 1)
    if found != FORMAT:
        raise _of_another_version(path, f"of format {found}, not {FORMAT}")
    with read_output(path, "train"):
        settings, weights = content["settings"], content["weights"]
        network, dataset = ADDED | settings["network"], {"fit": "crop"} | settings["dataset"]
        unknown = network.keys() - _fields(NetworkParams)
        missing = {f"network.{name}" for name in _fields(NetworkParams) - network.keys()}
        missing |= {f"dataset.{name}" for name in _fields(DatasetInfo) - dataset.keys()}
    if unknown:
        raise _of_another_version(path, f"with the unknown setting network.{min(unknown)}")
    if missing:
        raise _of_another_version(path, f"without the setting {min(missing)}")
    with read_output(path, "train"):
        info = DatasetInfo(**{name: dataset[name] for name in _fields(DatasetInfo)})
        shape, temperature = tuple(settings["image_shape"]), settings.get("temperature", 1.0)
        model = Model(weights, NetworkParams(**network), shape, info, temperature)
        expected = build_network(model.network, model.image_shape, info, seed=0).state_dict()
    if differing := weights.keys() ^ expected.keys():
        name = min(differing)
        raise _of_another_version(
            path, f"with the unknown weights {name}" if name in weights else f"without the weights {name}"
        )
    for name, weight in weights.items():
        if weight.shape != expected[name].shape:
            shapes = f"of shape {[*weight.shape]}, not {[*expected[name].shape]}"
            raise _of_another_version(path, f"with the weights {name} {shapes}")
    return model


def _fields(of: type) -> set[str]:
    return set(of.__dataclass_fields__)  # type: ignore[attr-defined]


def _of_another_version(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path}: a model file {reason}: another version of the program wrote it; use that version, or train again: "
        f"dvc repro --force train"
    )
