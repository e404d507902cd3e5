"""Suspects: images whose label is probably wrong."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from classifier.data.split import Split
from classifier.runtime.errors import InputError
from tools.report.images import Answer, Card, Cards, TestSet, answer
from tools.report.pictures import Album
from tools.report.revision import Line, Revision
from tools.report.splits import find_output, find_split, split_key

SUSPECTS = 20  # images in a list


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


def suspect_lists(lines: Sequence[Line], sets: Sequence[TestSet], album: Album) -> list[Cards]:
    """Return the images of test and validation split that the best model here is surest are labelled wrong."""
    lists = []
    for number, test in enumerate(sets):
        line = min(test.predictions)
        indices = label_suspects(test.labels, test.predictions[line].probabilities, SUSPECTS)
        chosen = [test.card(int(index), [line]) for index in indices]
        lists.append(Cards(f"suspects-test-{number}", f"Test split, by {lines[line].first_name}", number, chosen))
        for line in sorted(test.predictions):
            revision = lines[line].first
            split = find_split(revision, "validation")
            probabilities = validation_probabilities(revision, split) if split else None
            if split is None or probabilities is None:
                continue
            cards = []
            for index in map(int, label_suspects(split.labels, probabilities, SUSPECTS)):
                label = int(split.labels[index])
                key = (split_key(revision, "validation"), index)
                name = split.files[index] if split.files else f"validation {index}"
                cards.append(Card(key, name, label, [Answer(line, *answer(probabilities[index], label))]))
                album.add(key, split.images[index])
            lists.append(
                Cards(f"suspects-validation-{number}", f"Validation split, by {lines[line].first_name}", number, cards)
            )
            break
    return [each for each in lists if each.cards]
