"""Benchmarks: speed of this program, compared with the ordinary way of training."""

WARM_UP = 20  # steps before the measurement of images per second starts
