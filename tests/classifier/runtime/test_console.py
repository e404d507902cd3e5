import io
import sys

import pytest

from classifier.runtime import console
from classifier.runtime.console import TrainingBar, counted, log, log_curve


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_a_training_bar_asks_for_loss_and_accuracy_only_when_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr(console, "REDRAW_SECONDS", 1e9)
    with TrainingBar(epochs=3, images=100, done=130) as bar:
        assert bar.advance(10), "nothing has been shown yet"
        bar.show(0.5, 0.25)
        assert not bar.advance(10)
        assert bar.bar.n == 150
        assert not bar.advance(50)
        bar.end_epoch()
    shown = terminal.getvalue()
    assert "epoch 2/3" in shown
    assert "loss 0.500, accuracy 0.250" in shown
    assert "epoch 3/3" in shown


def test_without_a_terminal_a_training_bar_shows_a_line_when_there_was_none_for_30_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with TrainingBar(epochs=3, images=5000, done=6000) as bar:
        now += 29
        assert not bar.advance(1000)
        now += 11
        assert bar.advance(1000)
        bar.show(0.5, 0.25)
        line = "train: epoch 2/3, 3,000 of 5,000 images: loss 0.500, accuracy 0.2500; 50 images/s, 02:20 left\n"
        assert capsys.readouterr().out == line
        now += 20
        assert not bar.advance(2000)
        bar.end_epoch()
        now += 20
        assert not bar.advance(1000), "the line of the epoch came 20 seconds ago"
        now += 20
        assert bar.advance(4000)
        bar.show(0.5, 0.25)
        assert capsys.readouterr().out.startswith("train: epoch 3/3, 5,000 of 5,000 images: ")


def test_without_a_terminal_a_short_training_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingBar(epochs=1, images=10) as bar:
        assert not bar.advance(10)
        log("train: a line")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("train: a line\n", "")


@pytest.mark.parametrize(("count", "text"), [(0, "0 epochs"), (1, "1 epoch"), (15, "15 epochs"), (45000, "45,000 epochs")])
def test_a_count_has_a_noun_in_its_number(count: int, text: str) -> None:
    assert counted(count, "epoch") == text


def curve(monkeypatch: pytest.MonkeyPatch, values: list[float], columns: int = 80, encoding: str = "utf-8") -> str:
    """What `log_curve` prints on a terminal of this width."""
    terminal = type("Console", (Terminal,), {"encoding": encoding})()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    log_curve("accuracy", values)
    return str(terminal.getvalue())


def test_a_curve_on_a_terminal_rises_from_its_smallest_to_its_largest_value(monkeypatch: pytest.MonkeyPatch) -> None:
    assert curve(monkeypatch, [0.1, 0.2, 0.3, 0.8]) == "accuracy 0.1000 ▁▂▃█ 0.8000\n"
    assert curve(monkeypatch, [0.5, 0.5]) == "accuracy 0.5000 ▁▁ 0.5000\n"


def test_a_curve_of_many_values_fits_into_a_narrow_window(monkeypatch: pytest.MonkeyPatch) -> None:
    line = curve(monkeypatch, [value / 1000 for value in range(1000)], columns=31)
    assert line == "accuracy 0.0000 ▁▂▃▄▅▆▇█ 0.9990\n"
    assert curve(monkeypatch, [0.0, 1.0], columns=20) == ""


def test_a_curve_is_left_out_where_it_cannot_be_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curve(monkeypatch, [0.5]) == "", "a single value"
    assert curve(monkeypatch, [0.0, 1.0], encoding="ascii") == ""
    monkeypatch.undo()
    log_curve("accuracy", [0.0, 1.0])
    assert capsys.readouterr().out == "", "no terminal"
