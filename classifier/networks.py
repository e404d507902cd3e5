"""Networks: lists of layers that take the images as they lie in the data set and give logits."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from classifier.description import Description
from classifier.errors import InputError
from classifier.params import NetworkParams

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": partial(nn.ReLU, inplace=True), "silu": nn.SiLU, "gelu": nn.GELU}
WHITENING_EPSILON = 5e-4  # added to the eigenvalues, so that directions of hardly any variance are not blown up
WHITENING_IMAGES = 5000  # from whose patches the whitening layer is made


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
        rows, width = images.flatten(2), images.shape[2]  # A loop over a whole row is faster than one over three channels.
        return (rows - self.mean.repeat(width)).div_(self.std.repeat(width)).view(images.shape).permute(0, 3, 1, 2)


class Whitening(nn.Conv2d):
    """A fixed convolution whose outputs are uncorrelated and of variance 1 over the 2x2 patches of the training images.

    Its kernels are the eigenvectors of the covariance of the patches, each divided by the root of its eigenvalue, and then
    the same with the opposite sign, since an activation follows. Page, "How to train your ResNet" part 8 (2019); Jordan, "94%
    on CIFAR-10 in 3.29 Seconds on a Single GPU" (2024), section 3.2, but without the bias that is learnt there: nothing in
    front of the first trained convolution needs a gradient.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 2 * 4 * channels, kernel_size=2, bias=False)
        self.weight.requires_grad = False

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Set the kernels from normalised images, float32 [N, C, H, W]."""
        patches = images.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).flatten(0, 2).flatten(1).double()
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        kernels = (vectors / (values + WHITENING_EPSILON).sqrt()).T.flip(0).reshape(-1, *self.weight.shape[1:])
        self.weight.copy_(torch.cat([kernels, -kernels]))


class Flatten(nn.Module):
    """Turns [N, C, H, W] into [N, HWC], the order in which channels-last layout holds the values: nothing is copied."""

    def forward(self, values: Tensor) -> Tensor:
        """Return the same values in one row an image."""
        return values.permute(0, 2, 3, 1).flatten(1)


class Scale(nn.Module):
    """Multiplies by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, values: Tensor) -> Tensor:
        """Return the multiplied values."""
        return values * self.factor

    def extra_repr(self) -> str:
        """Return what `print` shows of it."""
        return f"{self.factor:g}"


def build_network(params: NetworkParams, image_shape: Sequence[int], description: Description, seed: int) -> nn.Sequential:
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
                layers += _study(params, channels, (height >> poolings) * (width >> poolings), classes)
            case "airbench":
                layers += _airbench(params, channels, classes)
        if params.logit_scale != 1:
            layers.append(Scale(params.logit_scale))
        return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def _study(params: NetworkParams, channels: int, places: int, classes: int) -> list[nn.Module]:
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
    features = params.widths[-1] * places
    return [
        *layers,
        Flatten(),
        nn.Linear(features, params.hidden_width),
        activation(),
        nn.Linear(params.hidden_width, classes),
    ]


def _airbench(params: NetworkParams, channels: int, classes: int) -> list[nn.Module]:
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


def whiten(network: nn.Sequential, images: Tensor) -> None:
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
