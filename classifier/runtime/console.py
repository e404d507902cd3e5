"""Console output: log lines that appear immediately, and progress bars on a terminal."""

import sys
import time
from typing import Never

from tqdm import tqdm

REDRAW_SECONDS = 0.2


def log(line: str) -> None:
    """Print a line at once, above a progress bar if there is one."""
    tqdm.write(line)
    sys.stdout.flush()


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


class TrainingBar:
    """Progress bar of a training run: epoch, loss, accuracy, images per second and the time left.

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
        self.epochs = epochs
        self.bar = progress_bar(epochs * images, "", " images", done)
        self.start_epoch(done // images + 1)
        self.drawn = 0.0

    def __enter__(self) -> "TrainingBar":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def advance(self, images: int) -> bool:
        """Count the images of a step; return whether the bar is due to be redrawn, for which it needs `show`.

        Between redraws, loss and accuracy need not be read, which on a GPU would mean to wait for the step to end.
        """
        self.bar.update(images)
        return not self.bar.disable and time.monotonic() - self.drawn > REDRAW_SECONDS

    def show(self, loss: float, accuracy: float) -> None:
        """Redraw the bar with the mean loss and accuracy of the epoch so far."""
        self.drawn = time.monotonic()
        self.bar.set_postfix_str(f"loss {loss:.3f}, accuracy {accuracy:.3f}")

    def start_epoch(self, epoch: int) -> None:
        """Show the number of the current epoch, counted from 1."""
        self.bar.set_description_str(f"epoch {min(epoch, self.epochs)}/{self.epochs}")
