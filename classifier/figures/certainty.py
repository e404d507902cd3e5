"""Certainty: accuracy against confidence, and against the share of images that are answered."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from classifier.figures.revisions import HEIGHT, WIDTH, every, name_ends
from classifier.figures.style import INK, revision_style, show_logarithmic, show_percent, style_axes
from classifier.results.certainty import accuracy_at_coverage, reliability
from classifier.results.predictions import Predictions

LIMITS = (-0.025, 1.025)  # of shares, with room for markers


def reliability_figure(predictions: Mapping[str, Predictions | None], bins: int) -> Figure:
    """Draw the accuracy of the predictions in each bin of confidence, and below how many images it has.

    Where confidence is right, the points lie on the diagonal.
    """
    figure = Figure(figsize=(WIDTH, 1.25 * HEIGHT), layout="constrained")
    shares, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    shares.axline((0, 0), slope=1, color=INK, linewidth=0.8)
    for number, each in enumerate(predictions.values()):
        if each is None:
            continue
        found = [one for one in reliability(each, bins) if one.images]
        color, marker = revision_style(number)
        confidence = [one.confidence for one in found]
        for axes, values, part in (
            (shares, [one.accuracy for one in found], "accuracy"),
            (counts, [one.images for one in found], "images"),
        ):
            line = {"color": color, "marker": marker, "markersize": 5, "linewidth": 1.5}
            axes.plot(confidence, values, **line, gid=f"revision-{number}-{part}")
    shares.set_xlim(*LIMITS)
    shares.set_ylim(*LIMITS)
    counts.set_yscale("log")
    show_logarithmic(counts.yaxis)
    show_percent(shares.xaxis)
    show_percent(shares.yaxis)
    shares.set_title("Accuracy at each confidence")
    style_axes(shares, "", "accuracy")
    style_axes(counts, "confidence", "images")
    return figure


def coverage_figure(predictions: Mapping[str, Predictions | None]) -> Figure:
    """Draw the accuracy on the images with the most confident predictions against their share of all images."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.subplots()
    ends = {}
    for number, (name, each) in enumerate(predictions.items()):
        if each is None:
            continue
        coverage, accuracy = zip(*accuracy_at_coverage(each), strict=True)
        color, marker = revision_style(number)
        line: dict[str, Any] = {"color": color, "marker": marker, "markersize": 5, "linewidth": 1.5}
        axes.plot(coverage, accuracy, **line, markevery=every(number, len(coverage)), gid=f"revision-{number}-accuracy")
        ends[number] = (name, coverage[-1], accuracy[-1])
    axes.set_xlim(*LIMITS)
    show_percent(axes.xaxis)
    show_percent(axes.yaxis)
    axes.set_title("Accuracy on the most confident predictions")
    style_axes(axes, "share of the images", "accuracy")
    name_ends(figure, axes, ends)
    return figure
