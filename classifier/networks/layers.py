"""Layers that are shared by the designs."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": partial(nn.ReLU, inplace=True), "silu": nn.SiLU, "gelu": nn.GELU}
WHITENING_EPSILON = 5e-4  # added to the eigenvalues, so that directions with almost no variance are not amplified


class Normalization(nn.Module):
    """Normalises pixels to mean 0 and standard deviation 1 in each channel over the training images.

    uint8 [N, H, W, C] becomes float32 [N, C, H, W] in channels-last layout. `mean` and `std` of the training images are in
    units of the full range of a pixel (0 to 1). Images of one channel (`channels`) are repeated for each mean.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], channels: int | None = None) -> None:
        super().__init__()
        self.channels = channels or len(mean)
        self.register_buffer("mean", torch.tensor(mean) * 255)
        self.register_buffer("std", torch.tensor(std) * 255)

    def forward(self, images: Tensor) -> Tensor:
        """Return the normalised images.

        Raises
        ------
        TypeError
            When they are no tensor of uint8.
        ValueError
            When their shape is another one; channels come last.
        """
        if not isinstance(images, Tensor) or images.dtype != torch.uint8:
            raise TypeError(
                "images should be a tensor of uint8 with values from 0 to 255, as in image files, got "
                f"{getattr(images, 'dtype', type(images).__name__)}; the network normalises them itself"
            )
        if images.ndim != 4 or images.shape[3] != self.channels:
            raise ValueError(
                f"images should have the shape [number, height, width, {self.channels}], channels last, got {[*images.shape]}"
            )
        if self.channels < len(self.mean):
            return ((images - self.mean) / self.std).permute(0, 3, 1, 2)
        rows, width = images.flatten(2), images.shape[2]  # a loop over a whole row is faster than one over three channels
        return (rows - self.mean.repeat(width)).div_(self.std.repeat(width)).view(images.shape).permute(0, 3, 1, 2)


class Whitening(nn.Conv2d):
    """A fixed convolution whose outputs are uncorrelated and of variance 1 over the 2x2 patches of the training images.

    Its kernels are the eigenvectors of the covariance of the patches, each divided by the square root of its eigenvalue, and
    the same kernels with the opposite sign, since an activation follows. Page, "How to train your ResNet" part 8 (2019);
    Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (2024), section 3.2, but without the trained bias, so that no
    gradient is needed before the first trained convolution.
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


class Scaling(nn.Module):
    """Scales images so that each side has at least `smallest` and at most `largest` pixels.

    Bilinear interpolation, with antialiasing where images shrink. [N, C, H, W] in and out.
    """

    def __init__(self, smallest: int, largest: int) -> None:
        super().__init__()
        self.smallest = smallest
        self.largest = largest

    def forward(self, values: Tensor) -> Tensor:
        """Return the scaled images."""
        sides = values.shape[2:]
        size = [min(max(side, self.smallest), self.largest) for side in sides]
        if size == [*sides]:
            return values
        shrinks = any(side > self.largest for side in sides)
        return interpolate(values, size=size, mode="bilinear", antialias=shrinks)

    def extra_repr(self) -> str:
        """Return what `print` shows in the parentheses."""
        return f"{self.smallest}, {self.largest}"


class GlobalMaxPool(nn.Module):
    """The maximum of each channel over all positions, [N, C, H, W] to [N, C, 1, 1].

    `AdaptiveMaxPool2d` computes the same, but has no deterministic gradient on CUDA; `amax` divides it among equal maxima.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Return the maxima."""
        return max_pool2d(values, values.shape[2:])


class Flatten(nn.Module):
    """Turns [N, C, H, W] into [N, HWC], the order of the values in channels-last layout, so that nothing is copied."""

    def forward(self, values: Tensor) -> Tensor:
        """Return the same values, one row per image."""
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
        """Return what `print` shows in the parentheses."""
        return f"{self.factor:g}"
