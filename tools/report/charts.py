"""The charts of the page, as SVG."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from matplotlib.figure import Figure

from classifier.figures.certainty import coverage_figure, reliability_figure
from classifier.figures.comparison import curve_figure
from classifier.figures.svg import svg
from classifier.figures.trade_off import trade_off_figure
from classifier.results.certainty import accuracy_at_coverage
from tools.report.revision import Line

QUANTITIES: tuple[Literal["accuracy", "loss"], ...] = ("accuracy", "loss")
COSTS: tuple[Literal["seconds", "parameters"], ...] = ("seconds", "parameters")
BINS = 15  # of confidence, where the params of a revision do not say


def charts(lines: Sequence[Line]) -> dict[str, str]:
    """Return the charts of the page as SVG."""
    curves = {line.name: [each.result.curve for each in line.revisions] for line in lines}
    predictions = {line.name: line.first.result.predictions for line in lines}
    rows = [line.row for line in lines]
    drawn: dict[str, tuple[Callable[[], Figure], str, str]] = {}
    for quantity in QUANTITIES:
        name = quantity.capitalize()
        words = f"{name} after each epoch, training dashed, validation solid. The table below has the values."
        drawn[quantity] = partial(curve_figure, curves, quantity), name, words
        scaled = f"{name}, logarithmic scale" if quantity == "loss" else "Error, logarithmic scale"
        drawn[f"{quantity}-logarithmic"] = partial(curve_figure, curves, quantity, logarithmic=True), scaled, words
    for cost in COSTS:
        title = f"Accuracy against {cost}{' of training' if cost == 'seconds' else ''}"
        words = f"{title}, a point for each row of the first table."
        drawn[f"cost-{cost}"] = partial(trade_off_figure, rows, cost), title, words
    if any(predictions.values()):
        words = "The table below has the values."
        title = "Reliability: accuracy against confidence"
        drawn["reliability"] = partial(reliability_figure, predictions, bins(lines[0])), title, words
        drawn["coverage"] = partial(coverage_figure, predictions), "Accuracy against coverage", words
    return {prefix: svg(draw, prefix, title, words) for prefix, (draw, title, words) in drawn.items()}


def bins(line: Line) -> int:
    """Return the number of bins of confidence with which a row was evaluated."""
    return int(line.first.params.get("evaluate.calibration_bins", BINS))


def coverage(lines: Sequence[Line]) -> list[tuple[str, list[float]]]:
    """Return the accuracy of each row that has predictions at every tenth of coverage."""
    found = []
    for line in lines:
        if predictions := line.first.result.predictions:
            values = accuracy_at_coverage(predictions)
            tenths = [next(accuracy for share, accuracy in values if share >= tenth / 10 - 1e-9) for tenth in range(1, 11)]
            found.append((line.first_name, tenths))
    return found
