"""Difference: how much two models, or two designs, differ in test accuracy, and in which classes and confusions."""

import textwrap
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import fmean
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom, binomtest, ttest_ind

from classifier.results.comparison import Result, test_split
from classifier.results.predictions import Predictions

LEVEL = 0.95  # of all intervals; classes and confusions are tested at 1 - LEVEL
DRAWS, SEED = 10_000, 0  # of the bootstrap
LEAST_CHANGED = 20  # images that enter or leave a cell of the confusion matrix for it to be tested
ALL_PAIRS = 4  # the most rows of which every pair is compared
LISTED = 8  # classes, and confusions, in a text
WIDTH = 120  # of its lines


@dataclass(frozen=True)
class Change:
    """A cell of the confusion matrix that two models fill differently: a class, where both names are equal, or a confusion.

    images
        Test images of the true class.
    first, second
        Those in the cell with each model: first / images is the recall of a class.
    p
        McNemar's exact p, corrected by Holm's method for all classes and confusions of the pair that were tested.
    """

    actual: str
    predicted: str
    images: int
    first: int
    second: int
    p: float


@dataclass(frozen=True)
class Difference:
    """The difference in accuracy of two rows of the comparison, the second minus the first, as a share between -1 and 1.

    method
        `seeds`: Welch's test over the accuracies of the seeds, two or more of each design. `paired`: a bootstrap over the
        images of two models, with McNemar's exact p. `unpaired`: Newcombe's interval, from the counts of two models, one of
        which has no predictions. `none`: other test splits, so there are no numbers.
    models
        Of the first and the second row: those whose images are paired, for classes and confusions too.
    seeds
        Number of seeds in each row.
    without_predictions
        Those of the models that have none here.
    images
        In the test split.
    only_first, only_second
        Test images whose class only one of the models has right.
    tested
        Number of classes and confusions tested; None without predictions.
    classes, confusions
        Those that changed, the greatest change first.
    """

    first: str
    second: str
    method: Literal["seeds", "paired", "unpaired", "none"]
    models: tuple[str, str]
    seeds: tuple[int, int]
    without_predictions: Sequence[str] = ()
    images: int | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    only_first: int | None = None
    only_second: int | None = None
    tested: int | None = None
    classes: Sequence[Change] = ()
    confusions: Sequence[Change] = ()

    @property
    def worse(self) -> bool:
        """Whether the whole interval lies below 0."""
        return self.high is not None and self.high < 0


def differences(groups: Mapping[str, Sequence[Result]], baseline: str | None = None) -> list[Difference]:
    """Return the differences between groups of trainings: of all pairs, up to four groups.

    Of more groups each is compared with the one that has the highest accuracy on its test split, or with `baseline`.
    """
    names = list(groups)
    pairs: Iterable[tuple[str, str]] = combinations(names, 2)
    if len(names) > ALL_PAIRS:
        pairs = [(partner, name) for name in names if (partner := baseline or _best(name, groups)) != name]
        pairs = [(one, other) if names.index(one) < names.index(other) else (other, one) for one, other in pairs]
    return [_difference(one, other, groups) for one, other in pairs]


def _best(name: str, groups: Mapping[str, Sequence[Result]]) -> str:
    """Return the best group on the same test split; for that group itself, the best of all."""
    accuracy = {each: fmean(result.test["accuracy"] for result in results) for each, results in groups.items()}
    split = {each: test_split(results[0].lock) for each, results in groups.items()}
    best = max((each for each in groups if split[each] == split[name]), key=accuracy.__getitem__)
    return max(groups, key=accuracy.__getitem__) if best == name else best


def missing_seeds(groups: Mapping[str, Sequence[Result]]) -> dict[str, list[int]]:
    """Return the seeds that are missing to compare designs, by group: those of the others, or else one more."""
    seeds = {name: {result.seed for result in results} for name, results in groups.items()}
    wanted = set().union(*seeds.values())
    if len(wanted) == 1:
        wanted |= {min({0, 1} - wanted)}
    return {name: sorted(wanted - own) for name, own in seeds.items() if len(own) == 1} if len(groups) > 1 else {}


def _difference(first: str, second: str, groups: Mapping[str, Sequence[Result]]) -> Difference:
    rows = groups[first], groups[second]
    one, other = (next((result for result in row if result.predictions), row[0]) for row in rows)
    models = tuple(_label(result, row) for result, row in zip((one, other), rows, strict=True))
    values: dict[str, Any] = {"models": models, "seeds": tuple(map(len, rows))}
    if not _same_test_split(one, other):
        return Difference(first, second, "none", **values)
    accuracies = [[result.test["accuracy"] for result in row] for row in rows]
    values["images"] = one.test["images"]
    method: Literal["seeds", "paired", "unpaired"] = "unpaired"
    if one.predictions and other.predictions:
        method = "paired"
        values |= paired(one.predictions, other.predictions)
    else:
        values["without_predictions"] = [each.revision for each in (one, other) if each.predictions is None]
        rights = [round(result.test["accuracy"] * result.test["images"]) for result in (one, other)]
        values |= unpaired((rights[0], one.test["images"]), (rights[1], other.test["images"]))
    if min(values["seeds"]) > 1 and any(len(set(row)) > 1 for row in accuracies):  # Welch's test needs a variance
        method = "seeds"
        values |= welch(*accuracies)
    return Difference(first, second, method, **values)


def _same_test_split(one: Result, other: Result) -> bool:
    """Compare what dvc.lock says, and the predictions, since those of a workspace may have been made for another split."""
    if one.predictions and other.predictions:
        sides = one.predictions, other.predictions
        if not all(np.array_equal(*(getattr(side, name) for side in sides)) for name in ("labels", "class_names")):
            return False
    return test_split(one.lock) is not None and test_split(one.lock) == test_split(other.lock)


def _label(result: Result, row: Sequence[Result]) -> str:
    return f"{result.revision} (seed {result.seed})" if len(row) > 1 else result.revision


def welch(first: Sequence[float], second: Sequence[float]) -> dict[str, float]:
    """Return difference of the means, interval and p of Welch's t-test; not all values of both sides may be equal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of precision, where one of the sides has no variance
        result = ttest_ind(second, first, equal_var=False)
    low, high = result.confidence_interval(LEVEL)
    return _numbers(fmean(second) - fmean(first), low, high) | {"p": float(result.pvalue)}


def unpaired(first: tuple[int, int], second: tuple[int, int]) -> dict[str, float]:
    """Return difference and interval of two shares, each given as (count, total).

    The interval is Newcombe's of the Wilson intervals ("Interval estimation for the difference between independent
    proportions", 1998, method 10).
    """
    wilson = (binomtest(*share).proportion_ci(LEVEL, method="wilson") for share in (first, second))
    (low_1, high_1), (low_2, high_2) = wilson
    share_1, share_2 = first[0] / first[1], second[0] / second[1]
    difference = share_2 - share_1
    below, above = np.hypot(share_2 - low_2, high_1 - share_1), np.hypot(high_2 - share_2, share_1 - low_1)
    return _numbers(difference, difference - below, difference + above)


def paired(first: Predictions, second: Predictions) -> dict[str, Any]:
    """Compare two models image by image.

    Parameters
    ----------
    first, second
        For the same images.

    Returns
    -------
    values
        Of the fields of `Difference`, from `difference` on.
    """
    labels, names = first.labels, first.class_names
    predicted = [predictions.probabilities.argmax(axis=1) for predictions in (first, second)]
    changed = predicted[0] != predicted[1]

    def count(answers: NDArray[np.int64], of: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the confusion matrix, int64 [classes, classes], of some of the images."""
        cells = labels[of] * len(names) + answers[of]
        return np.bincount(cells, minlength=len(names) ** 2).reshape(len(names), len(names))

    # Images that are in a cell with one model and not with the other; on the diagonal, that only one has right.
    only_first, only_second = (count(answers, changed) for answers in predicted)
    totals = [count(answers, np.ones(len(labels), dtype=bool)) for answers in predicted]
    images = np.bincount(labels, minlength=len(names))
    on_diagonal = np.eye(len(names), dtype=bool)
    tested = np.argwhere(np.where(on_diagonal, images > 0, only_first + only_second >= LEAST_CHANGED))
    p_values = holm(mcnemar(only_first[tuple(tested.T)], only_second[tuple(tested.T)]))
    changed_cells = [
        Change(str(names[i]), str(names[j]), int(images[i]), int(totals[0][i, j]), int(totals[1][i, j]), float(p))
        for (i, j), p in zip(tested, p_values, strict=True)
        if p < 1 - LEVEL
    ]
    changed_cells.sort(key=lambda change: -abs(change.second - change.first))
    lost, won = int(np.trace(only_first)), int(np.trace(only_second))
    return paired_interval(lost, won, len(labels)) | {
        "p": float(mcnemar(lost, won)),
        "only_first": lost,
        "only_second": won,
        "tested": len(tested),
        "classes": [change for change in changed_cells if change.actual == change.predicted],
        "confusions": [change for change in changed_cells if change.actual != change.predicted],
    }


def paired_interval(only_first: int, only_second: int, images: int) -> dict[str, float]:
    """Return difference in accuracy and its interval: percentiles of a bootstrap over the images.

    The images that only one model has right decide the difference. Drawing their numbers from a multinomial distribution is
    the same as drawing images. The interval of the opposite difference is the mirror image.
    """
    if only_first > only_second:
        mirrored = paired_interval(only_second, only_first, images)
        return _numbers(-mirrored["difference"], -mirrored["high"], -mirrored["low"])
    shares = np.array([only_first, only_second, images - only_first - only_second]) / images
    draws = np.random.default_rng(SEED).multinomial(images, shares, size=DRAWS)
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile((draws[:, 1] - draws[:, 0]) / images, tails)
    return _numbers((only_second - only_first) / images, low, high)


def mcnemar(only_first: ArrayLike, only_second: ArrayLike) -> NDArray[np.float64]:
    """Return McNemar's exact two-sided p for numbers of images of any shape; 1 where both are 0."""
    fewer, both = np.minimum(only_first, only_second), np.add(only_first, only_second)
    return np.minimum(1.0, 2 * np.asarray(binom.cdf(fewer, both, 0.5), dtype=np.float64))


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values [N] corrected for N tests ("A simple sequentially rejective multiple test procedure", 1979)."""
    order = np.argsort(p_values)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1)))
    return corrected


def _numbers(difference: float, low: float, high: float) -> dict[str, float]:
    """Return the fields of `Difference`, without the last digits, in which equal means may differ."""
    values = {"difference": difference, "low": low, "high": high}
    return {name: round(float(value), 12) + 0.0 for name, value in values.items()}


def sentence(difference: Difference) -> str:
    """Return what the interval says, such as `b is 6.5 points better than a (5.6 to 7.4)`."""
    one, other = (difference.first, difference.second) if difference.method == "seeds" else difference.models
    if difference.difference is None or difference.low is None or difference.high is None:
        return f"{one} and {other}: other test splits, so no difference is computed"
    values = [100 * value for value in (difference.difference, difference.low, difference.high)]
    if values[0] < 0:
        one, other = other, one
        values = [-values[0], -values[2], -values[1]]
    # A bound on one side of 0 is not rounded to 0.
    digits = next(digits for digits in range(1, 13) if all(value == 0 or round(value, digits) for value in values))
    points, low, high = (f"{value + 0.0:.{digits}f}" for value in values)
    verdict = f"{other} is {points} points better than {one}" if values[0] else f"{one} and {other} have the same accuracy"
    unit = "seeds" if difference.method == "seeds" else "images"
    return f"{verdict} ({low} to {high})" + ("" if values[1] > 0 else f": these {unit} cannot tell them apart")


def explanation(difference: Difference) -> str:
    """Return how the numbers of `sentence` were found, with p; empty if there are none."""
    if difference.method == "none":
        return ""
    p = "" if difference.p is None else "p < 0.001" if difference.p < 0.001 else f"p = {difference.p:.2g}"
    if difference.method == "seeds":
        return f"These two designs, {p} by Welch's test over {difference.seeds[0]} and {difference.seeds[1]} seeds."
    if difference.method == "unpaired":
        missing = " and ".join(difference.without_predictions)
        return (
            f"These two models, unpaired, since there are no predictions of {missing}: from the counts of "
            f"{difference.images:,} images."
        )
    first, second = difference.models
    return (
        f"These two models, {p} by McNemar's exact test: of {difference.images:,} images {first} alone has "
        f"{difference.only_first:,} right, {second} alone {difference.only_second:,}."
    )


def changes(difference: Difference) -> list[str]:
    """Return the classes and the confusions that changed, a line each; none without predictions."""
    if difference.tested is None:
        return []
    classes = [
        f"{each.actual} {each.first / each.images:.1%} to {each.second / each.images:.1%}" for each in difference.classes
    ]
    confusions = [f"{each.actual} taken for {each.predicted} {each.first} to {each.second}" for each in difference.confusions]
    models = f"from {difference.models[0]} to {difference.models[1]}"
    lines = [
        f"{kind} {models}: {', '.join(texts[:LISTED])}" + (f", and {len(texts) - LISTED} more" if texts[LISTED:] else "")
        for kind, texts in (("Recall", classes), ("Confusions", confusions))
        if texts
    ]
    return lines or [f"No class and no confusion changed {models} ({difference.tested} tested)"]


def as_markdown(found: Sequence[Difference]) -> str:
    """Return differences as a list in Markdown, which reads well on a terminal too; empty if there are none."""
    lines = []
    for difference in found:
        items = [f"- {sentence(difference)}. {explanation(difference)}", *(f"  - {line}." for line in changes(difference))]
        for item in items:
            indent = " " * (item.index("-") + 2)
            lines.append(textwrap.fill(item, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False))
    return "".join(f"{line}\n" for line in lines)


def as_values(found: Sequence[Difference]) -> list[dict[str, Any]]:
    """Return differences as plain values, without those that one lacks."""
    return [{key: value for key, value in asdict(difference).items() if value is not None} for difference in found]
