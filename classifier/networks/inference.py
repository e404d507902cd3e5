"""Inference: logits for images."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from classifier.networks.device import Device
from classifier.params import Views

BATCH_SIZE = 1000  # images per forward pass at most ...
BATCH_PIXELS = 1000 * 32 * 32  # ... and pixels, which bound the memory


@torch.inference_mode()
def predict(network: nn.Module, images: Tensor, device: Device, views: Views = "plain") -> Tensor:
    """Return the logits of a network in evaluation mode.

    Parameters
    ----------
    network
        On `device`; its mode is restored afterwards.
    images
        uint8 [N, H, W, C], on `device` or in main memory.
    views
        Versions of each image whose logits are averaged (test-time augmentation). `plain` is the image alone, `mirrored` adds
        its mirror image, `shifted` also adds both of these shifted by one pixel down and right, and up and left; the shifted
        ones have half of the weight together. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (2024), section 3.5.

    Returns
    -------
    logits
        float32 [N, classes], on `device`.
    """
    training = network.training
    network.eval()
    with device.autocast():
        logits = torch.cat(
            [
                torch.stack([network(view).float() * w for view, w in weighted_views(batch.to(device.name), views)]).sum(dim=0)
                for batch in torch.split(images, _batch_size(images))
            ]
        )
    network.train(training)
    return logits


def _batch_size(images: Tensor) -> int:
    return max(1, min(BATCH_SIZE, BATCH_PIXELS // images[0, ..., 0].numel())) if len(images) else 1


def weighted_views(images: Tensor, views: Views) -> Iterator[tuple[Tensor, float]]:
    """Yield each view of a batch of images, uint8 [N, H, W, C], with its weight; the weights add up to 1."""
    match views:
        case "plain":
            yield images, 1.0
        case "mirrored":
            yield images, 0.5
            yield images.flip(2), 0.5
        case "shifted":
            _, height, width, _ = images.shape
            border = pad(images.movedim(3, 1).float(), (1, 1, 1, 1), mode="reflect").to(torch.uint8).movedim(1, 3)
            shifted = [border[:, start : start + height, start : start + width] for start in (0, 2)]
            for view, weight in ((images, 0.25), (shifted[0], 0.125), (shifted[1], 0.125)):
                yield view, weight
                yield view.flip(2), weight
