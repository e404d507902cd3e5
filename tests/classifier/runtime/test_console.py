import io
import sys

import pytest

from classifier.runtime import console
from classifier.runtime.console import TrainingBar, log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_training_bar_asks_for_loss_and_accuracy_only_when_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr(console, "REDRAW_SECONDS", 1000.0)
    with TrainingBar(epochs=3, images=100, done=130) as bar:
        assert bar.advance(10), "nothing has been shown yet"
        bar.show(0.5, 0.25)
        assert not bar.advance(10)
        assert bar.bar.n == 150
        bar.start_epoch(3)
    shown = terminal.getvalue()
    assert "epoch 2/3" in shown
    assert "loss 0.500, accuracy 0.250" in shown
    assert "epoch 3/3" in shown


def test_without_a_terminal_a_training_bar_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingBar(epochs=1, images=10) as bar:
        assert not bar.advance(10)
        log("train: a line")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("train: a line\n", "")
