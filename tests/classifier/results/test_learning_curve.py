from pathlib import Path

import pytest

from classifier.results.learning_curve import Epoch, best_epoch, load_curve, save_curve
from classifier.runtime.errors import InputError


def epoch(number: int, accuracy: float, loss: float) -> Epoch:
    return Epoch(number, 1.5, loss, 0.5, accuracy, 0.001)


def test_the_best_epoch_is_that_of_the_highest_validation_accuracy() -> None:
    assert best_epoch([epoch(1, 0.5, 0.1), epoch(2, 0.7, 0.9), epoch(3, 0.6, 0.2)]).epoch == 2


def test_of_equals_the_lower_loss_wins_and_then_the_earlier_epoch() -> None:
    assert best_epoch([epoch(1, 0.7, 0.9), epoch(2, 0.7, 0.8), epoch(3, 0.7, 0.8)]).epoch == 2


def test_a_curve_comes_back_from_its_file(tmp_path: Path) -> None:
    curve = [epoch(1, 0.25, 2), epoch(2, 0.5, 1)]
    save_curve(curve, tmp_path / "curve.csv")
    assert (tmp_path / "curve.csv").read_text() == (
        "epoch,train_loss,validation_loss,train_accuracy,validation_accuracy,learning_rate\n"
        "1,1.5,2,0.5,0.25,0.001\n2,1.5,1,0.5,0.5,0.001\n"
    )
    assert load_curve(tmp_path / "curve.csv") == curve


@pytest.mark.parametrize("text", ["", "epoch,train_loss\n1,2\n", "epoch,train_loss,validation_loss\n"])
def test_a_damaged_curve_says_which_stage_to_run(tmp_path: Path, text: str) -> None:
    (tmp_path / "curve.csv").write_text(text)
    with pytest.raises(InputError, match=r"curve\.csv: damaged .*dvc repro --force train"):
        load_curve(tmp_path / "curve.csv")
