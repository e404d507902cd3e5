"""Schedules: how the learning rate changes during training."""

import math

from classifier.params import Schedule


def rate_factor(schedule: Schedule, progress: float) -> float:
    """Return the factor of the learning rate, 0 to 1, after this share of all steps, 0 to 1.

    constant
        Always 1.
    linear
        From 1 to 0 in a straight line.
    cosine
        From 1 to 0 along half a cosine (Loshchilov and Hutter, "SGDR", 2016, equation 5 without restarts).
    """
    match schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1 - progress
        case "cosine":
            return (1 + math.cos(math.pi * progress)) / 2
