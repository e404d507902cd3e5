"""Console output: log lines that appear immediately, and progress bars on a terminal."""

import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Never

from tqdm import tqdm

REDRAW_SECONDS = 0.2
BARS = "▁▂▃▄▅▆▇█"
MOST_COLUMNS = 100  # of a curve with its label
LINE_SECONDS = 30.0  # between two lines of a training run without a terminal


def log(line: str) -> None:
    """Print a line at once, above a progress bar if there is one."""
    tqdm.write(line)
    sys.stdout.flush()


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: `1 epoch`, `15 epochs`, `45,000 images`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def progress_bar(total: int, description: str, unit: str, done: int = 0) -> "tqdm[Never]":
    """Make a progress bar on standard error that starts at `done`; it is shown on a terminal only."""
    return tqdm(
        total=total,
        initial=done,
        desc=description,
        unit=unit,
        unit_scale=True,
        disable=not sys.stderr.isatty(),
        leave=False,
        dynamic_ncols=True,
    )


def sparkline(values: Sequence[float], width: int) -> str:
    """Draw numbers as bars of eight heights, from the smallest to the largest; too many ones as a mean for each bar."""
    columns = min(len(values), width)
    bounds = [len(values) * column // columns for column in range(columns + 1)]
    means = [sum(values[start:end]) / (end - start) for start, end in pairwise(bounds)]
    low, high = min(means), max(means)
    return "".join(BARS[round((mean - low) / (high - low or 1) * (len(BARS) - 1))] for mean in means)


def log_curve(label: str, values: Sequence[float]) -> None:
    """Print numbers as a small curve between the first and the last one, on a terminal that can show it."""
    if not sys.stdout.isatty():
        return
    start, end = f"{label} {values[0]:.4f} ", f" {values[-1]:.4f}"
    width = min(shutil.get_terminal_size().columns, MOST_COLUMNS) - len(start) - len(end)
    with suppress(UnicodeEncodeError):
        BARS.encode(sys.stdout.encoding or "ascii")
        if len(values) > 1 and width > 0:
            log(start + sparkline(values, width) + end)


class TrainingBar:
    """Progress of a training run: epoch, loss, accuracy, images per second and the time left.

    It is a progress bar on a terminal, and elsewhere a line every 30 seconds.

    Parameters
    ----------
    epochs
        Number of epochs of the whole run.
    images
        Number of images per epoch.
    done
        Number of images already processed, when the run resumes.
    """

    def __init__(self, epochs: int, images: int, done: int = 0) -> None:
        self.epochs, self.images = epochs, images
        self.first = self.done = done
        self.bar = progress_bar(epochs * images, "", " images", done)
        self.started = time.monotonic()
        self.shown = self.started if self.bar.disable else float("-inf")
        self._describe()

    def __enter__(self) -> "TrainingBar":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the bar."""
        self.bar.close()

    def advance(self, images: int) -> bool:
        """Count the images of a step; return whether progress is due to be shown, for which it needs `show`.

        In between, loss and accuracy need not be read, which on a GPU would mean to wait for the step to end.
        """
        self.done += images
        self.bar.update(images)
        return time.monotonic() - self.shown > (LINE_SECONDS if self.bar.disable else REDRAW_SECONDS)

    def show(self, loss: float, accuracy: float) -> None:
        """Show the mean loss and accuracy of the epoch so far."""
        self.shown = time.monotonic()
        self.bar.set_postfix_str(f"loss {loss:.3f}, accuracy {accuracy:.3f}")
        if self.bar.disable:
            epoch = -(-self.done // self.images)
            rate = (self.done - self.first) / (self.shown - self.started)
            log(
                f"train: epoch {epoch}/{self.epochs}, {self.done - (epoch - 1) * self.images:,} of {self.images:,} images: "
                f"loss {loss:.3f}, accuracy {accuracy:.4f}; {rate:,.0f} images/s, "
                f"{tqdm.format_interval((self.epochs * self.images - self.done) / rate)} left"
            )

    def end_epoch(self) -> None:
        """Show the number of the next epoch; the end of an epoch has a line of its own."""
        self.shown = time.monotonic()
        self._describe()

    def _describe(self) -> None:
        self.bar.set_description_str(f"epoch {min(self.done // self.images + 1, self.epochs)}/{self.epochs}")
