"""Networks built from their settings: uint8 images in, logits out."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from classifier.data.split import DatasetInfo
from classifier.networks.airbench import airbench_layers
from classifier.networks.layers import ACTIVATIONS, Normalization, Scale, Whitening
from classifier.networks.study import study_layers
from classifier.params import NetworkParams
from classifier.runtime.errors import InputError

WHITENING_IMAGES = 5000  # from whose patches the whitening layer is made


def build_network(params: NetworkParams, image_shape: Sequence[int], description: DatasetInfo, seed: int) -> nn.Sequential:
    """Build the convolutional network that `params` describes, with initial weights drawn from `seed`.

    study
        3x3 convolutions with an activation after each; 2x2 max pooling after every second one, in front of its activation (for
        ReLU that is the same function, at a quarter of the cost), and batch normalisation behind it if `params.batch_norm`;
        two fully connected layers with an activation between.
    airbench
        For each width two 3x3 convolutions with batch normalisation and an activation after each, and 2x2 max pooling after
        the first; the maximum over all places of each channel; one fully connected layer. The convolutions begin as the
        identity as far as they can. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (2024), section 3. The first of
        them may have 2x2 kernels, which behind a whitening layer see as much of the image as one of 3x3 alone.

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
    if params.whitening:
        height, width = height - 1, width - 1
    if params.design == "airbench" and params.first_kernel_size == 2:
        height, width = height - 1, width - 1
    poolings = len(params.widths) // 2 if params.design == "study" else len(params.widths)
    if min(height, width) < 2**poolings:
        needed = 2**poolings + image_shape[0] - height
        raise InputError(
            f"params.yaml: network.widths: {len(params.widths)} widths halve the image {poolings} times, which takes at "
            f"least {needed}x{needed} pixels, got images of {image_shape[0]}x{image_shape[1]}; list fewer widths"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        activation = ACTIVATIONS[params.activation]
        layers: list[nn.Module] = [Normalization(description.mean, description.std)]
        if params.whitening:
            layers += [Whitening(channels), activation()]
            channels = layers[1].out_channels  # type: ignore[assignment]
        classes = len(description.class_names)
        match params.design:
            case "study":
                layers += study_layers(params, channels, (height >> poolings) * (width >> poolings), classes)
            case "airbench":
                layers += airbench_layers(params, channels, classes)
        if params.logit_scale != 1:
            layers.append(Scale(params.logit_scale))
        return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def fit_whitening(network: nn.Sequential, images: Tensor) -> None:
    """Fit a network's whitening layer, if it has one, to training images, uint8 [N, H, W, C]."""
    for normalization, layer in pairwise(network):
        if isinstance(layer, Whitening):
            layer.fit(normalization(images[:WHITENING_IMAGES]))


def convolution_parameters(network: nn.Sequential) -> list[list[nn.Parameter]]:
    """Return what each trained convolution learns, from the first on, together with the normalisation behind it."""
    parameters: list[list[nn.Parameter]] = []
    for layer in network:
        trained = [parameter for parameter in layer.parameters() if parameter.requires_grad]
        if isinstance(layer, nn.Conv2d) and trained:
            parameters.append(trained)
        elif isinstance(layer, nn.BatchNorm2d):
            parameters[-1] += trained
    return parameters


def parameter_count(network: nn.Module) -> int:
    """Return the number of weights that training changes."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
