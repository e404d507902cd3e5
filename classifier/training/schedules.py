"""Schedules: how the learning rate changes while a training goes on."""

import math

from classifier.params import Schedule


def rate_factor(schedule: Schedule, progress: float) -> float:
    """Return what the learning rate is multiplied by when this share of all steps, 0 to 1, has been done.

    constant
        1 all the way.
    linear
        From 1 down to 0 in a straight line.
    cosine
        From 1 down to 0 along half a cosine (Loshchilov and Hutter, "SGDR", 2016, equation 5 without restarts).
    """
    match schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1 - progress
        case "cosine":
            return (1 + math.cos(math.pi * progress)) / 2
