"""Refusal: what it costs, and what it gains, to give no answer below a probability."""

from collections.abc import Iterable
from dataclasses import dataclass

from classifier.results.predictions import Predictions


@dataclass(frozen=True)
class Refusal:
    """What a threshold does to the predictions of a split.

    threshold
        Probability of the most likely class below which there is no answer.
    refused
        Share of the images without an answer.
    accuracy
        Share of the other images whose class is right; None when there are none.
    """

    threshold: float
    refused: float
    accuracy: float | None


def refusals(predictions: Predictions, thresholds: Iterable[float]) -> list[Refusal]:
    """Return what each threshold, in order, does to predictions of at least one image."""
    confidence = predictions.probabilities.max(axis=1)
    correct = predictions.probabilities.argmax(axis=1) == predictions.labels
    rows = []
    for threshold in sorted(set(thresholds)):
        answered = confidence >= threshold
        accuracy = float(correct[answered].mean()) if answered.any() else None
        rows.append(Refusal(threshold, 1 - float(answered.mean()), accuracy))
    return rows
