import numpy as np
import pytest

from classifier.results.certainty import Bin, accuracy_at_coverage, reliability
from classifier.results.predictions import Predictions
from classifier.results.scoring import calibration_error


def random_predictions(images: int) -> Predictions:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.full(4, 0.3), images)
    return Predictions(generator.integers(4, size=images), probabilities, np.array(list("abcd")))


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_the_bins_have_all_images_and_the_calibration_error(bins: int) -> None:
    predictions = random_predictions(500)
    found = reliability(predictions, bins)
    assert [each.low for each in found[1:]] == [each.high for each in found[:-1]]
    assert sum(each.images for each in found) == 500
    filled = [each for each in found if each.confidence is not None and each.accuracy is not None]
    error = sum(each.images * abs(each.confidence - each.accuracy) for each in filled) / 500  # type: ignore[operator]
    assert error == pytest.approx(calibration_error(predictions.labels, predictions.probabilities, bins))


def test_a_bin_without_images_has_no_accuracy_and_certainty_is_in_the_last_bin() -> None:
    found = reliability(Predictions(np.array([0]), np.array([[1.0, 0.0]]), np.array(["a", "b"])), 2)
    assert found == [Bin(0, 0.5, 0, None, None), Bin(0.5, 1, 1, 1, 1)]


def test_coverage_takes_the_most_confident_images_first() -> None:
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.3, 0.7], [0.2, 0.8]])
    found = accuracy_at_coverage(Predictions(np.array([1, 0, 0, 1]), probabilities, np.array(["a", "b"])))
    assert found == [(0.25, 1), (0.5, 1), (0.75, 2 / 3), (1, 0.5)]


def test_coverage_of_many_images_has_few_steps_and_ends_with_the_accuracy() -> None:
    predictions = random_predictions(1234)
    found = accuracy_at_coverage(predictions)
    assert len(found) == 100
    assert found[-1] == (1, (predictions.probabilities.argmax(axis=1) == predictions.labels).mean())
