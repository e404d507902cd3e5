from itertools import pairwise

import pytest
import torch

from classifier.data.split import DatasetInfo
from classifier.networks.build import build_network, parameter_count
from classifier.params import NetworkParams
from classifier.runtime.errors import InputError
from tests.classifier.networks.helpers import ONE_CHANNEL, THREE_CHANNELS, layers


def study(widths: tuple[int, ...], *, batch_norm: bool, hidden_width: int) -> NetworkParams:
    return NetworkParams("study", widths, "relu", False, 1.0, batch_norm, hidden_width, 3, "none")


def test_the_design_of_the_study_layer_by_layer() -> None:
    network = build_network(study((8, 16, 32, 64), batch_norm=True, hidden_width=128), (32, 32, 3), THREE_CHANNELS, seed=0)
    assert layers(network) == (
        "Normalization Conv2d ReLU Conv2d MaxPool2d ReLU BatchNorm2d Conv2d ReLU Conv2d MaxPool2d ReLU BatchNorm2d "
        "Flatten Linear ReLU Linear"
    )


def test_without_batch_normalisation_there_is_none() -> None:
    network = build_network(study((8, 16), batch_norm=False, hidden_width=128), (32, 32, 3), THREE_CHANNELS, seed=0)
    assert layers(network) == "Normalization Conv2d ReLU Conv2d MaxPool2d ReLU Flatten Linear ReLU Linear"


def test_the_parameters_of_the_default_network() -> None:
    network = build_network(
        study((8, 16, 32, 64, 128, 256), batch_norm=True, hidden_width=128), (32, 32, 3), THREE_CHANNELS, seed=0
    )
    widths = [3, 8, 16, 32, 64, 128, 256]
    convolutions = sum(9 * a * b + b for a, b in pairwise(widths))
    normalisations = 2 * (16 + 64 + 256)
    fully_connected = 256 * 4 * 4 * 128 + 128 + 128 * 10 + 10
    assert parameter_count(network) == convolutions + normalisations + fully_connected == 919_930


@pytest.mark.parametrize(
    ("widths", "shape", "description"),
    [
        ((4,), (1, 1, 1), ONE_CHANNEL),
        ((4, 8), (2, 3, 1), ONE_CHANNEL),
        ((4, 8, 16), (7, 9, 3), THREE_CHANNELS),
        ((4, 8, 16, 32, 64, 128), (8, 8, 1), ONE_CHANNEL),
    ],
)
def test_any_image_size_and_class_count_that_the_pooling_allows(
    widths: tuple[int, ...], shape: tuple[int, int, int], description: DatasetInfo
) -> None:
    network = build_network(study(widths, batch_norm=True, hidden_width=16), shape, description, seed=0)
    images = torch.randint(256, (3, *shape), dtype=torch.uint8)
    assert network(images).shape == (3, len(description.class_names))


def test_an_image_too_small_for_the_poolings_is_refused() -> None:
    with pytest.raises(InputError, match=r"network\.widths: 4 widths .* at least 4x4 pixels, got images of 3x8"):
        build_network(study((4, 8, 16, 32), batch_norm=True, hidden_width=16), (3, 8, 1), ONE_CHANNEL, seed=0)
