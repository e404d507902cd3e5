"""Precision, recall and F1 of each class, with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest


@dataclass(frozen=True)
class Score:
    """A share between 0 and 1 with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassScores:
    """The scores of a class; None instead of 0 / 0."""

    name: str
    images: int
    precision: Score | None
    recall: Score | None
    f1: Score | None


def scores_by_class(confusions: NDArray[np.int64], names: Sequence[str]) -> list[ClassScores]:
    """Return the scores of each class from a confusion matrix [classes, classes], true class first.

    Intervals are Wilson's. F1 grows with the share of right answers among the images that are of the class or were taken for
    it, right / (right + missed + wrongly added): its interval is that of this share, converted.
    """
    scores = []
    for index, name in enumerate(names):
        right, actual, predicted = (
            int(n) for n in (confusions[index, index], confusions[index].sum(), confusions[:, index].sum())
        )
        overlap = _score(right, actual + predicted - right)
        f1 = overlap and Score(*(2 * share / (1 + share) for share in (overlap.value, overlap.low, overlap.high)))
        scores.append(ClassScores(name, actual, _score(right, predicted), _score(right, actual), f1))
    return scores


def _score(count: int, total: int) -> Score | None:
    if not total:
        return None
    interval = binomtest(count, total).proportion_ci(0.95, method="wilson")
    return Score(count / total, float(interval.low), float(interval.high))
