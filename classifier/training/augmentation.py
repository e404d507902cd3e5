"""Augmentation: random crops, flips and scaling of whole batches of training images."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from classifier.params import AugmentationParams
from classifier.runtime.errors import InputError


def augment(images: Tensor, params: AugmentationParams, generator: torch.Generator, mirrored: Tensor | None = None) -> Tensor:
    """Take a random crop of each padded image, and flip half of them horizontally.

    Parameters
    ----------
    images
        uint8 [N, H, W, C].
    generator
        On the CPU; the same state gives the same crops on every device.
    mirrored
        bool [N] on the CPU: the images to flip. By default, each is flipped with probability 0.5. Not used without
        `params.flip`.

    Returns
    -------
    images
        uint8 [N, H, W, C]; padding is black (0) or reflects the image without repeating its border.

    Raises
    ------
    InputError
        When the images are too small to be padded with that much of their reflection.
    """
    count = len(images)
    if params.crop_padding:
        tops, lefts = (torch.randint(2 * params.crop_padding + 1, (count,), generator=generator) for _ in range(2))
        images = _cropped(_padded(images, params.crop_padding, params.crop_fill), tops, lefts, *images.shape[1:3])
    if params.flip:
        if mirrored is None:
            mirrored = torch.randint(2, (count,), generator=generator, dtype=torch.bool)
        chosen = torch.arange(count) + count * mirrored
        images = torch.cat([images, images.flip(2)]).index_select(0, chosen.to(images.device))
    return images


def _cropped(images: Tensor, tops: Tensor, lefts: Tensor, height: int, width: int) -> Tensor:
    """Copy a window of each image, row by row, since neighbouring pixels can be copied together."""
    count, full_height, full_width, channels = images.shape
    rows = images.flatten().unfold(0, width * channels, channels)  # a view: the rows that start at each pixel
    starts = (torch.arange(count) * full_height + tops)[:, None] + torch.arange(height)
    starts = starts * full_width + lefts[:, None]
    return rows.index_select(0, starts.flatten().to(images.device)).view(count, height, width, channels)


def _padded(images: Tensor, padding: int, fill: Literal["black", "reflection"]) -> Tensor:
    padded = pad(images, (0, 0, padding, padding, padding, padding))
    if fill == "black":
        return padded
    height, width = images.shape[1:3]
    if padding >= min(height, width):
        raise InputError(
            f"params.yaml: augmentation.crop_padding: should be less than {min(height, width)} where crop_fill is "
            f"reflection and images have {height}x{width} pixels, got {padding}"
        )
    for dim, length in ((1, height), (2, width)):
        first, last = padding, padding + length - 1
        for distance in range(1, padding + 1):
            padded.select(dim, first - distance).copy_(padded.select(dim, first + distance))
            padded.select(dim, last + distance).copy_(padded.select(dim, last - distance))
    return padded


def scale(images: Tensor, size: int) -> Tensor:
    """Scale images, uint8 [N, H, W, C], to `size` x `size` pixels, by bilinear interpolation with antialiasing."""
    if images.shape[1:3] == (size, size):
        return images
    planes = images.movedim(3, 1)
    if images.device.type != "cpu":
        planes = planes.float()
    scaled = interpolate(planes, size=(size, size), mode="bilinear", antialias=True)
    return scaled.round().to(torch.uint8).movedim(1, 3) if scaled.is_floating_point() else scaled.movedim(1, 3)
