"""airbench: a design for short trainings."""

from itertools import pairwise

from torch import nn

from classifier.networks.layers import ACTIVATIONS, Flatten
from classifier.params import NetworkParams


def airbench_layers(params: NetworkParams, channels: int, classes: int) -> list[nn.Module]:
    """Return the layers behind the normalisation (and whitening); `channels` is what these give."""
    activation = ACTIVATIONS[params.activation]
    layers: list[nn.Module] = []
    kernel_size = params.first_kernel_size
    for inputs, outputs in pairwise([channels, *params.widths]):
        layers += [_near_identity(inputs, outputs, kernel_size), nn.MaxPool2d(2), _batch_norm(outputs), activation()]
        layers += [_near_identity(outputs, outputs), _batch_norm(outputs), activation()]
        kernel_size = 3
    return [*layers, nn.AdaptiveMaxPool2d(1), Flatten(), nn.Linear(params.widths[-1], classes, bias=False)]


def _near_identity(inputs: int, outputs: int, kernel_size: int = 3) -> nn.Conv2d:
    convolution = nn.Conv2d(inputs, outputs, kernel_size, padding=(kernel_size - 1) // 2, bias=False)
    nn.init.dirac_(convolution.weight.data[:inputs])
    return convolution


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    """Return batch normalisation that learns no scale."""
    layer = nn.BatchNorm2d(channels)
    layer.weight.requires_grad = False
    return layer
