from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from classifier.figures.class_scores import class_scores_figure
from classifier.figures.confusion_matrix import confusion_matrix
from classifier.figures.learning_curve import learning_curve
from classifier.figures.mistakes import mistakes
from classifier.results.learning_curve import Epoch
from classifier.results.predictions import Predictions, load_predictions, save_predictions

CURVE = [Epoch(1, 2, 1.8, 0.3, 0.4, 0.1), Epoch(2, 1.5, 1.4, 0.5, 0.6, 0.1), Epoch(3, 1.2, 1.5, 0.6, 0.55, 0.1)]


def predictions(labels: list[int], predicted: list[int], channels: int = 3) -> Predictions:
    """Predictions whose confidence falls from image to image."""
    probabilities = np.zeros((len(labels), 3))
    for place, choice in enumerate(predicted):
        probabilities[place] = 0.05 + 0.01 * place
        probabilities[place, choice] = 1 - 2 * (0.05 + 0.01 * place)
    mistakes = np.flatnonzero(np.array(labels) != np.array(predicted))
    images = np.zeros((len(mistakes), 4, 4, channels), dtype=np.uint8)
    return Predictions(np.array(labels), probabilities, np.array(["cat", "dog", "eel"]), mistakes, images)


def words(figure: Figure) -> list[str]:
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_text()]  # type: ignore[attr-defined]


def points(line: Line2D) -> list[tuple[float, float]]:
    return [(x, y) for x, y in np.asarray(line.get_xydata()).tolist()]


def shares(figure: Figure) -> NDArray[np.float64]:
    return np.asarray(figure.axes[0].get_images()[0].get_array())


def test_the_learning_curve_draws_both_splits_and_marks_the_best_epoch() -> None:
    figure = learning_curve(CURVE)
    assert "Best epoch 2 of 3: validation accuracy 60.0%" in words(figure)
    for axes, quantity in zip(figure.axes, ("loss", "accuracy"), strict=True):
        training, validation, _, marker = axes.get_lines()
        assert points(training) == [(epoch.epoch, getattr(epoch, f"train_{quantity}")) for epoch in CURVE]
        assert points(validation) == [(epoch.epoch, getattr(epoch, f"validation_{quantity}")) for epoch in CURVE]
        assert points(marker) == [(2, getattr(CURVE[1], f"validation_{quantity}"))]


def test_the_confusion_matrix_shows_shares_of_the_true_class_on_a_fixed_scale() -> None:
    figure = confusion_matrix(predictions([0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 0, 2]), most_frequent=2)
    assert figure.axes[0].get_images()[0].get_clim() == (0, 1)
    assert shares(figure).tolist() == [[1 / 3, 2 / 3, 0], [1 / 2, 1 / 2, 0], [0, 0, 1]]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["cat", "dog", "eel"]
    assert {"66.7%\n2", "50.0%\n1", "100.0%\n1", "0", "cat as dog: 2\ndog as cat: 1"} <= set(words(figure))


def test_a_true_class_without_images_is_an_empty_row() -> None:
    figure = confusion_matrix(predictions([0, 0], [0, 1]), most_frequent=0)
    assert shares(figure)[2].tolist() == [0, 0, 0]


def test_the_scores_are_ordered_by_f1() -> None:
    figure = class_scores_figure(predictions([0, 0, 1, 1, 2, 2], [0, 0, 1, 2, 1, 1]))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["eel", "dog", "cat"]
    assert {"100.0%", "40.0%", "0.0%"} <= set(words(figure))


def test_the_gallery_shows_the_most_confident_mistakes_first() -> None:
    figure = mistakes(predictions([0, 1, 2, 0], [1, 1, 0, 2]), most=2)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["cat\ndog 90.0%", "eel\ncat 86.0%"]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gallery_takes_grey_images_and_fewer_mistakes_than_places(channels: int) -> None:
    figure = mistakes(predictions([0], [1], channels), most=24)
    figure.canvas.draw()
    assert len(figure.axes) == 1


def test_the_title_of_a_gallery_of_one_mistake_is_not_cut_off() -> None:
    figure = mistakes(predictions([0], [1]), most=24)
    figure.canvas.draw()
    (title,) = figure.texts
    assert title.get_text().startswith("The most confident")
    assert 0 <= title.get_window_extent().x0 < title.get_window_extent().x1 <= figure.bbox.width


def test_a_model_without_mistakes_has_a_picture_that_says_so() -> None:
    assert "No mistakes" in words(mistakes(predictions([0, 1], [0, 1]), most=24))
    assert "none" in words(confusion_matrix(predictions([0, 1], [0, 1]), most_frequent=3))


def test_predictions_come_back_from_their_file(tmp_path: Path) -> None:
    before = predictions([0, 1, 2], [1, 1, 0])
    save_predictions(before, tmp_path / "predictions.npz")
    after = load_predictions(tmp_path / "predictions.npz")
    assert all(np.array_equal(value, getattr(after, name)) for name, value in vars(before).items())
