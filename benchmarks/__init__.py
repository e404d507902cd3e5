"""Benchmarks: speed of this program, compared with a conventional training loop."""

WARM_UP = 20  # steps before the measurement of images per second starts
