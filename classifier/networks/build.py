"""Networks built from their settings: uint8 images in, logits out."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from classifier.data.split import DatasetInfo
from classifier.networks.airbench import airbench_layers
from classifier.networks.layers import ACTIVATIONS, Normalization, Scale, Whitening
from classifier.networks.study import study_layers
from classifier.networks.torchvision_designs import MEAN, blocks, torchvision_layers
from classifier.params import NetworkParams
from classifier.runtime.errors import InputError

WHITENING_IMAGES = 5000  # number of images whose patches the whitening layer is fitted to, at most ...
WHITENING_PIXELS = 5000 * 32 * 32  # ... and of their pixels, which bound the memory


def build_network(params: NetworkParams, image_shape: Sequence[int], dataset: DatasetInfo, seed: int) -> nn.Sequential:
    """Build the network that `params` describes, with initial weights drawn from `seed`.

    The designs are described in their modules: `study`, `airbench`, and `torchvision_designs` for all others. In front of
    their layers stand the normalisation of the images and, in the first two, if `params.whitening`, a whitening layer with an
    activation. Images of one channel are repeated where the design or the normalisation has three.

    Parameters
    ----------
    image_shape
        Height, width and channels of an image.
    dataset
        Its class names give the number of logits, its mean and standard deviation the normalisation and the number of channels.

    Returns
    -------
    network
        uint8 [N, H, W, C] in, logits [N, classes] out; its weights in channels-last layout.

    Raises
    ------
    InputError
        When the image is too small for the pooling layers.
    """
    classes = len(dataset.class_names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        match params.design:
            case "study" | "airbench":
                layers = _own_layers(params, image_shape, dataset)
            case design:
                repeats = len(MEAN) // len(dataset.mean)
                normalization = Normalization(dataset.mean * repeats, dataset.std * repeats, image_shape[2])
                layers = [normalization, *torchvision_layers(design, classes)]
        if params.logit_scale != 1:
            layers.append(Scale(params.logit_scale))
        return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def _own_layers(params: NetworkParams, image_shape: Sequence[int], dataset: DatasetInfo) -> list[nn.Module]:
    """Return the layers of the designs of this program, from the normalisation to the logits."""
    height, width = image_shape[:2]
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
    channels, classes = len(dataset.mean), len(dataset.class_names)
    layers: list[nn.Module] = [Normalization(dataset.mean, dataset.std, image_shape[2])]
    if params.whitening:
        whitening = Whitening(channels)
        layers += [whitening, ACTIVATIONS[params.activation]()]
        channels = whitening.out_channels
    if params.design == "study":
        return layers + study_layers(params, channels, (height >> poolings) * (width >> poolings), classes)
    return layers + airbench_layers(params, channels, classes)


def fit_whitening(network: nn.Sequential, images: Tensor) -> None:
    """Fit a network's whitening layer, if it has one, to training images, uint8 [N, H, W, C]."""
    for normalization, layer in pairwise(network):
        if isinstance(layer, Whitening):
            height, width = images.shape[1:3]
            count = min(WHITENING_IMAGES, max(1, WHITENING_PIXELS // (height * width)))
            layer.fit(normalization(images[:count]))


def freezable_parameters(network: nn.Sequential) -> list[list[nn.Parameter]]:
    """Return the trained parameters of each part that may be frozen, in order.

    These are the convolutions with the normalisation that follows each or, in torchvision's designs, the top-level blocks.
    """
    parameters: list[list[nn.Parameter]] = []
    for layer in network:
        trained = [parameter for parameter in layer.parameters() if parameter.requires_grad]
        if any(layer.children()):  # a whole model of torchvision
            parameters += blocks(layer).values()
        elif isinstance(layer, nn.Conv2d) and trained:
            parameters.append(trained)
        elif isinstance(layer, nn.BatchNorm2d):
            parameters[-1] += trained
    return parameters


def parameter_count(network: nn.Module) -> int:
    """Return the number of trained parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
