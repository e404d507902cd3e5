import numpy as np
from matplotlib.lines import Line2D

from classifier.figures.learning_curve import learning_curve_figure
from classifier.results.learning_curve import Epoch
from tests.classifier.figures.helpers import words

CURVE = [Epoch(1, 2, 1.8, 0.3, 0.4, 0.1), Epoch(2, 1.5, 1.4, 0.5, 0.6, 0.1), Epoch(3, 1.2, 1.5, 0.6, 0.55, 0.1)]


def points(line: Line2D) -> list[tuple[float, float]]:
    return [(x, y) for x, y in np.asarray(line.get_xydata()).tolist()]


def test_the_learning_curve_draws_both_splits_and_marks_the_best_epoch() -> None:
    figure = learning_curve_figure(CURVE)
    assert "Best epoch 2 of 3: validation accuracy 60.0%" in words(figure)
    for axes, quantity in zip(figure.axes, ("loss", "accuracy"), strict=True):
        training, validation, _, marker = axes.get_lines()
        assert points(training) == [(epoch.epoch, getattr(epoch, f"train_{quantity}")) for epoch in CURVE]
        assert points(validation) == [(epoch.epoch, getattr(epoch, f"validation_{quantity}")) for epoch in CURVE]
        assert points(marker) == [(2, getattr(CURVE[1], f"validation_{quantity}"))]


def test_training_is_dashed_with_hollow_points_and_validation_solid_with_filled_points() -> None:
    for axes in learning_curve_figure(CURVE).axes:
        training, validation, *_ = axes.get_lines()
        assert (training.get_linestyle(), training.get_marker(), training.get_markerfacecolor()) == ("--", "o", "white")
        assert (validation.get_linestyle(), validation.get_marker()) == ("-", "o")
        assert validation.get_markerfacecolor() == validation.get_color()


def test_the_legend_is_short_and_true_of_every_variant() -> None:
    (legend,) = learning_curve_figure(CURVE).legends
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation", "best epoch"]


def test_a_curve_of_one_epoch_has_one_tick() -> None:
    figure = learning_curve_figure(CURVE[:1])
    figure.draw_without_rendering()
    for axes in figure.axes:
        (low, high), ticks = axes.get_xlim(), [tick.get_text() for tick in axes.get_xticklabels()]
        assert (low, high) == (0.5, 1.5)
        assert [tick for tick, place in zip(ticks, axes.get_xticks(), strict=True) if low <= place <= high] == ["1"]
