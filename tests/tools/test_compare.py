import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.results.learning_curve import Epoch, save_curve
from classifier.results.predictions import Predictions, save_predictions
from classifier.results.table import write_json
from classifier.runtime.errors import InputError
from tools import compare, experiments
from tools.compare import seeds_hint
from tools.revisions import known_experiments


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["augmented", "initial"], " (did you mean augmented?); there are augmented, initial"),
        (["initial"], "; there are initial"),
        ([], "; there are no experiments: make study runs those of the study"),
    ],
)
def test_an_unknown_name_lists_the_experiments_and_the_nearest(
    monkeypatch: pytest.MonkeyPatch, names: list[str], expected: str
) -> None:
    monkeypatch.setattr(experiments, "names", lambda: names)
    assert known_experiments("augmentd") == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["initial", "initial-seed-1", "initial-seed-2", "other-seed-1"], "add initial-seed-1 initial-seed-2"),
        (["initial", "other"], "python -m tools.variant NAME --seeds N trains them"),
    ],
)
def test_a_line_names_the_seeds_that_are_missing(monkeypatch: pytest.MonkeyPatch, names: list[str], expected: str) -> None:
    monkeypatch.setattr(experiments, "names", lambda: names)
    assert seeds_hint({"initial": [1, 2], "mine": [1]}, ["initial", "mine"]) == (
        f"with one seed, models are compared, not designs; seeds missing: initial 1, 2; mine 1; {expected}"
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with results of three commits: `base`, `worse`, and `other` on another test split."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").touch()
    git("init", "--quiet", "--initial-branch=main")
    for name, right, split in (("base", 160, "a"), ("worse", 130, "a"), ("other", 190, "b")):
        write_results(tmp_path, right, split)
        git("add", "--all")
        git("-c", "user.name=Tester", "-c", "user.email=tester@example.com", "commit", "--quiet", "--message", name)
        git("tag", name)
    return tmp_path


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)


def write_results(folder: Path, right: int, split: str) -> None:
    """Write the results of a training that has the first `right` of 200 images right."""
    params = {"network": {"widths": [right]}, "train": {"seed": 0}}
    train: dict[str, Any] = {"deps": [], "params": {"params.yaml": params}, "outs": []}
    evaluate = {"deps": [{"path": "data/processed/test.safetensors", "md5": split}], "outs": []}
    write_json(folder / "params.yaml", params)
    write_json(folder / "dvc.lock", {"schema": "2.0", "stages": {"train": train, "evaluate": evaluate}})
    write_json(folder / "metrics/train.json", {"best_epoch": 1, "validation_accuracy": 0.7, "parameters": 9, "seconds": 1.0})
    write_json(folder / "metrics/test.json", {"accuracy": right / 200, "images": 200})
    save_curve([Epoch(1, 1.0, 1.0, 0.6, 0.7, 0.001)], folder / "plots/learning_curve.csv")
    labels = np.arange(200) % 2
    predicted = np.where(np.arange(200) < right, labels, 1 - labels)
    save_predictions(Predictions(labels, np.eye(2)[predicted], np.array(["cat", "dog"])), folder / "data/predictions.npz")


def test_the_differences_are_printed_and_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare.main(["base", "worse", "other"])
    text = (project / "comparison/differences.md").read_text()
    assert text.startswith("- base is 15.0 points better than worse (10.")
    assert "- base and other: other test splits, so no difference is computed.\n" in text
    output = capsys.readouterr().out
    assert (project / "comparison/comparison.md").read_text() + "\n" + text in output
    assert "compare: with one seed, models are compared, not designs; seeds missing: base 1; worse 1; other 1; " in output
    values = json.loads((project / "comparison/differences.json").read_text())
    assert [(each["first"], each["second"], each["method"]) for each in values] == [
        ("base", "worse", "paired"),
        ("base", "other", "none"),
        ("worse", "other", "none"),
    ]


def test_the_gate_fails_where_another_is_worse_than_the_first_or_cannot_be_compared(project: Path) -> None:
    assert project.exists()
    compare.main(["worse", "base", "--fail-if-worse"])
    with pytest.raises(SystemExit) as caught:
        compare.main(["base", "worse", "other", "--fail-if-worse"])
    worse, other = str(caught.value).split("; ")
    assert worse.startswith("compare: --fail-if-worse: base is 15.0 points better than worse (10.")
    assert other == "base and other: other test splits, so no difference is computed"


def test_one_text_for_a_pull_request_is_written_also_where_the_gate_fails(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git("update-ref", f"refs/exps/{hash_of('base')[:2]}/{hash_of('base')[2:]}/head", "worse")  # as if it had run on base
    with pytest.raises(SystemExit, match=r"base is 15\.0 points better than head"):
        compare.main(["base", "head", "--markdown", "--fail-if-worse"])
    text = (project / "comparison/summary.md").read_text()
    assert "- <code>base</code> is 15.0 points better than <code>head</code> (10." in text
    assert "### Committed params.yaml\n\nNo difference.\n\n### Params of these trainings\n\n| param |" in text
    assert "compare: summary.md, comparison.md, differences.md, " in capsys.readouterr().out
    compare.main(["base", "worse", "workspace", "--markdown"])
    table = (project / "comparison/summary.md").read_text().partition("### Committed params.yaml\n\n")[2]
    assert re.findall(r"&#91;(\d+)&#93;", table.splitlines()[2]) == ["160", "130", "190"]


def hash_of(revision: str) -> str:
    command = ["git", "rev-parse", revision]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_damaged_predictions_are_named_and_not_used(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "data/predictions.npz").write_bytes(b"damaged")
    git("commit", "--quiet", "--all", "--message", "Damage")
    compare.main(["other", "workspace"])
    output = capsys.readouterr().out
    assert "compare: workspace: compared without its data/predictions.npz, which is damaged or of an older version\n" in output


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("params.yaml", "", "should consist of keys and values, got null"),
        ("params.yaml", "train: [", ", line 1, column 9: not valid YAML: should be closed"),
        ("dvc.lock", "- train", "should consist of keys and values, got "),
        ("metrics/test.json", '{"accuracy": 0.', "damaged (Expecting "),
        ("metrics/train.json", "\xff", "damaged ('utf-8' codec can't decode "),
    ],
)
def test_a_file_that_is_damaged_is_named_with_its_revision(project: Path, name: str, content: str, problem: str) -> None:
    (project / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError) as caught:
        compare.main(["base", "workspace"])
    assert str(caught.value).startswith(f"workspace: {name}")
    assert problem in str(caught.value)


def test_predictions_of_another_commit_than_the_metrics_are_named_and_not_used(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.exists()
    git("checkout", "--quiet", "worse", "--", "data/predictions.npz")
    compare.main(["other", "workspace", "--fail-if-worse"])
    output = capsys.readouterr().out
    assert "compare: workspace: compared without its data/predictions.npz, which belongs to other metrics; " in output


def test_the_gate_refuses_a_single_revision(project: Path) -> None:
    assert project.exists()
    with pytest.raises(InputError, match="--fail-if-worse: base alone cannot be compared: name another revision"):
        compare.main(["base", "--fail-if-worse"])


def test_a_name_breaks_no_table(project: Path) -> None:
    git("tag", "base|worse", "worse")
    compare.main(["base|worse"])
    assert (project / "comparison/comparison.md").read_text().splitlines()[2].startswith(r"| base\|worse | 65.0% ")
    assert json.loads((project / "comparison/comparison.json").read_text())[0]["name"] == "base|worse"
