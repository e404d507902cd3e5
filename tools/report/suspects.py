"""Suspects: images whose label is probably wrong."""

import numpy as np
from numpy.typing import NDArray

from classifier.data.split import Split
from classifier.runtime.errors import InputError
from tools.report.revision import Revision
from tools.report.splits import find_output


def label_suspects(labels: NDArray[np.int64], probabilities: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Return the indices of images that a model, which did not learn from them, is surest have the wrong label.

    Confident learning (Northcutt et al., "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021): an image is a
    suspect if a class other than its label has at least the probability that images of that class have on average. Suspects
    are ranked by self-confidence, the probability of the label, the lowest first.

    Parameters
    ----------
    labels
        [N].
    probabilities
        [N, classes], each row summing to 1.
    """
    self_confidence = probabilities[np.arange(len(labels)), labels]
    images = np.bincount(labels, minlength=probabilities.shape[1])
    sums = np.bincount(labels, weights=self_confidence, minlength=probabilities.shape[1])
    thresholds = np.where(images > 0, sums / np.maximum(images, 1), np.inf)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    suspects = np.flatnonzero((confident.max(axis=1) > 0) & (confident.argmax(axis=1) != labels))
    order = np.lexsort((-probabilities.max(axis=1)[suspects], self_confidence[suspects]))
    return suspects[order][:most]


def validation_probabilities(revision: Revision, split: Split) -> NDArray[np.float64] | None:
    """Return the probabilities, [N, classes], that a revision's model gives validation images; None without a model here."""
    path = find_output(revision, "models/classifier.pt")
    if path is None:
        return None
    from classifier.networks.device import as_tensor, choose_device  # PyTorch takes seconds to import
    from classifier.networks.inference import predict
    from classifier.networks.model_file import load_model

    try:
        model = load_model(path)
    except InputError:  # damaged, or of another version
        return None
    if model.image_shape != split.images.shape[1:]:
        return None
    device = choose_device("auto", "float32")
    network = model.build().to(device.name)
    logits = predict(network, as_tensor(split.images), device, revision.result.test.get("views", "plain"))
    probabilities: NDArray[np.float64] = (logits.cpu().double() / model.temperature).softmax(dim=1).numpy()
    return probabilities
