import dataclasses
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from classifier.runtime.errors import InputError
from tests.conftest import ROOT
from tools import hand_over
from tools.hand_over import EVENTS, Record, accepted_names, load, write_events, write_run

PUBLISHED = ROOT / "docs/study/experiments"


def needs(package: str) -> pytest.MarkDecorator:
    spec = find_spec(package)  # without an origin where it is a folder of that name
    return pytest.mark.skipif(not (spec and spec.origin), reason=f"needs {package}: pip install {package}")


needs_tensorboard, needs_mlflow = needs("tensorboard"), needs("mlflow")


@pytest.fixture(autouse=True)
def revisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the published results for experiments."""

    def fetch(revision: str, paths: Sequence[str], folder: Path, optional: Sequence[str] = ()) -> None:
        for path in (*paths, *optional):
            if path in paths or (PUBLISHED / revision / path).exists():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(PUBLISHED / revision / path, folder / path)

    monkeypatch.setattr(hand_over, "fetch", fetch)
    monkeypatch.setattr(hand_over, "commit_of", lambda revision: (f"hash of {revision}", 1.5e9))
    monkeypatch.setattr("tools.experiments.names", lambda: ["augmented-seed-1", "initial"])


@pytest.fixture
def record() -> Record:
    """Results of two epochs, with class names that MLflow refuses."""
    record = load("augmented")
    scores = {"test.recall.c++": 0.25, "test.recall.c--": 0.5, "test.recall.c__": 0.75} | record.scores
    return dataclasses.replace(record, name="a/b", curve=record.curve[:2], scores=scores)


def test_params_curve_scores_and_pictures_are_those_of_the_results() -> None:
    record = load("augmented")
    assert (record.params["train.epochs"], record.params["network.widths"]) == (15, "[8, 16, 32, 64, 128, 256]")
    assert (record.scores["test.accuracy"], record.scores["test.recall.cat"], record.scores["train.best_epoch"]) == (
        0.8428,
        0.734,
        14,
    )
    assert (record.facts["train.device"], record.facts["test.views"]) == ("cpu", "plain")
    assert len(record.curve) == 15
    assert record.time_of(record.curve[-1]) == record.time
    assert record.time_of(record.curve[0]) == pytest.approx(record.time - record.scores["train.seconds"] * 14 / 15)
    assert sorted(record.pictures) == ["class_scores", "confusion_matrix", "learning_curve", "mistakes"]
    assert load("augmented-seed-1").pictures == {}


def test_the_names_of_metrics_are_those_that_mlflow_accepts_and_differ() -> None:
    names = accepted_names(["test.recall.c++", "test.recall.c--", "test.recall.c__", "späte Äpfel", "a/b<c>", "x" * 300])
    assert list(names.values())[:5] == ["test.recall.c__", "test.recall.c--", "test.recall.c___2", "späte Äpfel", "a_b_c_"]
    assert len(names["x" * 300]) == 200


@pytest.mark.parametrize(("target", "module"), [("tensorboard", "torch.utils.tensorboard"), ("mlflow", "mlflow")])
def test_a_package_that_is_missing_is_one_line_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError) as raised:
        hand_over.main([target, "augmented", "--output", str(tmp_path / "new")])
    assert f"lacks {target}: run {sys.executable} -m " in str(raised.value)
    assert str(raised.value).endswith(f"pip install {target}")
    assert not (tmp_path / "new").exists()


def test_without_revisions_all_experiments_are_handed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[str] = []

    def write(record: Record, _: Path) -> bool:
        written.append(record.name)
        return record.name == "initial"

    monkeypatch.setitem(hand_over.TARGETS, "mlflow", (write, "look {}"))
    hand_over.main(["mlflow", "--output", str(tmp_path)])
    assert written == ["augmented-seed-1", "initial"]
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "hand_over: augmented-seed-1: unchanged",
        "hand_over: initial: 15 epochs, 4 pictures",
        f"hand_over: look {tmp_path.as_posix()} shows them",
    ]


@needs_tensorboard
def test_tensorboard_reads_what_was_handed_over_and_a_second_time_nothing_is_double(record: Record, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "a%2Fb"
    for _ in range(2):
        write_events(record, tmp_path)
        assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["a%2Fb", f"a%2Fb/{EVENTS}"]
    events = EventAccumulator(str(folder)).Reload()
    curve = [(event.step, event.wall_time, event.value) for event in events.Scalars("accuracy/validation")]
    assert curve == [
        (epoch.epoch, pytest.approx(record.time_of(epoch)), pytest.approx(epoch.validation_accuracy)) for epoch in record.curve
    ]
    assert [event.value for event in events.Scalars("test/accuracy")] == [pytest.approx(0.8428)]
    assert [event.value for event in events.Scalars("test/recall.c++")] == [0.25]
    assert len(events.Images("pictures/confusion_matrix")) == 1
    assert events.Tensors("commit/text_summary")[0].tensor_proto.string_val == [b"hash of augmented"]
    (started,) = [
        data
        for tag, data in events.summary_metadata.items()
        if tag == "_hparams_/session_start_info" and b"train.epochs" in data.plugin_data.content
    ]
    assert b"[8, 16, 32, 64, 128, 256]" in started.plugin_data.content


@needs_tensorboard
def test_events_of_another_origin_are_kept(record: Record, tmp_path: Path) -> None:
    other = tmp_path / "a%2Fb/events.out.tfevents.1"
    other.parent.mkdir()
    other.write_bytes(b"mine")
    write_events(record, tmp_path)
    assert other.read_bytes() == b"mine"


@needs_mlflow
def test_mlflow_reads_what_was_handed_over_and_a_second_time_nothing_is_double(record: Record, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    def runs() -> Any:
        return client.search_runs([experiment.experiment_id])

    assert write_run(record, tmp_path)
    assert write_run(dataclasses.replace(record, name="other"), tmp_path)
    assert not write_run(record, tmp_path)
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("classifier")
    assert sorted(run.info.run_name for run in runs()) == ["a/b", "other"]
    (run,) = [run for run in runs() if run.info.run_name == "a/b"]
    assert run.data.params == {key: str(value) for key, value in record.params.items()}
    assert (run.data.metrics["test.accuracy"], run.data.metrics["test.recall.c__"]) == (0.8428, 0.25)
    assert (run.data.tags["mlflow.source.git.commit"], run.data.tags["train.device"]) == ("hash of augmented", "cpu")
    history = client.get_metric_history(run.info.run_id, "accuracy.validation")
    assert [(each.step, each.value) for each in history] == [(epoch.epoch, epoch.validation_accuracy) for epoch in record.curve]
    assert (run.info.status, run.info.end_time) == ("FINISHED", 1.5e12)
    assert sorted(Path(file.path).name for file in client.list_artifacts(run.info.run_id, "pictures")) == [
        f"{name}.png" for name in sorted(record.pictures)
    ]

    changed = dataclasses.replace(record, scores=record.scores | {"test.accuracy": 0.9})
    client.delete_tag(next(run for run in runs() if run.info.run_name == "other").info.run_id, "checksum")  # as if interrupted
    assert write_run(changed, tmp_path)
    assert write_run(dataclasses.replace(record, name="other"), tmp_path)
    assert {run.info.run_name: run.data.metrics["test.accuracy"] for run in runs()} == {"a/b": 0.9, "other": 0.8428}
    assert len(runs()) == 2


@needs_mlflow
def test_mlflow_takes_the_curve_of_a_long_training(record: Record, tmp_path: Path) -> None:
    epochs = [dataclasses.replace(record.curve[0], epoch=number) for number in range(1, 302)]
    assert write_run(dataclasses.replace(record, curve=epochs), tmp_path)
