"""airbench: a design for short training runs.

For each width two 3x3 convolutions with batch normalisation and an activation after each, and 2x2 max pooling after the first;
the maximum of each channel over all positions; one fully connected layer. The convolutions are initialised as the identity as
far as possible. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (2024), section 3. The first convolution may have 2x2
kernels, which after a whitening layer cover as much of the image as 3x3 kernels without one.
"""

from itertools import pairwise

from torch import nn

from classifier.networks.layers import ACTIVATIONS, Flatten, GlobalMaxPool
from classifier.params import NetworkParams


def airbench_layers(params: NetworkParams, channels: int, classes: int) -> list[nn.Module]:
    """Return the layers after the normalisation (and whitening), for this number of input channels and of logits."""
    activation = ACTIVATIONS[params.activation]
    layers: list[nn.Module] = []
    kernel_size = params.first_kernel_size
    for inputs, outputs in pairwise([channels, *params.widths]):
        layers += [_near_identity(inputs, outputs, kernel_size), nn.MaxPool2d(2), _batch_norm(outputs), activation()]
        layers += [_near_identity(outputs, outputs), _batch_norm(outputs), activation()]
        kernel_size = 3
    return [*layers, GlobalMaxPool(), Flatten(), nn.Linear(params.widths[-1], classes, bias=False)]


def _near_identity(inputs: int, outputs: int, kernel_size: int = 3) -> nn.Conv2d:
    convolution = nn.Conv2d(inputs, outputs, kernel_size, padding=(kernel_size - 1) // 2, bias=False)
    nn.init.dirac_(convolution.weight.data[:inputs])
    return convolution


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    """Return batch normalisation without a trained scale."""
    layer = nn.BatchNorm2d(channels)
    layer.weight.requires_grad = False
    return layer
