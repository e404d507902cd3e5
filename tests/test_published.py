"""The published results of the study, docs/study/experiments: whole, and as the committed tables, params and results say."""

import hashlib
import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from classifier.params import flatten, parse_params, parse_yaml, read_yaml
from classifier.results import difference
from classifier.results.comparison import Result, as_markdown, as_values, compare, group, outdated
from classifier.results.learning_curve import load_curve
from classifier.results.predictions import load_predictions
from classifier.variants import merge
from tests.conftest import ROOT, parameters
from tools.publish import dark_pictures

STUDY = ["initial", "batchnorm", "augmented"]
FOLDER = ROOT / "docs/study/experiments"
FOLDERS = sorted(path for path in FOLDER.glob("*") if path.is_dir())


def lock_of(folder: Path) -> Any:
    return read_yaml(folder / "dvc.lock")


def effective(params: Any) -> dict[str, Any]:
    """The values that have an effect on a result."""
    return {key: value for key, value in flatten(params).items() if key != "data.sources" and not key.startswith("plot.")}


def outputs(folder: Path) -> dict[str, str]:
    """The md5 of every output in a dvc.lock, by path."""
    return {out["path"]: out["md5"] for stage in lock_of(folder)["stages"].values() for out in stage["outs"]}


def test_the_three_designs_are_published_with_the_same_seeds() -> None:
    published = [folder.name for folder in FOLDERS]
    seeds = {name.partition("-seed-")[2] for name in published}
    expected = sorted(name if seed == "" else f"{name}-seed-{seed}" for name in STUDY for seed in {"", *seeds})
    assert published == expected, f"make study, then tools.publish {' '.join(expected)}"


def test_they_are_small() -> None:
    sizes = {path: path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 2.5e6, sorted(sizes.items(), key=lambda item: item[1])[-9:]


def test_every_file_is_the_output_that_its_lock_names_and_none_is_missing() -> None:
    for folder in FOLDERS:
        md5 = outputs(folder)
        expected = {path for path in md5 if path.startswith(("metrics/", "plots/")) or path == "data/predictions.npz"}
        if "-seed-" in folder.name:
            expected = {path for path in expected if path.endswith((".json", ".csv"))}
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        assert set(files) == expected | {"params.yaml", "dvc.lock", "model_card.md"}, folder.name
        for path in expected:
            assert hashlib.md5(files[path].read_bytes(), usedforsecurity=False).hexdigest() == md5[path], files[path]


def test_params_are_those_of_the_variant_with_every_key_that_there_is_today() -> None:
    """Who adds a key adds it to each params.yaml and dvc.lock there, with the value that stands for the old behaviour."""
    default = parse_yaml(parameters(), "params.yaml")
    stages = read_yaml(ROOT / "dvc.yaml")["stages"]
    for folder in FOLDERS:
        params = read_yaml(folder / "params.yaml")
        parse_params(params, str(folder / "params.yaml"))
        assert flatten(params).keys() == flatten(default).keys(), folder.name
        variant, _, seed = folder.name.partition("-seed-")
        differences = read_yaml(ROOT / f"variants/{variant}.yaml") or {}
        expected = merge(merge(default, differences), {"train": {"seed": int(seed or 0)}})
        assert effective(params) == effective(expected), folder.name
        assert outdated(lock_of(folder), params) == []
        for name, stage in lock_of(folder)["stages"].items():
            recorded = flatten(stage["params"]["params.yaml"])
            listed = stages[name]["params"]
            assert set(recorded) == {key for key in flatten(default) for each in listed if f"{key}.".startswith(f"{each}.")}


def published() -> list[Result]:
    """What is published, in the order of the study."""
    results = []
    names = [f"{name}{seed}" for name in STUDY for seed in ("", "-seed-1", "-seed-2")]
    for folder in [FOLDER / name for name in names if (FOLDER / name).is_dir()]:
        train, test = (json.loads((folder / f"metrics/{name}.json").read_text()) for name in ("train", "test"))
        curve, path = load_curve(folder / "plots/learning_curve.csv"), folder / "data/predictions.npz"
        stored = load_predictions(path) if path.exists() else None
        results.append(Result(folder.name, lock_of(folder), curve, train, test, stored))
    return results


def test_the_committed_table_is_that_of_what_is_published() -> None:
    if results := published():
        rows = compare(group(results))
        assert as_markdown(rows) == (ROOT / "docs/study/comparison.md").read_text(encoding="utf-8")
        assert as_values(rows) == json.loads((ROOT / "docs/study/comparison.json").read_text(encoding="utf-8"))


def test_the_differences_in_the_docs_are_those_of_what_is_published() -> None:
    results = published()
    texts = [
        difference.as_markdown(difference.differences(group(some)))
        for some in (results, [result for result in results if result.revision in STUDY])
    ]
    section = (ROOT / "docs/variants.md").read_text(encoding="utf-8").partition("### Differences\n")[2].partition("\n### ")[0]
    shown = re.findall(r"```text\n(.+?)```", section, re.DOTALL)
    assert len(shown) == 2
    for block in shown:
        assert any(block in text for text in texts), f"docs/variants.md should show some of\n{texts[0]}{texts[1]}"


def test_predictions_have_the_published_accuracy() -> None:
    for path in FOLDER.glob("*/data/predictions.npz"):
        predictions = load_predictions(path)
        accuracy = (predictions.probabilities.argmax(axis=1) == predictions.labels).mean()
        assert accuracy == pytest.approx(json.loads((path.parents[1] / "metrics/test.json").read_text())["accuracy"])


def test_the_results_on_head_are_those_of_the_published_default() -> None:
    """Or `dvc plots show` has no curves in a clone: python -m tools.publish augmented=workspace, after dvc repro.

    One's own results in the working tree are no fault.
    """
    default = FOLDER / "augmented"
    names = [path.relative_to(default).as_posix() for path in default.rglob("*") if path.is_file()]
    for name in (name for name in names if name == "dvc.lock" or name.endswith((".json", ".png"))):
        published = (default / name).read_bytes()
        committed = subprocess.run(["git", "show", f"HEAD:{name}"], cwd=ROOT, capture_output=True, check=False).stdout
        assert published in ((ROOT / name).read_bytes(), committed), name


def test_the_dark_pictures_of_the_readme_are_those_of_the_published_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or they show other numbers than the light ones: python -m tools.publish --pictures."""
    monkeypatch.chdir(ROOT)
    readme = Path("README.md").read_text(encoding="utf-8")
    for path, expected in dark_pictures().items():
        light = f"plots/{path.name.replace('_dark', '')}"
        assert f'srcset="{path.as_posix()}"><img src="{light}" alt="' in readme
        assert max(path.stat().st_size, Path(light).stat().st_size) < 150_000
        drawn, committed = (np.array(Image.open(file).convert("RGB"), dtype=int) for file in (io.BytesIO(expected), path))
        assert drawn.shape == committed.shape
        # Another processor may round the edge of a letter in another way.
        assert (np.abs(drawn - committed).max(axis=2) > 60).sum() < 10, path


def test_the_study_names_the_version_that_made_the_results() -> None:
    page = (ROOT / "docs/study.md").read_text(encoding="utf-8")
    before = page.partition((ROOT / "docs/study/comparison.md").read_text(encoding="utf-8"))[0]
    (version,) = re.findall(r"^Version ([\d.]+) ", before.rpartition("\n## ")[2], re.MULTILINE)
    assert f"\n## {version}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
