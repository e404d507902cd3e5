"""What people run by hand around the pipeline."""

from classifier.runtime.streams import prepare_streams

prepare_streams()  # here, so that no tool forgets it
