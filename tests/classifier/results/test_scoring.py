import numpy as np
import pytest

from classifier.results.scoring import calibration_error, count_confusions, score

NAMES = ("cat", "dog", "eel")
LABELS = np.array([0, 0, 1, 1])
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.05, 0.8, 0.15], [0.3, 0.6, 0.1], [0.4, 0.35, 0.25]])


def test_the_metrics_of_four_predictions_worked_out_by_hand() -> None:
    metrics = score(LABELS, PROBABILITIES, NAMES, bins=10)
    assert metrics["accuracy"] == 0.5
    assert metrics["loss"] == pytest.approx(-np.log([0.7, 0.05, 0.6, 0.35]).mean())
    assert metrics["top_2_accuracy"] == 0.75
    assert metrics["recall"] == {"cat": 0.5, "dog": 0.5, "eel": 0.0}
    assert metrics["macro_recall"] == pytest.approx(1 / 3)
    assert metrics["balanced_accuracy"] == 0.5, "the class without images does not count"
    assert metrics["macro_precision"] == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert metrics["macro_f1"] == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert metrics["images"] == 4
    # Two bins hold a prediction each whose gap counts: 0.7 right, 0.8 wrong, 0.6 right, 0.4 wrong.
    assert metrics["calibration_error"] == pytest.approx((0.3 + 0.8 + 0.4 + 0.4) / 4)


def test_the_interval_is_wilsons() -> None:
    # Wilson (1927) for 8 of 10 at 95 %, the textbook's 0.490 to 0.943.
    labels = np.zeros(10, dtype=np.int64)
    probabilities = np.tile([0.9, 0.1], (10, 1))
    probabilities[:2] = [0.1, 0.9]
    metrics = score(labels, probabilities, ("a", "b"), bins=10)
    assert metrics["accuracy_low"] == pytest.approx(0.4902, abs=1e-4)
    assert metrics["accuracy_high"] == pytest.approx(0.9433, abs=1e-4)


def test_of_two_classes_the_truth_is_among_the_best_two() -> None:
    assert score(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]), ("a", "b"), bins=10)["top_2_accuracy"] == 1


def test_the_balanced_accuracy_is_the_mean_of_the_recalls_however_many_images_a_class_has() -> None:
    probabilities = np.tile([0.6, 0.4], (100, 1))
    metrics = score(np.arange(100) // 90, probabilities, ("many", "few"), bins=10)
    assert (metrics["accuracy"], metrics["balanced_accuracy"]) == (0.9, 0.5)


def test_a_class_without_images_counts_as_0_and_warns_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    assert score(LABELS, PROBABILITIES, NAMES, bins=10)["recall"]["eel"] == 0
    assert not recwarn


def test_confidence_that_matches_accuracy_is_calibrated() -> None:
    probabilities = np.tile([0.75, 0.25], (4, 1))
    assert calibration_error(np.array([0, 0, 0, 1]), probabilities, bins=10) == pytest.approx(0)
    assert calibration_error(np.array([1, 1, 1, 1]), probabilities, bins=10) == pytest.approx(0.75)


def test_the_calibration_error_of_two_bins() -> None:
    # Bin 0.5 to 0.6: confidence 0.55, accuracy 1. Bin 0.9 to 1, where 1 belongs too: confidence 0.95, accuracy 0.5.
    probabilities = np.array([[0.55, 0.45], [0.9, 0.1], [1.0, 0.0]])
    assert calibration_error(np.array([0, 0, 1]), probabilities, bins=10) == pytest.approx(0.45 / 3 + 2 / 3 * 0.45)


def test_a_confidence_of_1_shares_the_last_bin_and_no_other() -> None:
    # In one bin the gaps of 0.85 (right) and 1 (wrong) would cancel in part; in two they add up.
    probabilities = np.array([[0.85, 0.15], [1.0, 0.0]])
    assert calibration_error(np.array([0, 1]), probabilities, bins=10) == pytest.approx((0.15 + 1) / 2)


def test_confusions_are_counted_for_every_pair_of_classes_in_their_order() -> None:
    assert count_confusions(LABELS, PROBABILITIES, NAMES) == [
        ("cat", "cat", 1),
        ("cat", "dog", 1),
        ("cat", "eel", 0),
        ("dog", "cat", 1),
        ("dog", "dog", 1),
        ("dog", "eel", 0),
        ("eel", "cat", 0),
        ("eel", "dog", 0),
        ("eel", "eel", 0),
    ]
