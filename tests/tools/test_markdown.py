import re
from collections.abc import Mapping, Sequence
from html import unescape
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt

from classifier.params import flatten
from classifier.results.comparison import Result, group
from classifier.results.difference import differences
from classifier.results.learning_curve import Epoch
from classifier.results.predictions import Predictions
from tools.markdown import CONFUSIONS, LONGEST, MARKER, POINTS, code, summary

HOSTILE = ["a|b", "`c`", "<script>alert(1)</script>", "two\nlines", "@somebody #1", "**bold** \\| $x$", "猫_🐈", "\u202eleft"]


def result(
    revision: str,
    right: int = 80,
    *,
    curve: Sequence[float] = (0.7, 0.8),
    names: Sequence[str] = ("cat", "dog"),
    stored: bool = True,
    split: str = "test",
    **params: Any,
) -> Result:
    """A training that has the first `right` of 100 images right, and takes each other image for the next class."""
    settings = {"data": {"name": "digits"}, "network": {"widths": [right]}, "train": {"seed": 0}} | params
    train: dict[str, Any] = {"params": {"params.yaml": settings}, "outs": []}
    evaluate = {"deps": [{"path": "data/processed/test.safetensors", "md5": split}], "outs": []}
    labels = np.arange(100) % len(names)
    predicted = np.where(np.arange(100) < right, labels, (labels + 1) % len(names))
    return Result(
        revision,
        {"stages": {"train": train, "evaluate": evaluate}},
        [Epoch(number, 1.0, 1.0, 0.5, accuracy, 0.1) for number, accuracy in enumerate(curve, 1)],
        {"best_epoch": 1, "validation_accuracy": max(curve), "parameters": 9, "seconds": 1.0},
        {"accuracy": right / 100, "images": 100, "accuracy_low": right / 100 - 0.1, "accuracy_high": right / 100 + 0.1},
        Predictions(labels, np.eye(len(names))[predicted], np.array(names)) if stored else None,
    )


def text(*results: Result, committed: Mapping[str, Any] | None = None) -> str:
    groups = group(results)
    values = {each.revision: flatten(each.lock["stages"]["train"]["params"]["params.yaml"]) for each in results}
    return summary(groups, differences(groups), values if committed is None else committed)


def rendered(markdown: str) -> str:
    return str(MarkdownIt("commonmark").enable("table").render(markdown))


def tables(markdown: str) -> list[list[list[str]]]:
    """The tables of a text as a host shows them: rows of cells."""
    found = re.findall(r"<table>.*?</table>", rendered(markdown), re.DOTALL)
    rows = [re.findall(r"<tr>.*?</tr>", table, re.DOTALL) for table in found]
    cell = re.compile(r"<t[hd].*?>(?:<code>)?(.*?)(?:</code>)?</t[hd]>", re.DOTALL)
    return [[[unescape(content) for content in cell.findall(row)] for row in table] for table in rows]


def section(markdown: str, title: str) -> str:
    return markdown.partition(f"### {title}\n\n")[2].partition("\n\n###")[0]


def test_the_text_has_the_difference_the_metrics_the_params_the_curve_and_the_confusions() -> None:
    markdown = text(result("base", 80), result("head", 90, curve=(0.75, 0.85)))
    assert markdown.startswith(
        f"{MARKER}\n\n## Comparison of <code>base</code> and <code>head</code>\n\nData set: <code>digits</code>.\n\n"
        "- <code>head</code> is 10.0 points better than <code>base</code> ("
    )
    assert "These two models, p = 0.002 by McNemar's exact test: of 100 images <code>base</code> alone has 0 right" in markdown
    metrics, params, confusions = tables(markdown)
    assert metrics[1][:2] == ["base", "80.0% (70.0% to 90.0%)"]
    assert params == [["param", "base", "head"], ["network.widths", "[80]", "[90]"]]
    assert confusions == [
        ["true class", "predicted class", "base", "head"],
        ["cat", "dog", "10", "5"],
        ["dog", "cat", "10", "5"],
    ]
    chart = section(markdown, "Validation accuracy")
    assert chart.startswith("<code>base</code> blue and <code>head</code> orange:\n\n```mermaid\n%%{init: {")
    assert '"#3b82f6, #d97706"' in chart
    assert chart.endswith(
        'xychart-beta\n  x-axis epoch [1, 2]\n  y-axis "validation accuracy (%)" 70.00 --> 85.00\n'
        "  line [70.00, 80.00]\n  line [75.00, 85.00]\n```"
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_as_it_is_whatever_it_contains(name: str) -> None:
    shown = re.fullmatch(r"<p><code>([^<]*)</code></p>\n", rendered(code(name)))
    assert shown
    assert unescape(shown[1]) == " ".join(name.split()).replace("\u202e", r"\u202e")


def test_hostile_names_break_no_table_and_no_list() -> None:
    markdown = text(result("base|`x`", 50, names=HOSTILE), result("head<b>", 90, names=HOSTILE))
    assert "<script" not in markdown
    assert "@" not in markdown
    assert not re.findall(r"<(?!/?(?:code|p|h\d|li|ul|table|thead|tbody|tr|t[hd]|pre|!--)\b|!--)", rendered(markdown))
    metrics, params, confusions = tables(markdown)
    assert [row[0] for row in metrics] == ["variant", "base|`x`", "head<b>"]
    assert [len(row) for row in params] == [3, 3]
    assert {len(row) for row in confusions} == {4}
    assert ["a|b", "`c`"] in [row[:2] for row in confusions]


def test_of_many_classes_the_most_frequent_confusions_are_listed_and_long_names_are_cut() -> None:
    names = [f"{'long ' * 50}{number}" for number in range(100)]
    markdown = text(result("base", 10, names=names), result("head", 20, names=names))
    confusions = tables(markdown)[-1]
    assert len(confusions) == 1 + CONFUSIONS
    assert all(len(name) == LONGEST for name in confusions[1][:2])
    assert len(markdown) < 65_536  # what a comment may have


def test_one_epoch_is_drawn_as_bars() -> None:
    chart = section(text(result("base", curve=[0.7]), result('he"ad', 90, curve=[0.75])), "Validation accuracy")
    assert chart.startswith("After one epoch:\n\n```mermaid\n")
    assert chart.endswith('  x-axis ["base", "he ad"]\n  y-axis "validation accuracy (%)" 0 --> 100\n  bar [70.00, 75.00]\n```')


def test_curves_of_other_lengths_have_a_chart_each_and_keep_their_colours() -> None:
    chart = section(text(result("base", curve=[0.7, 0.8, 0.8]), result("head", 90)), "Validation accuracy")
    assert re.findall(r"epoch (\[.*\])", chart) == ["[1, 2]", "[1, 2, 3]"]
    assert re.findall(r"^<code>(.+)</code> (\w+):$", chart, re.MULTILINE) == [("head", "orange"), ("base", "blue")]
    assert chart.count("70.00 --> 80.00\n") == 2
    assert re.findall(r'"(#\w+)"', chart) == ["#d97706", "#3b82f6"]


def test_of_a_long_curve_every_few_epochs_are_drawn() -> None:
    chart = section(text(result("base", curve=[0.5] * 250)), "Validation accuracy")
    (epochs,), (points,) = (re.findall(rf"{word} \[(.*)\]", chart) for word in ("epoch", "line"))
    assert epochs.split(", ") == [str(epoch) for epoch in range(1, 251, 10)]
    assert len(points.split(", ")) == POINTS


def test_what_has_no_colour_left_is_named() -> None:
    chart = section(text(*(result(f"row{right}", right) for right in range(80, 86))), "Validation accuracy")
    assert chart.count("line [") == 4
    assert chart.endswith("Not drawn: <code>row84</code> and <code>row85</code>.")


def test_without_predictions_a_line_says_so() -> None:
    markdown = text(result("base"), result("head", 90, stored=False))
    assert "unpaired, since there are no predictions of <code>head</code>" in markdown
    confusions = section(markdown, "Most frequent confusions")
    assert tables(confusions)[0][0] == ["true class", "predicted class", "base"]
    assert confusions.endswith("There are no predictions of <code>head</code>.\n")


def test_other_test_splits_have_no_difference_and_a_table_each() -> None:
    markdown = text(result("base"), result("head", 90, names=("zero", "one", "two"), split="other"))
    assert "- <code>base</code> and <code>head</code>: other test splits, so no difference is computed.\n" in markdown
    assert [table[0][2:] for table in tables(section(markdown, "Most frequent confusions"))] == [["base"], ["head"]]


def test_a_model_without_mistakes_has_no_confusions() -> None:
    assert section(text(result("base", 100)), "Most frequent confusions") == "No image is confused.\n"


def test_equal_results_are_counted_once() -> None:
    markdown = text(result("base"), result("head"))
    assert "Counted once, since others have the same settings and results: <code>head</code>.\n" in markdown
    assert section(markdown, "Committed params.yaml") == "No difference."
    assert "### Params of these trainings" not in markdown


def test_trainings_that_differ_in_the_seed_are_one_line_which_is_explained() -> None:
    markdown = text(result("base"), result("base-seed-1", 80, train={"seed": 1}))
    assert (
        "<code>base</code> is the mean of <code>base</code> and <code>base-seed-1</code>, which differ in the seed" in markdown
    )
    assert tables(section(markdown, "Committed params.yaml"))[0][1] == ["train.seed", "0", "1"]


def test_a_committed_value_that_the_trainings_do_not_use_is_told_from_one_that_they_do() -> None:
    committed = {
        "base": {"train.epochs": 15, "network.widths": [8]},
        "head": {"train.epochs": 20, "network.widths": [8], "new": None},
    }
    markdown = text(result("base", 80), result("head", 90), committed=committed)
    assert tables(section(markdown, "Committed params.yaml"))[0][1:] == [["train.epochs", "15", "20"], ["new", "-", "null"]]
    assert tables(section(markdown, "Params of these trainings"))[0][1:] == [["network.widths", "[80]", "[90]"]]
