import numpy as np

from classifier.figures.certainty import coverage_figure, reliability_figure
from classifier.results.certainty import accuracy_at_coverage, reliability
from tests.classifier.figures.helpers import assert_readable, predictions
from tests.classifier.figures.test_learning_curve import points

FOUND = predictions([0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 0, 2])


def test_the_reliability_diagram_has_accuracy_and_number_of_images_at_each_confidence() -> None:
    figure = reliability_figure({"older": None, "initial": FOUND}, 10)
    assert_readable(figure)
    shares, counts = figure.axes
    diagonal, line = shares.get_lines()
    bins = [each for each in reliability(FOUND, 10) if each.images]
    assert diagonal.get_linestyle() == "-", "dashes mean training"
    assert points(line) == [(each.confidence, each.accuracy) for each in bins]
    assert points(counts.get_lines()[0]) == [(each.confidence, each.images) for each in bins]
    assert (line.get_marker(), line.get_gid()) == ("s", "revision-1-accuracy")


def test_the_accuracy_is_drawn_against_the_share_of_the_most_confident_images() -> None:
    figure = coverage_figure({"initial": FOUND, "older": None})
    assert_readable(figure)
    (axes,) = figure.axes
    (line,) = axes.get_lines()
    assert points(line) == accuracy_at_coverage(FOUND)
    assert points(line)[-1] == (1, 0.5)
    assert np.all(np.diff(np.asarray(line.get_xdata())) > 0)
    assert [text.get_text() for text in axes.texts] == ["initial"]
