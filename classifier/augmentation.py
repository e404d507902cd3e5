"""Augmentation: random crops, flips and scaling of whole batches of training images."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from classifier.errors import InputError
from classifier.params import AugmentationParams


def augment(images: Tensor, params: AugmentationParams, generator: torch.Generator, mirrored: Tensor | None = None) -> Tensor:
    """Cut a random crop out of each padded image, and mirror half of them.

    Crop, flip and copy are one gather: each image has its own list of rows and of columns to read.

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
        uint8 [N, H, W, C], new ones; padding is black (0) or reflects the image without repeating its border.

    Raises
    ------
    InputError
        When an image is too small to reflect that much of it.
    """
    count, height, width, _ = images.shape
    rows = torch.arange(height).expand(count, height)
    columns = torch.arange(width).expand(count, width)
    padding = params.crop_padding
    if padding:
        rows = rows + torch.randint(2 * padding + 1, (count, 1), generator=generator)
        columns = columns + torch.randint(2 * padding + 1, (count, 1), generator=generator)
        match params.crop_fill:
            case "black":
                images = pad(images, (0, 0, padding, padding, padding, padding))
            case "reflection":
                if padding >= min(height, width):
                    raise InputError(
                        f"params.yaml: augmentation.crop_padding: should be less than {min(height, width)} where crop_fill is "
                        f"reflection and images have {height}x{width} pixels, got {padding}"
                    )
                rows, columns = _reflected(rows - padding, height), _reflected(columns - padding, width)
    if params.flip:
        if mirrored is None:
            mirrored = torch.randint(2, (count, 1), generator=generator, dtype=torch.bool)
        columns = torch.where(mirrored.view(-1, 1), columns.flip(1), columns)
    one = torch.arange(count, device=images.device)[:, None, None]
    return images[one, rows.to(images.device)[:, :, None], columns.to(images.device)[:, None, :]]


def _reflected(positions: Tensor, size: int) -> Tensor:
    """Fold positions outside 0 to size - 1 back inside, as in a mirror that stands on the border pixel."""
    positions = positions.abs()
    return torch.where(positions < size, positions, 2 * (size - 1) - positions)


def scale(images: Tensor, size: int) -> Tensor:
    """Scale images, uint8 [N, H, W, C], to `size` pixels a side, by linear interpolation with antialiasing."""
    if images.shape[1:3] == (size, size):
        return images
    planes = images.movedim(3, 1)
    if images.device.type != "cpu":
        planes = planes.float()
    scaled = interpolate(planes, size=(size, size), mode="bilinear", antialias=True)
    return scaled.round().to(torch.uint8).movedim(1, 3) if scaled.is_floating_point() else scaled.movedim(1, 3)
