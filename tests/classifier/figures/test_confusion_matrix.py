import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from classifier.figures.confusion_matrix import confusion_matrix_figure
from tests.classifier.figures.helpers import EACH, NAMES, assert_readable, of_classes, predictions, words


def shares(figure: Figure) -> NDArray[np.float64]:
    return np.asarray(figure.axes[0].get_images()[0].get_array())


def test_the_confusion_matrix_shows_shares_of_the_true_class_on_a_fixed_scale() -> None:
    figure = confusion_matrix_figure(predictions([0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 0, 2]), most_frequent=2)
    assert figure.axes[0].get_images()[0].get_clim() == (0, 1)
    assert shares(figure).tolist() == [[1 / 3, 2 / 3, 0], [1 / 2, 1 / 2, 0], [0, 0, 1]]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["cat", "dog", "eel"]
    assert {"66.7%\n2", "50.0%\n1", "100.0%\n1", "0"} <= set(words(figure))
    assert {"cat taken for dog: 2 times", "dog taken for cat: once"} <= set(words(figure))


def test_a_true_class_without_images_is_an_empty_row() -> None:
    figure = confusion_matrix_figure(predictions([0, 0], [0, 1]), most_frequent=0)
    assert shares(figure)[2].tolist() == [0, 0, 0]


def test_a_model_without_mistakes_has_no_confusions() -> None:
    assert "none" in words(confusion_matrix_figure(predictions([0, 1], [0, 1]), most_frequent=3))


@pytest.mark.parametrize("names", EACH)
def test_every_text_is_readable_with_any_number_of_classes_and_any_length_of_names(names: list[str]) -> None:
    figure = confusion_matrix_figure(of_classes(names), most_frequent=8)
    assert_readable(figure)
    matrix = figure.axes[0]
    first, second, *_ = matrix.get_xticklabels()
    angle, pixels = math.radians(first.get_rotation()), figure.dpi / 72
    distance = second.get_window_extent().x1 - first.get_window_extent().x1
    assert not angle or distance * math.sin(angle) >= 1.1 * float(first.get_fontsize()) * pixels
    cell = matrix.bbox.width / len(names)
    for number in matrix.texts:
        assert max(number.get_window_extent().size) <= cell
    assert min(float(text.get_fontsize()) for text in [first, *matrix.texts]) >= 5


def test_without_room_for_numbers_the_classes_with_the_lowest_recall_are_listed() -> None:
    few, many = (confusion_matrix_figure(of_classes(NAMES[names]), most_frequent=8) for names in ("30", "100"))
    assert len(few.axes[0].texts) == 30 * 30
    assert len(many.axes[0].texts) == 0
    assert len(many.axes[0].get_xticklabels()) == 100
    assert "Classes with the lowest recall" not in words(few)
    assert {"Classes with the lowest recall", "baby: 50.0%", "sea: 50.0%"} <= set(words(many))
    assert not {"aquarium_fish: 100.0%", "class 94: 50.0%"} & set(words(many))


def test_classes_without_room_are_not_named() -> None:
    figure = confusion_matrix_figure(of_classes(NAMES["300"]), most_frequent=8)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:3] == ["aquarium_0", "aquarium_3", "aquarium_6"]


@pytest.mark.parametrize("names", ["CIFAR-10", "10 of 30 letters"])
def test_the_lines_of_a_list_have_the_same_distance(names: str) -> None:
    figure = confusion_matrix_figure(of_classes(NAMES[names]), most_frequent=40)
    heights = [float(text.get_position()[1]) for text in figure.texts]
    assert len(heights) >= 6
    assert np.allclose(np.diff(heights), heights[1] - heights[0])
    assert {text.get_verticalalignment() for text in figure.texts} == {"baseline"}
