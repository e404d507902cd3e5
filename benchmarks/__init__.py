"""Benchmarks: speed of this program, compared with a conventional training loop."""

from classifier.runtime.streams import prepare_streams

WARM_UP = 20  # steps before the measurement of images per second starts

prepare_streams()  # here, so that no benchmark forgets it
