"""The study's design: a deep plain network, with or without batch normalisation."""

from itertools import pairwise

from torch import nn

from classifier.networks.layers import ACTIVATIONS, Flatten
from classifier.params import NetworkParams


def study_layers(params: NetworkParams, channels: int, positions: int, classes: int) -> list[nn.Module]:
    """Return the layers behind the normalisation (and whitening).

    channels
        That these give.
    positions
        Height times width of the last convolution's output after pooling.
    """
    activation = ACTIVATIONS[params.activation]
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(pairwise([channels, *params.widths]), start=1):
        layers.append(nn.Conv2d(inputs, outputs, kernel_size=3, padding=1))
        if number % 2 == 1:
            layers.append(activation())
        else:
            layers += [nn.MaxPool2d(2), activation()]
            if params.batch_norm:
                layers.append(nn.BatchNorm2d(outputs))
    features = params.widths[-1] * positions
    return [
        *layers,
        Flatten(),
        nn.Linear(features, params.hidden_width),
        activation(),
        nn.Linear(params.hidden_width, classes),
    ]
