"""Scoring: how good predictions are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, precision_recall_fscore_support, top_k_accuracy_score


def score(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], class_names: Sequence[str], bins: int
) -> dict[str, Any]:
    """Score the predictions of one split.

    Parameters
    ----------
    labels
        [N], the true classes.
    probabilities
        [N, classes], of each class; every row sums to 1.
    bins
        Of confidence, for the calibration error.

    Returns
    -------
    metrics
        Shares between 0 and 1, but for the loss (mean cross-entropy in nats) and the number of images. The interval of the
        accuracy is Wilson's at 95 %. A class that has no image, or is never predicted, counts as 0 where it is divided by.
    """
    classes = np.arange(len(class_names))
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1 = class_scores(labels, predicted, len(class_names))
    interval = binomtest(int((predicted == labels).sum()), len(labels)).proportion_ci(0.95, method="wilson")
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "accuracy_low": float(interval.low),
        "accuracy_high": float(interval.high),
        "loss": float(log_loss(labels, probabilities, labels=classes)),
        # Of two classes the truth is always among the best two, which scikit-learn does not take.
        "top_2_accuracy": float(top_k_accuracy_score(labels, probabilities, k=2, labels=classes)) if len(classes) > 2 else 1.0,
        "macro_precision": float(precision.mean()),
        "macro_recall": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "calibration_error": calibration_error(labels, probabilities, bins),
        "images": len(labels),
        "recall": dict(zip(class_names, recall.tolist(), strict=True)),
    }


def class_scores(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], class_count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return precision, recall and F1 of each class, each [classes], 0 to 1; 0 where it is divided by no image."""
    classes = np.arange(class_count)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    return precision, recall, f1


def calibration_error(labels: NDArray[np.int64], probabilities: NDArray[np.float64], bins: int) -> float:
    """Return the expected calibration error, 0 to 1: how far confidence and accuracy lie apart on average.

    Predictions are put into equally wide bins of confidence; each bin's gap between mean confidence and accuracy is weighed
    by its share of the predictions (Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3).
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(bin_of, weights=confidence - correct, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def count_confusions(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], class_names: Sequence[str]
) -> list[tuple[str, str, int]]:
    """Return (actual, predicted, count) for every pair of class names, in the order of the classes."""
    counts = confusion_matrix(labels, probabilities.argmax(axis=1), labels=np.arange(len(class_names)))
    return [
        (actual, predicted, int(counts[row, column]))
        for row, actual in enumerate(class_names)
        for column, predicted in enumerate(class_names)
    ]
