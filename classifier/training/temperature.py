"""Temperature: the factor by which the logits are divided, so that confidence matches accuracy."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import softmax
from torch import Tensor

LOWEST, HIGHEST = 0.1, 10.0


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature with the lowest mean cross-entropy: Guo et al., "On Calibration of Modern Neural Networks" (2017).

    The cross-entropy is a convex function of the inverse of the temperature, so that one root of its derivative is looked for.
    It is computed in float64: the same logits give the same temperature.

    Parameters
    ----------
    logits
        float32 [N, classes], of images that were not trained on.
    labels
        int64 [N].

    Returns
    -------
    temperature
        0.1 to 10; more than 1 makes the network less confident. 1 where every image is classified correctly: the lower the
        temperature, the lower the cross-entropy would be.
    """
    values: NDArray[np.float64] = logits.double().cpu().numpy()
    of_label = values[np.arange(len(values)), labels.cpu().numpy()]
    if (of_label == values.max(axis=1)).all():
        return 1.0

    def derivative(inverse: float) -> float:
        return float(((softmax(inverse * values, axis=1) * values).sum(axis=1) - of_label).mean())

    if derivative(1 / LOWEST) <= 0:
        return LOWEST
    if derivative(1 / HIGHEST) >= 0:
        return HIGHEST
    return 1 / float(brentq(derivative, 1 / HIGHEST, 1 / LOWEST))
