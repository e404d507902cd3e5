"""Inference: what a network says of images."""

import torch
from torch import Tensor, nn

from classifier.device import Device

BATCH_SIZE = 1000  # images scored at a time, which bounds the memory


@torch.inference_mode()
def predict(network: nn.Module, images: Tensor, device: Device) -> Tensor:
    """Return the logits, float32 [N, classes], that the network in evaluation mode gives to uint8 images [N, H, W, C]."""
    training = network.training
    network.eval()
    with device.autocast():
        logits = torch.cat([network(batch).float() for batch in torch.split(images, BATCH_SIZE)])
    network.train(training)
    return logits
