import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchmarks.run
from benchmarks.engine import matrix_rate
from benchmarks.run import Bench, as_markdown, cost_figure, main, pipeline_training, summarize
from classifier.data.split import DatasetInfo, Split, save_dataset_info, save_split
from classifier.runtime.errors import InputError
from tests.conftest import ROOT

HARDWARE = {"processor": "Some processor", "threads": 2, "torch": "2"}


def runs(*speeds: float) -> list[dict[str, Any]]:
    return [
        {
            "images_per_second": speed,
            "peak_megabytes": 1000.0,
            "matrix_gigaflops": 400.0,
            "megaflop_per_image": 100.0,
            "precision": "bfloat16",
        }
        for speed in speeds
    ]


def bench(**more: Any) -> Bench:
    speedrun = [
        {"seed": seed, "seconds": seconds, "accuracy": 0.82 + seed / 100} for seed, seconds in enumerate((10.0, 30.0, 20.0))
    ]
    return Bench(
        notebook=runs(500, 400, 600), engine=runs(1000, 1200, 1200), fast=runs(2000, 2400, 2800), speedrun=speedrun, **more
    )


def test_the_figures_are_medians_over_runs_and_the_ratios_of_what_ran_side_by_side() -> None:
    summary = summarize(bench(notebook_to_target=[{"seconds": seconds, "epochs": 9} for seconds in (500.0, 900.0, 800.0)]))
    assert summary["engine_images_per_second"] == 1200
    assert summary["engine_ratio"] == pytest.approx(2)  # of 2, 3 and 2
    assert summary["target_ratio"] == pytest.approx(800 / 20)
    assert summary["speedrun_accuracy"] == pytest.approx(0.83)
    assert summary["speedrun_lowest"] == pytest.approx(0.82)
    assert summary["engine_share"] == pytest.approx(1200 * 0.1 / 400)
    assert summary["notebook_measured"]


def test_the_table_says_whether_the_conventional_loop_was_timed_or_projected() -> None:
    measured = bench(notebook_to_target=[{"seconds": 800.0, "epochs": 9}])
    tables = [
        as_markdown({"summary": summarize(one), "hardware": HARDWARE, "pipeline": {"train": 3.0}})
        for one in (measured, bench())
    ]
    assert "800 s, 9 epochs" in tables[0]
    assert "projected" not in tables[0]
    assert "2 threads, bfloat16" in tables[0]
    assert "(projected), 9 epochs" in tables[1]  # from the committed full form
    assert "| train | 3.0 |" in tables[0]


def test_a_speedrun_that_misses_the_target_gets_no_ratio_and_says_so() -> None:
    missed = bench(notebook_to_target=[{"seconds": 800.0, "epochs": 9}])
    for run in missed.speedrun:
        run["accuracy"] = 0.819
    summary = summarize(missed)
    assert summary["target_ratio"] is None
    assert "82% not reached: 20.0 s" in as_markdown({"summary": summary, "hardware": HARDWARE, "pipeline": {}})


def test_a_measurement_that_fails_leaves_the_runs_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(full: bool, number: int, first_seed: int) -> Iterator[Bench]:
        assert (full, number, first_seed) == (False, 3, 7)
        yield bench()
        raise InputError("the stage train failed; see the output above")

    monkeypatch.setattr(benchmarks.run, "measure", measure)
    monkeypatch.setattr(benchmarks.run, "PROCESSED", tmp_path)
    (tmp_path / "train.safetensors").touch()
    monkeypatch.setattr("sys.argv", ["run", "--runs", "3", "--first-seed", "7", "--output", str(tmp_path)])
    with pytest.raises(InputError, match=r"the stage train failed"):
        main()
    assert len(json.loads((tmp_path / "short.json").read_text())["engine"]) == 3
    assert (tmp_path / "short.md").read_text().count("|") > 10
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_a_training_is_timed_and_scored_by_the_stages_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processed = tmp_path / "processed"
    for name, size in (("train", 20), ("validation", 4), ("test", 4)):  # of one class, which anything learns
        images = np.random.default_rng(0).integers(256, size=(size, 8, 8, 1), dtype=np.uint8)
        save_split(Split(images, np.zeros(size, np.int64)), processed / f"{name}.safetensors")
    save_dataset_info(DatasetInfo(("only", "other"), (0.5,), (0.3,)), processed / "dataset.json")
    monkeypatch.setattr(benchmarks.run, "PROCESSED", processed)
    monkeypatch.chdir(tmp_path)
    params = re.sub(r"weight_decay: \S+", "weight_decay: 1e-05", (ROOT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(params)
    shutil.copytree(ROOT / "variants", tmp_path / "variants")
    start = time.perf_counter()
    result = pipeline_training("digits", 3)
    assert 0 < result.pop("seconds") < time.perf_counter() - start
    assert result == {"seed": 3, "accuracy": 1}


def test_a_benchmark_of_no_runs_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["run", "--runs", "0"])
    with pytest.raises(SystemExit):
        main()
    assert "--runs: should be 1 or more, got 0" in capsys.readouterr().err


def test_the_picture_of_the_cost_has_a_point_for_every_measurement() -> None:
    points = [{"of": of, "value": value} | runs(1000)[0] for of in ("images", "width", "threads") for value in (0.5, 1.0)]
    points[3]["images_per_second"], points[3]["peak_megabytes"] = 10, 50_000  # far above all the others
    figure = cost_figure(points)
    curves = [np.asarray(axis.lines[0].get_ydata()) for axis in figure.axes]
    assert [len(curve) for curve in curves] == [2] * 6
    for axis, curve in zip(figure.axes, curves, strict=True):
        bottom, top = axis.get_ylim()
        assert bottom <= curve.min() <= curve.max() <= top
    # A quarter, a half: fewer images take less of an epoch.
    assert curves[0].tolist() == pytest.approx([22.5, 45])


def test_the_rate_of_matrix_multiplication_counts_two_operations_per_product(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100))
    with monkeypatch.context() as patched:  # a clock on which each multiplication takes one second
        patched.setattr("time.perf_counter", lambda: float(next(ticks)))
        rate = matrix_rate("float32", size=128, seconds=3)
    assert rate == pytest.approx(2 * 128**3 / 1e9)


@pytest.mark.parametrize("name", ["full", "float32", "short"])
def test_the_committed_tables_are_those_of_their_measurements(name: str) -> None:
    folder = ROOT / "docs/benchmarks"
    values = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    assert as_markdown(values) == (folder / f"{name}.md").read_text(encoding="utf-8")
