"""Revisions for tests of the report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.results.comparison import Result
from classifier.results.learning_curve import Epoch
from classifier.results.predictions import Predictions
from tools.report.revision import Revision, count


def predictions(
    labels: Sequence[int], predicted: Sequence[int], confidence: Sequence[float], names: Sequence[str]
) -> Predictions:
    """Predictions with these answers; what is left of the probability is spread over the other classes."""
    probabilities = np.repeat((1 - np.array(confidence))[:, None] / (len(names) - 1), len(names), axis=1)
    probabilities[np.arange(len(labels)), predicted] = confidence
    return Predictions(np.array(labels), probabilities, np.array(names))


def lock(seed: int = 0, **params: Any) -> dict[str, Any]:
    """A dvc.lock with the params of the section `train`, and a test split."""
    stages = {
        "preprocess": {"outs": [{"path": "data/processed/test.safetensors", "md5": "aabb"}]},
        "train": {"deps": [], "params": {"params.yaml": {"train": {"seed": seed} | params}}, "outs": []},
        "evaluate": {"deps": [{"path": "data/processed/test.safetensors", "md5": "aabb"}], "outs": []},
    }
    return {"schema": "2.0", "stages": stages}


def metrics(accuracy: float, images: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metrics of training and test."""
    train = {"best_epoch": 1, "validation_accuracy": 0.5, "training_accuracy": 0.6, "parameters": 9, "seconds": 2.0}
    test = {
        "accuracy": accuracy,
        "accuracy_low": accuracy / 2,
        "accuracy_high": 1.0,
        "images": images,
        "calibration_error": 0.1,
    }
    return train, test


CURVE = [Epoch(1, 1.5, 1.25, 0.5, 0.625, 0.001)]


def revision(name: str, answers: Predictions | None, seed: int = 0, accuracy: float | None = None, **params: Any) -> Revision:
    """A revision with these predictions."""
    right = float(np.mean(answers.probabilities.argmax(axis=1) == answers.labels)) if answers else 0.5
    train, test = metrics(right if accuracy is None else accuracy, len(answers.labels) if answers else 10)
    result = Result(name, lock(seed, **params), CURVE, train, test, answers)
    names: tuple[str, ...] = tuple(answers.class_names.tolist()) if answers else ()
    confusions: NDArray[np.int64] = count(answers) if answers else np.zeros((0, 0), dtype=np.int64)
    return Revision(result, names, confusions, "0123456789", "1.0.0", "make repro")
