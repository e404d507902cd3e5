import os
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from classifier.results.learning_curve import save_curve
from tests.tools.runs import curve, dead_process, remove_run, write_run
from tools.runs import Runs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def test_without_a_folder_and_without_files_nothing_runs(folder: Path) -> None:
    assert Runs(folder).look() == []
    folder.mkdir()
    (folder / "folder.json").write_text("{}")  # of preprocess
    (folder / "train.pt").touch()
    (folder / ".train-1-0-partial.csv").touch()
    assert Runs(folder).look() == []


def test_a_run_that_runs_has_its_curve_and_an_estimate_of_the_time_left(folder: Path) -> None:
    write_run(folder, "train", done=3, seconds=30)
    (run,) = Runs(folder).look()
    assert (run.name, run.state, run.curve) == ("workspace", "running", tuple(curve(3)))
    assert run.folder == Path.cwd()
    assert run.seconds_left(run.written) == pytest.approx(10)
    assert run.seconds_left(run.written + 4) == pytest.approx(6), "time has passed since"
    assert run.seconds_left(run.written + 40) == 0


def test_before_the_first_epoch_there_is_no_curve_and_before_the_first_step_no_estimate(folder: Path) -> None:
    write_run(folder, "short", done=0)
    (run,) = Runs(folder).look()
    assert (run.state, run.curve, run.seconds_left(run.written)) == ("running", (), None)
    write_run(folder, "short", done=0, steps=4, epochs=1)
    (run,) = Runs(folder).look()
    assert run.seconds_left(run.written) == pytest.approx(30)
    assert run.curve == ()


@pytest.mark.parametrize("name", ["digits", "a b#c?", "späte/<b>&amp;", "augmented-seed-1"])
def test_a_run_has_the_name_of_its_experiment(folder: Path, name: str) -> None:
    write_run(folder, quote(f"{name}-pending", safe=""), done=1)
    assert [run.name for run in Runs(folder).look()] == [name]


def test_a_run_whose_process_is_gone_has_stopped_and_may_be_resumed_from_its_checkpoint(folder: Path) -> None:
    write_run(folder, "one", done=2, process=dead_process())
    (run,) = Runs(folder).look()
    assert (run.state, run.resumable, run.seconds_left(run.written)) == ("stopped", False, None)
    assert run.curve == tuple(curve(2))
    (folder / "one.pt").touch()
    assert [run.resumable for run in Runs(folder).look()] == [True]


def test_a_later_process_of_the_same_number_is_another_one(folder: Path) -> None:
    write_run(folder, "one", done=2)
    os.utime(folder / "one.json", (1e9, 1e9))
    assert [run.state for run in Runs(folder).look()] == ["stopped"]


def test_a_run_has_ended_when_its_files_are_gone_and_keeps_its_curve(folder: Path) -> None:
    runs = Runs(folder)
    write_run(folder, "one", done=3)
    runs.look()
    remove_run(folder, "one")
    for _ in range(2):
        (run,) = runs.look()
        assert (run.state, run.curve) == ("ended", tuple(curve(3)))
    write_run(folder, "one", done=1)
    assert [run.state for run in runs.look()] == ["running"], "it runs again"


@pytest.mark.parametrize(("age", "epochs"), [(0, 4), (3600, 3)])
def test_the_curve_of_a_run_that_has_ended_is_the_result_where_that_is_newer(
    folder: Path, monkeypatch: pytest.MonkeyPatch, age: float, epochs: int
) -> None:
    monkeypatch.chdir(folder.parent)
    runs = Runs(folder)
    write_run(folder, "one", done=3)
    runs.look()
    result = folder.parent / "plots/learning_curve.csv"
    result.parent.mkdir()
    save_curve(curve(4), result)
    os.utime(result, (time.time() - age,) * 2)
    remove_run(folder, "one")
    assert [len(run.curve) for run in runs.look()] == [epochs]


def test_a_run_that_had_stopped_disappears_with_its_files(folder: Path) -> None:
    runs = Runs(folder)
    write_run(folder, "one", done=3, process=dead_process())
    assert len(runs.look()) == 1
    remove_run(folder, "one")
    assert runs.look() == []


def test_what_writes_without_a_process_here_runs_on_another_machine(folder: Path) -> None:
    runs, now = Runs(folder), time.time()
    write_run(folder, "one", done=1, process=dead_process())
    os.utime(folder / "one.json", (now - 30, now - 30))
    assert [run.state for run in runs.look()] == ["stopped"]
    write_run(folder, "one", done=2, process=dead_process())
    for _ in range(2):
        assert [run.state for run in runs.look()] == ["running"]
    os.utime(folder / "one.json", (now - 200, now - 200))
    assert [run.state for run in runs.look()] == ["stopped"], "it has been silent for minutes"


DAMAGED = {
    "half-written JSON": ("one.json", '{"steps": 1'),
    "an empty file": ("one.json", ""),
    "another version": ("one.json", '{"steps": 1, "total_steps": 2}'),
    "an impossible process": (
        "one.json",
        '{"steps":9,"total_steps":9,"epochs":1,"seconds":1,"images_per_second":1,"process":-1}',
    ),
    "half-written CSV": (
        "one.csv",
        "epoch,train_loss,validation_loss,train_accuracy,validation_accuracy,learning_rate\n1,0.5,",
    ),
    "an infinite loss": (
        "one.csv",
        "epoch,train_loss,validation_loss,train_accuracy,validation_accuracy,learning_rate\n1,inf,1,1,1,1\n",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_files_that_are_damaged_or_half_written_make_a_run_unreadable_unless_it_was_read_before(
    folder: Path, case: str
) -> None:
    runs = Runs(folder)
    write_run(folder, "one", done=2)
    assert [(run.state, len(run.curve)) for run in runs.look()] == [("running", 2)]
    name, text = DAMAGED[case]
    (folder / name).write_text(text)
    assert [(run.state, len(run.curve)) for run in runs.look()] == [("running", 2)]
    (run,) = Runs(folder).look()
    assert (run.state, run.curve, run.seconds_left(0)) == ("unreadable", (), None)


def test_a_run_that_is_killed_while_its_files_are_damaged_has_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(folder)
    write_run(folder, "one", done=2)
    runs.look()
    (folder / "one.json").write_text("{")
    monkeypatch.setattr("tools.runs._process", lambda *_: None)
    assert [run.state for run in runs.look()] == ["stopped"]


def test_those_that_run_come_first_by_name_then_the_latest(folder: Path) -> None:
    for key, age in {"old": 3600, "late": 60}.items():
        write_run(folder, key, done=1, process=dead_process())
        os.utime(folder / f"{key}.json", (time.time() - age,) * 2)
    for key, age in {"a": 0, "b": -60}.items():
        write_run(folder, key, done=1)
        os.utime(folder / f"{key}.json", (time.time() - age,) * 2)
    assert [run.key for run in Runs(folder).look()] == ["a", "b", "late", "old"]
