"""Progress of a training, as a person watches it."""

import time

from torch import Tensor

from classifier.results.learning_curve import Epoch
from classifier.runtime.console import log, progress_bar

REDRAW_AFTER = 0.2  # seconds


class TrainingBar:
    """Shows loss, accuracy, images a second and the time left on a terminal, and a line an epoch anywhere."""

    def __init__(self, name: str, epochs: int, images: int, done: int) -> None:
        self.name = name
        self.epochs = epochs
        self.bar = progress_bar(epochs * images, f"epoch {min(done // images + 1, epochs)}/{epochs}", " images", done)
        self.drawn = 0.0

    def __enter__(self) -> "TrainingBar":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def step(self, images: int, loss: Tensor, accuracy: Tensor) -> None:
        """Count the images of a step; the tensors are read only when the bar is drawn, since on a GPU that means to wait."""
        now = time.monotonic()
        if not self.bar.disable and now - self.drawn > REDRAW_AFTER:
            self.drawn = now
            self.bar.set_postfix_str(f"loss {loss.item():.3f}, accuracy {accuracy.item():.3f}", refresh=False)
        self.bar.update(images)

    def show(self, epoch: Epoch) -> None:
        """Print what came of an epoch."""
        log(
            f"{self.name}: epoch {epoch.epoch}/{self.epochs}: loss {epoch.train_loss:.3f}, "
            f"accuracy {epoch.train_accuracy:.4f}; validation loss {epoch.validation_loss:.3f}, "
            f"accuracy {epoch.validation_accuracy:.4f}"
        )
        self.bar.set_description_str(f"epoch {min(epoch.epoch + 1, self.epochs)}/{self.epochs}")
