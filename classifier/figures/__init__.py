"""Figures: the pictures of results."""

import os

# Importing matplotlib fails when this names a backend that is not installed here, as a notebook's. Figures need none.
os.environ.pop("MPLBACKEND", None)
