import dataclasses
from itertools import pairwise

import pytest
import torch
from torch import nn

from classifier.data.split import DatasetInfo
from classifier.networks.build import build_network, fit_whitening, parameter_count
from classifier.networks.layers import Normalization, Whitening
from classifier.params import NetworkParams
from classifier.runtime.errors import InputError

THREE_CHANNELS = DatasetInfo(tuple("0123456789"), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
ONE_CHANNEL = DatasetInfo(("no", "yes"), (0.3,), (0.2,))


def study(widths: tuple[int, ...], *, batch_norm: bool, hidden_width: int) -> NetworkParams:
    return NetworkParams("study", widths, "relu", False, 1.0, batch_norm, hidden_width, 3)


def layers(network: nn.Sequential) -> str:
    return " ".join(type(layer).__name__ for layer in network)


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
    params = study((4, 8), batch_norm=True, hidden_width=16)
    state = torch.get_rng_state()
    first, same, other = (build_network(params, (8, 8, 3), THREE_CHANNELS, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


AIRBENCH = NetworkParams("airbench", (8, 16), "gelu", True, 1 / 9, True, 128, 3)


def test_the_design_of_airbench_layer_by_layer() -> None:
    network = build_network(AIRBENCH, (32, 32, 3), THREE_CHANNELS, seed=0)
    block = "Conv2d MaxPool2d BatchNorm2d GELU Conv2d BatchNorm2d GELU"
    assert layers(network) == f"Normalization Whitening GELU {block} {block} AdaptiveMaxPool2d Flatten Linear Scale"


def test_the_parameters_of_airbench() -> None:
    network = build_network(AIRBENCH, (32, 32, 3), THREE_CHANNELS, seed=0)
    convolutions = 9 * (24 * 8 + 8 * 8 + 8 * 16 + 16 * 16)
    assert parameter_count(network) == convolutions + 2 * (8 + 16) + 16 * 10


def test_airbench_takes_any_image_size_that_the_pooling_allows() -> None:
    images = torch.randint(256, (3, 7, 5, 1), dtype=torch.uint8)
    assert build_network(AIRBENCH, (7, 5, 1), ONE_CHANNEL, seed=0)(images).shape == (3, 2)
    with pytest.raises(InputError, match=r"2 widths halve .* at least 5x5 pixels, got images of 4x9"):
        build_network(AIRBENCH, (4, 9, 1), ONE_CHANNEL, seed=0)


def test_the_convolutions_of_airbench_begin_as_the_identity() -> None:
    params = NetworkParams("airbench", (4,), "relu", False, 1.0, True, 1, 3)
    network = build_network(params, (8, 8, 3), THREE_CHANNELS, seed=0)
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(network[1](images)[:, :3], images)


def test_the_first_convolution_of_airbench_may_be_2x2_without_padding() -> None:
    params = dataclasses.replace(AIRBENCH, first_kernel_size=2)
    network = build_network(params, (6, 7, 1), ONE_CHANNEL, seed=0)
    convolutions = [layer for layer in network if isinstance(layer, nn.Conv2d) and not isinstance(layer, Whitening)]
    assert [layer.kernel_size for layer in convolutions] == [(2, 2), (3, 3), (3, 3), (3, 3)]
    images = torch.randint(256, (3, 6, 7, 1), dtype=torch.uint8)
    assert network[:4](images).shape == (3, 8, 4, 5)
    whitened = network[:2](images)
    torch.testing.assert_close(convolutions[0](whitened)[:, : whitened.shape[1]], whitened[:, :, 1:, 1:][:, :8])
    assert network(images).shape == (3, 2)
    with pytest.raises(InputError, match=r"2 widths halve .* at least 6x6 pixels, got images of 5x9"):
        build_network(params, (5, 9, 1), ONE_CHANNEL, seed=0)


def test_whitened_patches_are_uncorrelated_and_of_variance_1_in_both_signs() -> None:
    noise = torch.rand(200, 8, 8, 3, generator=torch.Generator().manual_seed(0))
    images = ((noise + noise.roll(1, 1) + noise.roll(1, 2)) / 3 * 255).to(torch.uint8)
    flat = (images.float() / 255).flatten(0, 2)
    description = DatasetInfo(THREE_CHANNELS.class_names, tuple(flat.mean(0).tolist()), tuple(flat.std(0).tolist()))
    network = build_network(AIRBENCH, (8, 8, 3), description, seed=0)
    fit_whitening(network, images)
    outputs = network[:2](images).permute(0, 2, 3, 1).flatten(0, 2)
    assert outputs.shape[1] == 24
    torch.testing.assert_close(outputs[:, :12], -outputs[:, 12:])
    torch.testing.assert_close(outputs[:, :12].T @ outputs[:, :12] / len(outputs), torch.eye(12), atol=0.02, rtol=0)
    assert isinstance(network[1], Whitening)
    assert not network[1].weight.requires_grad
