"""Certainty: how often predictions are right at each confidence, and among the most confident ones."""

from dataclasses import dataclass

import numpy as np

from classifier.results.predictions import Predictions


@dataclass(frozen=True)
class Bin:
    """Predictions whose confidence lies from `low` to `high`, 0 to 1; their mean confidence and accuracy, if there are any."""

    low: float
    high: float
    images: int
    confidence: float | None
    accuracy: float | None


def reliability(predictions: Predictions, bins: int) -> list[Bin]:
    """Sort predictions into equally wide bins of confidence, those of the calibration error."""
    confidence = predictions.probabilities.max(axis=1)
    correct = predictions.probabilities.argmax(axis=1) == predictions.labels
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    found = []
    for number in range(bins):
        inside = bin_of == number
        means = (float(confidence[inside].mean()), float(correct[inside].mean())) if inside.any() else (None, None)
        found.append(Bin(number / bins, (number + 1) / bins, int(inside.sum()), *means))
    return found


def accuracy_at_coverage(predictions: Predictions, steps: int = 100) -> list[tuple[float, float]]:
    """Return (coverage, accuracy), 0 to 1: the accuracy on the share of the images whose predictions are the most confident."""
    order = np.argsort(-predictions.probabilities.max(axis=1), kind="stable")
    correct = (predictions.probabilities.argmax(axis=1) == predictions.labels)[order]
    counts = np.unique(np.ceil(np.arange(1, steps + 1) * len(correct) / steps).astype(np.int64))
    return [(float(count / len(correct)), float(correct[:count].mean())) for count in counts]
