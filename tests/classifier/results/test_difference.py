import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.results.comparison import Result
from classifier.results.difference import (
    Difference,
    as_markdown,
    as_values,
    changes,
    differences,
    holm,
    mcnemar,
    missing_seeds,
    paired,
    paired_interval,
    sentence,
    unpaired,
    welch,
)
from classifier.results.predictions import Predictions


def predictions(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int = 2) -> Predictions:
    return Predictions(labels, np.eye(classes)[predicted], np.array(["cat", "dog", "owl"][:classes]))


def result(
    revision: str, accuracy: float, seed: int = 0, *, stored: bool = True, split: str = "test", labels: int = 0
) -> Result:
    """A training that has the first images right, of 1,000 of two classes in turn."""
    params = {"network": {"design": revision.partition("-seed-")[0]}, "train": {"seed": seed}}
    train: dict[str, Any] = {"params": {"params.yaml": params}, "outs": []}
    evaluate = {"deps": [{"path": "data/processed/test.safetensors", "md5": split}], "outs": []}
    actual = (np.arange(1000) + labels) % 2
    predicted = np.where(np.arange(1000) < round(1000 * accuracy), actual, 1 - actual)
    made = predictions(actual, predicted) if stored else None
    test = {"accuracy": accuracy, "images": 1000}
    return Result(revision, {"stages": {"train": train, "evaluate": evaluate}}, [], {}, test, made)


def difference(*rows: Sequence[Result]) -> Difference:
    (found,) = differences({row[0].revision: row for row in rows})
    return found


def test_mcnemar_is_exact() -> None:
    np.testing.assert_allclose(mcnemar([0, 3, 0, 10, 2], [0, 3, 5, 2, 10]), [1, 1, 2 / 2**5, 158 / 2**12, 158 / 2**12])


def test_holm_corrects_each_for_the_tests_that_are_left_and_keeps_their_order() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005, 0.9])), [0.04, 0.09, 0.09, 0.025, 0.9])


def test_welch_on_the_sleep_of_ten_patients() -> None:
    """Student's data of 1908, as R's t.test(extra ~ group, data = sleep) prints them."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    expected = {"difference": 1.58, "low": -0.2054832, "high": 3.3654832, "p": 0.07939}
    assert welch(first, second) == pytest.approx(expected, abs=5e-6)


def test_an_unpaired_interval_is_that_of_newcombe() -> None:
    """His first example: table II, method 10."""
    assert unpaired((48, 80), (56, 70)) == pytest.approx({"difference": 0.2, "low": 0.0524, "high": 0.3339}, abs=5e-5)


def test_the_bootstrap_is_that_over_images() -> None:
    gains = np.repeat([1, -1, 0], [40, 25, 335])
    resampled = np.random.default_rng(1).choice(gains, (10_000, 400)).mean(axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    expected = {"difference": 15 / 400, "low": low, "high": high}
    assert paired_interval(25, 40, 400) == pytest.approx(expected, abs=0.0026)  # one image
    mirrored = paired_interval(40, 25, 400)
    assert mirrored == {
        key: -paired_interval(25, 40, 400)[other] for key, other in zip(mirrored, ("difference", "high", "low"), strict=True)
    }


@pytest.mark.parametrize(("first", "second", "images"), [(0, 0, 7), (0, 7, 7), (1, 0, 1)])
def test_where_all_images_agree_the_interval_is_the_difference(first: int, second: int, images: int) -> None:
    values = paired_interval(first, second, images)
    assert set(values.values()) == {(second - first) / images}


def test_the_words_of_a_better_model_in_either_order() -> None:
    low, high = result("low", 0.75), result("high", 0.8)
    words = "high is 5.0 points better than low (3.7 to 6.4)"
    assert (sentence(difference([low], [high])), sentence(difference([high], [low]))) == (words, words)
    assert as_markdown([difference([low], [high])]) == (
        f"- {words}. These two models, p < 0.001 by McNemar's exact test: of 1,000 images\n"
        "  low alone has 0 right, high alone 50.\n"
        "  - Recall from low to high: cat 75.0% to 80.0%, dog 75.0% to 80.0%.\n"
        "  - Confusions from low to high: cat taken for dog 125 to 100, dog taken for cat 125 to 100.\n"
    )


def test_the_words_of_models_that_these_images_cannot_tell_apart() -> None:
    one, other = result("one", 0.5), result("other", 0.5)
    assert sentence(difference([one], [other])) == (
        "one and other have the same accuracy (0.0 to 0.0): these images cannot tell them apart"
    )
    near = result("near", 0.501)
    assert sentence(difference([one], [near])) == (
        "near is 0.1 points better than one (0.0 to 0.3): these images cannot tell them apart"
    )
    assert changes(difference([one], [near])) == ["No class and no confusion changed from one to near (2 tested)"]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.003, -0.005, 0.011), "b is 0.3 points better than a (-0.5 to 1.1): these images cannot tell them apart"),
        ((-0.065, -0.074, -0.056), "a is 6.5 points better than b (5.6 to 7.4)"),
        ((0.004, 0.0002, 0.0078), "b is 0.40 points better than a (0.02 to 0.78)"),
        ((0.0, -0.004, 0.004), "a and b have the same accuracy (-0.4 to 0.4): these images cannot tell them apart"),
    ],
)
def test_the_words_follow_the_interval(numbers: tuple[float, float, float], words: str) -> None:
    share, low, high = numbers
    found = Difference("a", "b", "paired", ("a", "b"), (1, 1), difference=share, low=low, high=high)
    assert sentence(found) == words
    assert found.worse == (numbers[2] < 0)


def test_seeds_on_both_sides_compare_designs_and_keep_the_classes_of_two_models() -> None:
    low = [result(name, accuracy, seed) for seed, (name, accuracy) in enumerate([("low", 0.75), ("low-seed-1", 0.76)])]
    high = [result(name, accuracy, seed) for seed, (name, accuracy) in enumerate([("high", 0.8), ("high-seed-1", 0.81)])]
    text = as_markdown([difference(low, high)])
    assert text.startswith(
        "- high is 5.0 points better than low (2.0 to 8.0). These two designs, p = 0.019 by Welch's test over 2 and 2 seeds.\n"
    )
    assert "  - Recall from low (seed 0) to high (seed 0): cat 75.0% to 80.0%, dog 75.0% to 80.0%.\n" in text
    near = [result("near", 0.76), result("near-seed-1", 0.78, 1)]
    assert sentence(difference(low, near)).endswith("): these seeds cannot tell them apart")


def test_seeds_without_any_spread_are_compared_as_models() -> None:
    low, high = (
        [result(f"{name}-seed-{seed}", accuracy, seed) for seed in (0, 1)] for name, accuracy in (("a", 0.7), ("b", 0.8))
    )
    assert sentence(difference(low, high)).startswith("b-seed-0 (seed 0) is 10.0 points better than a-seed-0 (seed 0) (")


def test_one_seed_against_several_compares_two_models_that_have_predictions() -> None:
    several = [result("several", 0.8, stored=False), result("several-seed-1", 0.81, 1)]
    found = difference([result("one", 0.75)], several)
    assert (found.method, found.models, found.seeds) == ("paired", ("one", "several-seed-1 (seed 1)"), (1, 2))
    assert found.difference == pytest.approx(0.06)


def test_without_predictions_the_interval_is_from_the_counts_and_says_so() -> None:
    text = as_markdown([difference([result("one", 0.75)], [result("other", 0.8, stored=False)])])
    assert " ".join(text.split()) == (
        "- other is 5.0 points better than one (1.3 to 8.6). These two models, unpaired, since there are no predictions of "
        "other: from the counts of 1,000 images."
    )


def test_other_test_splits_are_not_compared() -> None:
    found = difference([result("one", 0.75)], [result("other", 0.99, split="another")])
    assert (found.difference, found.low, found.high, found.worse) == (None, None, None, False)
    assert as_markdown([found]) == "- one and other: other test splits, so no difference is computed.\n"


def test_predictions_for_other_images_are_not_compared_whatever_dvc_lock_says() -> None:
    found = difference([result("one", 0.75)], [result("other", 0.8, labels=1)])
    assert (found.method, found.difference) == ("none", None)


def test_classes_and_confusions_that_changed_by_more_than_chance() -> None:
    """Of 300 cats the second model takes 40 more for dogs, and of 300 dogs 15 more for owls; of owls it has as many right."""
    labels = np.repeat([0, 1, 2], 300)
    first, second = labels.copy(), labels.copy()
    second[:40] = 1
    second[300:315] = 2
    first[600:610], second[610:620] = 0, 0
    values = paired(predictions(labels, first, 3), predictions(labels, second, 3))
    cat, dog = values["classes"]
    assert (cat.actual, cat.images, cat.first, cat.second) == ("cat", 300, 300, 260)
    assert (dog.actual, dog.first, dog.second) == ("dog", 300, 285)
    assert [(each.actual, each.predicted, each.first, each.second) for each in values["confusions"]] == [("cat", "dog", 0, 40)]
    # Three classes, and the two confusions with 20 images or more: dogs taken for owls are 15.
    assert values["tested"] == 5
    assert cat.p == pytest.approx(5 * 2 / 2**40)
    assert dog.p == pytest.approx(3 * 2 / 2**15)
    assert (values["only_first"], values["only_second"]) == (65, 10)


def test_a_class_that_changed_only_without_correction_is_not_named() -> None:
    labels = np.repeat([0, 1, 2], 300)
    second = labels.copy()
    second[:6] = 1
    assert mcnemar(6, 0) == 0.03125
    assert paired(predictions(labels, labels, 3), predictions(labels, second, 3))["classes"] == []


def rows(count: int, **others: Result) -> dict[str, list[Result]]:
    groups = {f"row{number}": [result(f"row{number}", 0.7 + number / 100)] for number in range(count)}
    return groups | {name: [other] for name, other in others.items()}


def pairs(groups: dict[str, list[Result]], baseline: str | None = None) -> list[tuple[str, str]]:
    return [(found.first, found.second) for found in differences(groups, baseline)]


def test_up_to_four_rows_all_pairs_are_compared_and_of_more_each_with_the_best() -> None:
    assert len(pairs(rows(4))) == 6
    assert pairs(rows(5)) == [(f"row{number}", "row4") for number in range(4)]
    assert pairs(rows(5), "row1") == [("row0", "row1"), ("row1", "row2"), ("row1", "row3"), ("row1", "row4")]
    assert pairs(rows(1)) == []


def test_of_more_than_four_rows_the_best_is_that_on_the_same_test_split() -> None:
    digits = {"digits": result("digits", 0.98, split="digits"), "more": result("more", 0.99, split="digits")}
    assert pairs(rows(3, **digits)) == [("row0", "row2"), ("row1", "row2"), ("row2", "more"), ("digits", "more")]


def test_missing_seeds_are_those_of_the_others_or_one_more() -> None:
    one, two = [result("one", 0.7)], [result("two", 0.7), result("two-seed-4", 0.8, 4)]
    assert missing_seeds({"one": one, "two": two}) == {"one": [4]}
    assert missing_seeds({"one": one, "other": [result("other", 0.8)]}) == {"one": [1], "other": [1]}
    assert missing_seeds({"two": two, "also": two}) == {}
    assert missing_seeds({"one": one}) == {}


def test_the_values_are_plain() -> None:
    (values,) = as_values([difference([result("low", 0.75)], [result("high", 0.8)])])
    values = json.loads(json.dumps(values))
    assert (values["models"], values["difference"], values["classes"][0]["actual"]) == (["low", "high"], 0.05, "cat")
    (values,) = as_values([difference([result("one", 0.75)], [result("other", 0.8, split="another")])])
    assert "difference" not in values
