import dataclasses

import pytest
import torch
from torch import nn

from classifier.networks.build import build_network, parameter_count
from classifier.networks.layers import Whitening
from classifier.params import NetworkParams
from classifier.runtime.errors import InputError
from tests.classifier.networks.helpers import ONE_CHANNEL, THREE_CHANNELS, layers

AIRBENCH = NetworkParams("airbench", (8, 16), "gelu", True, 1 / 9, True, 128, 3, "none")


def test_the_design_of_airbench_layer_by_layer() -> None:
    network = build_network(AIRBENCH, (32, 32, 3), THREE_CHANNELS, seed=0)
    block = "Conv2d MaxPool2d BatchNorm2d GELU Conv2d BatchNorm2d GELU"
    assert layers(network) == f"Normalization Whitening GELU {block} {block} GlobalMaxPool Flatten Linear Scale"


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
    params = NetworkParams("airbench", (4,), "relu", False, 1.0, True, 1, 3, "none")
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
