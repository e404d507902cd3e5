from itertools import pairwise

import pytest
import torch
from torch import nn

from classifier.description import Description
from classifier.errors import InputError
from classifier.networks import Normalization, build_network, parameter_count
from classifier.params import NetworkParams

THREE_CHANNELS = Description(tuple("0123456789"), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
ONE_CHANNEL = Description(("no", "yes"), (0.3,), (0.2,))


def layers(network: nn.Sequential) -> str:
    return " ".join(type(layer).__name__ for layer in network)


def test_the_design_of_the_study_layer_by_layer() -> None:
    network = build_network(NetworkParams((8, 16, 32, 64), True, 128), (32, 32, 3), THREE_CHANNELS, seed=0)
    assert layers(network) == (
        "Normalization Conv2d ReLU Conv2d ReLU MaxPool2d BatchNorm2d Conv2d ReLU Conv2d ReLU MaxPool2d BatchNorm2d "
        "Flatten Linear ReLU Linear"
    )


def test_without_batch_normalisation_there_is_none() -> None:
    network = build_network(NetworkParams((8, 16), False, 128), (32, 32, 3), THREE_CHANNELS, seed=0)
    assert layers(network) == "Normalization Conv2d ReLU Conv2d ReLU MaxPool2d Flatten Linear ReLU Linear"


def test_the_parameters_of_the_default_network() -> None:
    network = build_network(NetworkParams((8, 16, 32, 64, 128, 256), True, 128), (32, 32, 3), THREE_CHANNELS, seed=0)
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
    widths: tuple[int, ...], shape: tuple[int, int, int], description: Description
) -> None:
    network = build_network(NetworkParams(widths, True, 16), shape, description, seed=0)
    images = torch.randint(256, (3, *shape), dtype=torch.uint8)
    assert network(images).shape == (3, len(description.class_names))


def test_an_image_too_small_for_the_poolings_is_refused() -> None:
    with pytest.raises(InputError, match=r"network\.widths: 4 convolutions .* at least 4x4 pixels, got images of 3x8"):
        build_network(NetworkParams((4, 8, 16, 32), True, 16), (3, 8, 1), ONE_CHANNEL, seed=0)


def test_normalisation_gives_the_training_images_mean_0_and_deviation_1() -> None:
    images = torch.randint(256, (50, 8, 8, 3), dtype=torch.uint8)
    scaled = images.float() / 255
    mean, std = scaled.mean(dim=(0, 1, 2)), scaled.std(dim=(0, 1, 2), correction=0)
    result = Normalization(mean.tolist(), std.tolist())(images)
    assert result.shape == (50, 3, 8, 8)
    assert result.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(result.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(result.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_the_seed_alone_decides_the_initial_weights_and_the_global_generator_stays() -> None:
    params = NetworkParams((4, 8), True, 16)
    state = torch.get_rng_state()
    first, same, other = (build_network(params, (8, 8, 3), THREE_CHANNELS, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))
