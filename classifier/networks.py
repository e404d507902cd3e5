"""Networks: lists of layers that take the images as they lie in the data set and give logits."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from classifier.description import Description
from classifier.errors import InputError
from classifier.params import NetworkParams


class Normalization(nn.Module):
    """Turns pixels into what the first convolution takes, with the mean and standard deviation of the training images.

    uint8 [N, H, W, C] becomes float32 [N, C, H, W] in channels-last layout, with mean 0 and standard deviation 1 in each
    channel over the training images. `mean` and `std` are in units of the pixel's full range (0 to 1).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean) * 255)
        self.register_buffer("std", torch.tensor(std) * 255)

    def forward(self, images: Tensor) -> Tensor:
        """Return the normalised images."""
        return ((images - self.mean) / self.std).permute(0, 3, 1, 2)


def build_network(params: NetworkParams, image_shape: Sequence[int], description: Description, seed: int) -> nn.Sequential:
    """Build the convolutional network of the study with initial weights drawn from `seed`.

    3x3 convolutions with a ReLU after each; 2x2 max pooling after every second one, then batch normalisation if
    `params.batch_norm`; two fully connected layers with a ReLU between.

    Parameters
    ----------
    image_shape
        Height, width and channels of an image.
    description
        Of the data set: one logit a class, and the normalisation.

    Returns
    -------
    network
        uint8 [N, H, W, C] in, logits [N, classes] out; its weights in channels-last layout.

    Raises
    ------
    InputError
        When the image is too small for the poolings.
    """
    height, width, channels = image_shape
    poolings = len(params.widths) // 2
    if min(height, width) < 2**poolings:
        raise InputError(
            f"params.yaml: network.widths: {len(params.widths)} convolutions halve the image {poolings} times, which takes at "
            f"least {2**poolings}x{2**poolings} pixels, got images of {height}x{width}; list fewer widths"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = [Normalization(description.mean, description.std)]
        for number, (inputs, outputs) in enumerate(pairwise([channels, *params.widths]), start=1):
            layers += [nn.Conv2d(inputs, outputs, kernel_size=3, padding=1), nn.ReLU()]
            if number % 2 == 0:
                layers.append(nn.MaxPool2d(2))
                if params.batch_norm:
                    layers.append(nn.BatchNorm2d(outputs))
        features = params.widths[-1] * (height >> poolings) * (width >> poolings)
        layers += [
            nn.Flatten(),
            nn.Linear(features, params.hidden_width),
            nn.ReLU(),
            nn.Linear(params.hidden_width, len(description.class_names)),
        ]
        return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def parameter_count(network: nn.Module) -> int:
    """Return the number of weights that training changes."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
