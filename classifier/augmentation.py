"""Augmentation: random crops and flips of whole batches of training images."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from classifier.params import AugmentationParams


def augment(images: Tensor, params: AugmentationParams, generator: torch.Generator) -> Tensor:
    """Cut a random crop out of each padded image, and mirror half of them.

    Crop, flip and copy are one gather: each image has its own list of rows and of columns to read.

    Parameters
    ----------
    images
        uint8 [N, H, W, C].
    generator
        On the CPU; the same state gives the same crops on every device.

    Returns
    -------
    images
        uint8 [N, H, W, C], new ones; padding is black (0).
    """
    count, height, width, _ = images.shape
    rows = torch.arange(height).expand(count, height)
    columns = torch.arange(width).expand(count, width)
    padding = params.crop_padding
    if padding:
        images = pad(images, (0, 0, padding, padding, padding, padding))
        rows = rows + torch.randint(2 * padding + 1, (count, 1), generator=generator)
        columns = columns + torch.randint(2 * padding + 1, (count, 1), generator=generator)
    if params.flip:
        mirrored = torch.randint(2, (count, 1), generator=generator, dtype=torch.bool)
        columns = torch.where(mirrored, columns.flip(1), columns)
    one = torch.arange(count, device=images.device)[:, None, None]
    return images[one, rows.to(images.device)[:, :, None], columns.to(images.device)[:, None, :]]
