import numpy as np

from classifier.results.predictions import Predictions
from classifier.results.refusal import Refusal, refusals


def test_the_images_below_the_threshold_are_refused_and_the_rest_scored() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.5, 0.5]])
    predictions = Predictions(np.array([0, 1, 1, 0]), probabilities, np.array(["a", "b"]))
    assert refusals(predictions, [0.95, 0.6, 0.0, 0.6, 0.7]) == [
        Refusal(0.0, 0.0, 0.75),
        Refusal(0.6, 0.25, 2 / 3),
        Refusal(0.7, 0.5, 1.0),
        Refusal(0.95, 1.0, None),
    ]
