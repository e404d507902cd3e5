"""Precision, recall and F1 of each class."""

import numpy as np
from matplotlib.figure import Figure

from classifier.figures.style import INK, PALE, SCORE_COLORS, short_name, show_percent, style_axes
from classifier.results.predictions import Predictions
from classifier.results.scoring import class_scores

HALF = 20  # classes at either end that are shown when there are more than twice as many


def class_scores_figure(predictions: Predictions) -> Figure:
    """Draw precision, recall and F1 of each class, sorted by F1 with the lowest at the bottom; of many, the best and worst."""
    names = [short_name(name) for name in predictions.class_names.tolist()]
    scores = class_scores(predictions.labels, predictions.probabilities.argmax(axis=1), len(names))
    order = np.argsort(scores[2], kind="stable")
    title = "Scores of each class on the test split"
    rows = np.arange(len(order))
    left_out = len(order) - 2 * HALF
    if left_out > 0:
        title = f"Scores of the {HALF} best and {HALF} worst of {len(order)} classes"
        order = np.delete(order, slice(HALF, -HALF))
        rows = np.delete(np.arange(2 * HALF + 1), HALF)
    figure = Figure(figsize=(8, 0.42 * len(order) + 1.6), layout="constrained")
    axes = figure.subplots()
    precision, recall, _ = (score[order] for score in scores)
    axes.hlines(rows, np.minimum(precision, recall), np.maximum(precision, recall), color=PALE, linewidth=4, zorder=1)
    for (name, color), score in zip(SCORE_COLORS.items(), scores, strict=True):
        axes.plot(score[order], rows, "D" if name == "F1" else "o", color=color, markersize=6, label=name, zorder=2)
    for row, f1 in zip(rows, scores[2][order], strict=True):
        axes.text(1.01, float(row), f"{f1:.1%}", va="center", color=INK, transform=axes.get_yaxis_transform())
    axes.text(1.01, rows[-1] + 0.65, "F1", va="center", color=INK, weight="bold", transform=axes.get_yaxis_transform())
    labels = {int(row): names[index] for row, index in zip(rows, order, strict=True)}
    if left_out > 0:
        labels[HALF] = f"({left_out} others)"
    axes.set_yticks([*labels], [*labels.values()])
    axes.set_ylim(-0.45, rows[-1] + 0.45)
    show_percent(axes.xaxis)
    axes.set_title(title)
    style_axes(axes, "", "")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure
