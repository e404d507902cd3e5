"""The model file: a trained network with all that is needed to use it."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from classifier.data.split import DatasetInfo
from classifier.networks.build import build_network
from classifier.networks.tensor_file import load_tensors, save_tensors
from classifier.params import NetworkParams
from classifier.runtime.files import read_output


@dataclass(frozen=True)
class Model:
    """A trained network and what it was made for.

    weights
        State of the network, by name.
    network
        The settings it was built from.
    image_shape
        Height, width and channels of the images that it takes.
    description
        Class names, and the normalisation.
    """

    weights: dict[str, Tensor]
    network: NetworkParams
    image_shape: tuple[int, int, int]
    description: DatasetInfo

    def build(self) -> nn.Sequential:
        """Build the network with its trained weights, on the CPU and in evaluation mode."""
        network = build_network(self.network, self.image_shape, self.description, seed=0)
        network.load_state_dict(self.weights)
        return network.eval()


def save_model(model: Model, path: Path) -> None:
    """Write a model, whole or not at all; the same model gives the same bytes, whatever the name of the file."""
    save_tensors(
        {
            "weights": model.weights,
            "network": dataclasses.asdict(model.network),
            "image_shape": model.image_shape,
            "description": dataclasses.asdict(model.description),
        },
        path,
    )


def load_model(path: Path) -> Model:
    """Read the model that `save_model` wrote, admitting tensors and plain values only.

    Raises
    ------
    InputError
        When there is no such file, or it is damaged.
    """
    with read_output(path, "train"):
        content = load_tensors(path)
        return Model(
            content["weights"],
            NetworkParams(**content["network"]),
            content["image_shape"],
            DatasetInfo(**content["description"]),
        )
