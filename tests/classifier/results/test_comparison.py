import pytest

from classifier.figures.comparison import learning_curves
from classifier.results.comparison import Result, as_markdown, as_values, compare
from classifier.results.learning_curve import Epoch


def result(accuracy: float, best: int = 2) -> Result:
    curve = [Epoch(number, 1.0, 1.0, 0.9, 0.8 if number == best else 0.7, 0.001) for number in (1, 2, 3)]
    test = {"accuracy": accuracy, "accuracy_low": accuracy - 0.01, "accuracy_high": accuracy + 0.01}
    return Result(curve, {"parameters": 1234, "seconds": 60.0 + best}, test)


def test_a_single_training_has_its_interval() -> None:
    assert as_values(compare({"initial": [result(0.75)]})) == [
        {
            "name": "initial",
            "seeds": 1,
            "test_accuracy": 0.75,
            "test_accuracy_low": 0.74,
            "test_accuracy_high": 0.76,
            "best_epoch": 2,
            "training_accuracy": 0.9,
            "validation_accuracy": 0.8,
            "gap": pytest.approx(0.1),
            "parameters": 1234,
            "seconds": 62,
        }
    ]


def test_several_seeds_have_their_mean_their_standard_deviation_and_their_number() -> None:
    (row,) = compare({"augmented": [result(0.83), result(0.84, best=3), result(0.85)]})
    assert row.test_accuracy == pytest.approx(0.84)
    assert row.test_accuracy_spread == pytest.approx(0.01)
    assert (row.seeds, row.test_accuracy_low) == (3, None)
    assert row.best_epoch == pytest.approx(7 / 3)


def test_the_table_in_markdown() -> None:
    rows = compare({"initial": [result(0.75)], "augmented": [result(0.83), result(0.85)]})
    assert as_markdown(rows) == (
        "| variant | test accuracy | best epoch | training | validation | gap | parameters | seconds |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| initial | 75.0% (74.0% to 76.0%) | 2 | 90.0% | 80.0% | +10.0 | 1,234 | 62 |\n"
        "| augmented | 84.0% (± 1.41, n = 2) | 2 | 90.0% | 80.0% | +10.0 | 1,234 | 62 |\n"
    )


def test_every_curve_is_drawn_training_dashed_and_validation_solid_in_the_colour_of_its_group() -> None:
    figure = learning_curves({"initial": [result(0.75)], "augmented": [result(0.83), result(0.85)]})
    for axes in figure.axes:
        lines = [line for line in axes.get_lines() if line.get_linestyle() in ("-", "--")]
        assert [line.get_linestyle() for line in lines] == ["--", "-"] * 3
        assert [line.get_color() for line in lines[2:]] == [lines[2].get_color()] * 4
        assert lines[0].get_color() != lines[2].get_color()
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["initial", "augmented", "training", "validation", "best epoch"]
