import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from classifier.figures.confusion_matrix import confusion_matrix_figure
from tests.classifier.figures.helpers import predictions, words


def shares(figure: Figure) -> NDArray[np.float64]:
    return np.asarray(figure.axes[0].get_images()[0].get_array())


def test_the_confusion_matrix_shows_shares_of_the_true_class_on_a_fixed_scale() -> None:
    figure = confusion_matrix_figure(predictions([0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 0, 2]), most_frequent=2)
    assert figure.axes[0].get_images()[0].get_clim() == (0, 1)
    assert shares(figure).tolist() == [[1 / 3, 2 / 3, 0], [1 / 2, 1 / 2, 0], [0, 0, 1]]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["cat", "dog", "eel"]
    assert {"66.7%\n2", "50.0%\n1", "100.0%\n1", "0", "cat as dog: 2\ndog as cat: 1"} <= set(words(figure))


def test_a_true_class_without_images_is_an_empty_row() -> None:
    figure = confusion_matrix_figure(predictions([0, 0], [0, 1]), most_frequent=0)
    assert shares(figure)[2].tolist() == [0, 0, 0]


def test_a_model_without_mistakes_has_no_confusions() -> None:
    assert "none" in words(confusion_matrix_figure(predictions([0, 1], [0, 1]), most_frequent=3))
