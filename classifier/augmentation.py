"""Augmentation: random crops, flips and scaling of whole batches of training images."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from classifier.errors import InputError
from classifier.params import AugmentationParams


def augment(images: Tensor, params: AugmentationParams, generator: torch.Generator, mirrored: Tensor | None = None) -> Tensor:
    """Cut a random crop out of each padded image, and mirror half of them.

    Parameters
    ----------
    images
        uint8 [N, H, W, C].
    generator
        On the CPU; the same state gives the same crops on every device.
    mirrored
        bool [N] on the CPU, which images to mirror; drawn for each if absent. Nothing is mirrored without `params.flip`.

    Returns
    -------
    images
        uint8 [N, H, W, C]; padding is black (0) or reflects the image without repeating its border.

    Raises
    ------
    InputError
        When an image is too small to reflect that much of it.
    """
    count, height, width, _ = images.shape
    if params.crop_padding:
        tops, lefts = (torch.randint(2 * params.crop_padding + 1, (count,), generator=generator) for _ in range(2))
        padded = _padded(images, params.crop_padding, params.crop_fill)
        crops = padded.unfold(1, height, 1).unfold(2, width, 1).movedim(3, 5)  # a view: image, top, left, row, column, channel
        images = crops[torch.arange(count), tops, lefts]
    if params.flip:
        if mirrored is None:
            mirrored = torch.randint(2, (count,), generator=generator, dtype=torch.bool)
        images = torch.where(mirrored.to(images.device)[:, None, None, None], images.flip(2), images)
    return images


def _padded(images: Tensor, padding: int, fill: Literal["black", "reflection"]) -> Tensor:
    if fill == "black":
        return pad(images, (0, 0, padding, padding, padding, padding))
    height, width = images.shape[1:3]
    if padding >= min(height, width):
        raise InputError(
            f"params.yaml: augmentation.crop_padding: should be less than {min(height, width)} where crop_fill is "
            f"reflection and images have {height}x{width} pixels, got {padding}"
        )
    for dim in (1, 2):
        before, after = images.narrow(dim, 1, padding), images.narrow(dim, -1 - padding, padding)
        images = torch.cat([before.flip(dim), images, after.flip(dim)], dim)
    return images


def scale(images: Tensor, size: int) -> Tensor:
    """Scale images, uint8 [N, H, W, C], to `size` pixels a side, by linear interpolation with antialiasing."""
    if images.shape[1:3] == (size, size):
        return images
    planes = images.movedim(3, 1)
    if images.device.type != "cpu":
        planes = planes.float()
    scaled = interpolate(planes, size=(size, size), mode="bilinear", antialias=True)
    return scaled.round().to(torch.uint8).movedim(1, 3) if scaled.is_floating_point() else scaled.movedim(1, 3)
