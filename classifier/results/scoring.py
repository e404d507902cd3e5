"""Evaluation metrics of predictions."""

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
        Shares between 0 and 1, except for the loss (mean cross-entropy in nats) and the number of images. The interval of the
        accuracy is Wilson's at 95 %. The balanced accuracy is the mean recall of the classes that have images. Recall is 0 for
        a class without images, and precision for one that is never predicted.
    """
    classes = np.arange(len(class_names))
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1 = class_scores(labels, predicted, len(class_names))
    interval = binomtest(int((predicted == labels).sum()), len(labels)).proportion_ci(0.95, method="wilson")
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "accuracy_low": float(interval.low),
        "accuracy_high": float(interval.high),
        "balanced_accuracy": float(recall[np.isin(classes, labels)].mean()),
        "loss": float(log_loss(labels, probabilities, labels=classes)),
        # With two classes it is always 1, a case that scikit-learn refuses.
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
    """Return precision, recall and F1 of each class, each float64 [classes], 0 to 1; 0 instead of 0 / 0."""
    classes = np.arange(class_count)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    return precision, recall, f1


def calibration_error(labels: NDArray[np.int64], probabilities: NDArray[np.float64], bins: int) -> float:
    """Return the expected calibration error, 0 to 1: the mean difference between confidence and accuracy.

    Predictions are sorted into equally wide bins of confidence; the difference between mean confidence and accuracy of a bin
    is weighted by its share of the predictions (Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3).
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
