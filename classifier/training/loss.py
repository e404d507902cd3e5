"""Loss: cross-entropy with label smoothing and class weights."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from classifier.params import ClassWeights
from classifier.runtime.console import counted

IMBALANCE = 10  # times as many images in the largest class as in the smallest, from which a line says so


def training_loss(logits: Tensor, labels: Tensor, label_smoothing: float, weights: Tensor | None) -> Tensor:
    """Return the loss of a batch: the sum of weight times cross-entropy over the number of images.

    PyTorch's own weighted mean divides by the weights in the batch instead. An image of a rare class would then count less in
    a batch with others of its class, and shares of a batch could not be averaged. With label smoothing, PyTorch also weights
    each class of the target; here the image has the weight of its true class.

    Parameters
    ----------
    logits
        float32 [N, classes].
    labels
        int64 [N].
    label_smoothing
        Share of the target that is distributed evenly over all classes, 0 to 1.
    weights
        float32 [classes]; None is 1 for every class.

    Returns
    -------
    loss
        float32 [], in nats.
    """
    if weights is None:
        return cross_entropy(logits, labels, label_smoothing=label_smoothing)
    return (weights[labels] * cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none")).mean()


def class_weights(name: ClassWeights, labels: NDArray[np.int64]) -> Tensor | None:
    """Return the weight of each class in the training loss, whose mean over the training images is 1.

    Parameters
    ----------
    name
        `none` gives no weights. `balanced` gives every class that has images the same total: its weight is inversely
        proportional to its number of images.
    labels
        [N], of the training split.

    Returns
    -------
    weights
        float32 [largest label + 1], 0 for a class without images; None without weights.
    """
    match name:
        case "none":
            return None
        case "balanced":
            counts = np.bincount(labels)
            weights = len(labels) / np.count_nonzero(counts) / np.maximum(counts, 1)
            return torch.from_numpy(np.where(counts > 0, weights, 0).astype(np.float32))


def imbalance(labels: NDArray[np.int64], class_names: Sequence[str]) -> str:
    """Return a text that names the largest and the smallest class if one has ten times as many images; otherwise nothing."""
    counts = np.bincount(labels, minlength=len(class_names))
    largest, smallest = int(counts.argmax()), int(counts.argmin())
    if counts[largest] < IMBALANCE * counts[smallest]:
        return ""
    many = counted(int(counts[largest]), "training image")
    return f"{class_names[largest]} has {many} and {class_names[smallest]} {counts[smallest]:,}"
