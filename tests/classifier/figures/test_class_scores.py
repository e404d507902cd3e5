import pytest

from classifier.figures.class_scores import class_scores_figure
from tests.classifier.figures.helpers import EACH, NAMES, assert_readable, of_classes, predictions, words


def test_the_scores_are_ordered_by_f1() -> None:
    figure = class_scores_figure(predictions([0, 0, 1, 1, 2, 2], [0, 0, 1, 2, 1, 1]))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["eel", "dog", "cat"]
    assert {"100.0%", "40.0%", "0.0%"} <= set(words(figure))


@pytest.mark.parametrize("names", EACH)
def test_every_text_is_readable_with_any_number_of_classes_and_any_length_of_names(names: list[str]) -> None:
    figure = class_scores_figure(of_classes(names))
    assert_readable(figure)
    assert figure.axes[0].bbox.width > 0.4 * figure.bbox.width


def test_of_many_classes_the_best_and_the_worst_are_shown() -> None:
    figure = class_scores_figure(of_classes(NAMES["100"]))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    order = sorted(figure.axes[0].get_yticks())
    assert order == list(range(41))
    assert len(labels) == 41
    assert "(60 others)" in labels
    assert "Scores of the 20 best and 20 worst of 100 classes" in words(figure)
    f1 = figure.axes[0].get_lines()[2]
    rows = [int(row) for row in f1.get_ydata()]  # type: ignore[union-attr,arg-type]
    values = [float(value) for value in f1.get_xdata()]  # type: ignore[union-attr,arg-type]
    assert rows == [*range(20), *range(21, 41)]
    assert values == sorted(values)
