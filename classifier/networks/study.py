"""study: a deep plain convolutional network, with or without batch normalisation.

3x3 convolutions with an activation after each; 2x2 max pooling after every second one, before its activation (for ReLU that is
the same function, at a quarter of the cost), and batch normalisation after it if `batch_norm`; two fully connected layers with
an activation between them.
"""

from itertools import pairwise

from torch import nn

from classifier.networks.layers import ACTIVATIONS, Flatten
from classifier.params import NetworkParams


def study_layers(params: NetworkParams, channels: int, positions: int, classes: int) -> list[nn.Module]:
    """Return the layers after the normalisation (and whitening).

    Parameters
    ----------
    channels
        Number of input channels.
    positions
        Height times width of the last feature map after pooling.
    classes
        Number of logits.
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
