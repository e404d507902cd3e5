"""torchvision's classification models, with as many logits as there are classes.

They are built for photographs of 224x224 pixels and three channels. Smaller images are scaled up to the fewest pixels that a
design takes, at least 32x32; `vit_b_16` takes 224x224 only, to which every image is scaled. https://docs.pytorch.org/vision/stable/models.html
"""

import sys
from collections.abc import Iterator

from torch import nn

from classifier.networks.layers import Scaling
from classifier.params import TorchvisionDesign

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, with which torchvision's weights were trained
SIDES = {"alexnet": (64, sys.maxsize), "vit_b_16": (224, 224)}  # the fewest and the most pixels of a side
OTHER_SIDES = (32, sys.maxsize)
CONTAINERS = {"features", "trunk_output", "encoder", "layers"}  # modules whose children are the blocks
HEADS = {"fc", "classifier", "head", "heads"}  # modules that hold the last layers


def torchvision_layers(design: TorchvisionDesign, classes: int) -> list[nn.Module]:
    """Return the layers after the normalisation, for this number of logits: the scaling, and torchvision's model as one."""
    from torchvision.models import get_model  # 3 s

    return [Scaling(*SIDES.get(design, OTHER_SIDES)), get_model(design, weights=None, num_classes=classes)]


def blocks(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Return the parameters of each top-level block by its name, in order, without those of the last layers.

    A normalisation belongs to the block before it, and parameters outside of all modules to the first.
    """
    found: dict[str, list[nn.Parameter]] = {}
    for name, child in _children(model, ""):
        parameters = [*child.parameters()]
        if found and isinstance(child, nn.BatchNorm2d | nn.LayerNorm):
            found[[*found][-1]] += parameters
        elif parameters:
            found[name] = parameters
    known = {parameter for parameters in found.values() for parameter in parameters}
    rest = [each for name, each in model.named_parameters() if each not in known and name.split(".")[0] not in HEADS]
    found[next(iter(found))] += rest
    return found


def _children(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        if name in CONTAINERS:
            yield from _children(child, f"{prefix}{name}.")
        elif name not in HEADS:
            yield prefix + name, child
