from typing import Any

import numpy as np
import pytest

from classifier.figures.trade_off import trade_off_figure
from classifier.results.comparison import Row
from tests.classifier.figures.helpers import assert_readable


def row(name: str, accuracy: float, seconds: float, **values: Any) -> Row:
    """A row of one training, or of several if it has a spread."""
    interval = {"test_accuracy_low": accuracy - 0.01, "test_accuracy_high": accuracy + 0.01, "test_accuracy_spread": None}
    known = {"seeds": 1, "best_epoch": 3, "training_accuracy": None, "validation_accuracy": 0.7, "gap": None}
    return Row(name=name, test_accuracy=accuracy, seconds=seconds, **{"parameters": 919_930, **known, **interval, **values})


STUDY = [row("initial", 0.75, 466), row("batchnorm", 0.78, 479), row("augmented", 0.843, 537), row("speedrun", 0.82, 7)]


def test_each_row_is_a_point_with_its_interval() -> None:
    (axes,) = trade_off_figure(STUDY, "seconds").axes
    assert [line.get_xydata().tolist() for line in axes.get_lines()] == [[[each.seconds, each.test_accuracy]] for each in STUDY]  # type: ignore[union-attr]
    assert [line.get_marker() for line in axes.get_lines()] == ["o", "s", "^", "D"]
    segments = [collection.get_segments()[0] for collection in axes.collections]  # type: ignore[attr-defined]
    assert np.array(segments)[:, :, 1] == pytest.approx(
        np.array([[each.test_accuracy - 0.01, each.test_accuracy + 0.01] for each in STUDY])
    )


def test_several_seeds_have_their_standard_deviation() -> None:
    none: dict[str, Any] = {"test_accuracy_low": None, "test_accuracy_high": None}
    (axes,) = trade_off_figure([row("initial", 0.75, 466, **none, test_accuracy_spread=0.02)], "seconds").axes
    (segment,) = axes.collections[0].get_segments()  # type: ignore[attr-defined]
    assert segment[:, 1] == pytest.approx([0.73, 0.77])


@pytest.mark.parametrize("quantity", ["seconds", "parameters"])
def test_names_stand_beside_their_points_without_overlap(quantity: Any) -> None:
    figure = trade_off_figure(STUDY, quantity)
    assert_readable(figure)
    assert [text.get_text() for text in figure.axes[0].texts] == ["initial", "batchnorm", "augmented", "speedrun"]


def test_a_name_without_room_is_left_out() -> None:
    same = [row(f"variant-{number}", 0.75, 466) for number in range(5)]
    figure = trade_off_figure([*same, row("W" * 40, 0.8, 100)], "seconds")
    assert_readable(figure)
    assert len(figure.axes[0].texts) <= 2
