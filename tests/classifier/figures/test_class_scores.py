from classifier.figures.class_scores import class_scores_figure
from tests.classifier.figures.helpers import predictions, words


def test_the_scores_are_ordered_by_f1() -> None:
    figure = class_scores_figure(predictions([0, 0, 1, 1, 2, 2], [0, 0, 1, 2, 1, 1]))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["eel", "dog", "cat"]
    assert {"100.0%", "40.0%", "0.0%"} <= set(words(figure))
