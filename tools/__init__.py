"""What people run by hand around the pipeline."""

import sys

from classifier.runtime.errors import excepthook
from classifier.runtime.streams import prepare_streams

prepare_streams()  # here, so that no tool forgets it
sys.excepthook = excepthook
