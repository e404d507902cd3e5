import json
from typing import Any

import pytest

from classifier.params import read_yaml
from classifier.results.model_card import model_card
from tests.conftest import ROOT

CONFUSIONS = [("a|b", "a|b", 8), ("a|b", "c", 2), ("a|b", "never", 0), ("c", "a|b", 1), ("c", "c", 4), ("c", "never", 0)]
CONFUSIONS += [("never", "a|b", 0), ("never", "c", 0), ("never", "never", 0)]


@pytest.fixture
def metrics() -> tuple[dict[str, Any], dict[str, Any]]:
    train, test = (json.loads((ROOT / f"metrics/{name}.json").read_text(encoding="utf-8")) for name in ("train", "test"))
    return train, test


def card(train: dict[str, Any], test: dict[str, Any]) -> str:
    lock = read_yaml(ROOT / "dvc.lock")
    return model_card("mine", lock, train, test, CONFUSIONS, "1.2.3", "make variant NAME=mine")


def test_a_card_says_what_the_revision_recorded(metrics: tuple[dict[str, Any], dict[str, Any]]) -> None:
    train, test = metrics
    train |= {"training_images": 45000, "validation_images": 5000}
    test |= {
        "accuracy": 0.8428,
        "accuracy_low": 0.8355,
        "accuracy_high": 0.8498,
        "calibration_error": 0.0428,
        "temperature": 1.25,
    }
    text = card(train, test)
    for line in (
        "# Model card: mine",
        "| data set | cifar10 |",
        "| classes | 3 |",
        "| training images | 45,000 |",
        "| test images | 10,000 |",
        "| accuracy | 84.3% (95 % interval 83.5% to 85.0%) |",
        "| calibration error | 4.3% |",
        "| temperature | 1.25 |",
        "| a\\|b | 10 | 88.9% | 80.0% | 84.2% |",
        "| c | 5 | 66.7% | 80.0% | 72.7% |",
        "| never | 0 | - | - | - |",
        "| train.learning_rate | 0.001 |",
        "| program | 1.2.3 |",
        "make variant NAME=mine",
    ):
        assert f"\n{line}\n" in f"\n{text}", line
    assert "data.sources" not in text, "places on a machine decide nothing"


def test_what_older_versions_did_not_record_is_left_out(metrics: tuple[dict[str, Any], dict[str, Any]]) -> None:
    train, test = metrics
    for values in (train, test):
        for key in ("training_images", "validation_images", "training_accuracy", "balanced_accuracy", "temperature", "views"):
            values.pop(key, None)
    text = card(train, test)
    assert "training images" not in text
    assert "balanced accuracy" not in text
    assert "| views of each image | plain |" in text


def test_names_cannot_break_the_page(metrics: tuple[dict[str, Any], dict[str, Any]]) -> None:
    odd = "<b>`x`\n| y"
    text = model_card(odd, read_yaml(ROOT / "dvc.lock"), *metrics, [(odd, odd, 1)], "1", "make repro")
    assert "| \\<b>\\`x\\` \\| y | 1 | 100.0% | 100.0% | 100.0% |" in text
    assert "# Model card: \\<b>\\`x\\` \\| y\n" in text
