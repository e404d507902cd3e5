"""The stages run by hand in a temporary folder on tiny data: unusual data sets, damaged files, a full disk."""

import csv
import errno
import fcntl
import gzip
import importlib
import io
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from classifier.params import parse_yaml
from tests.archives import accept, cifar10_batches, cifar100_batches, idx, mnist_arrays, pickled, register, tiny_cifar10, write
from tests.conftest import ROOT, parameters

Change = Callable[[dict[str, Any]], None]


class Workspace:
    """A folder in which the stages run in this process."""

    def __init__(
        self, folder: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self.finished = finished
        self.monkeypatch = monkeypatch
        self.capsys = capsys
        self.values = parse_yaml(parameters(), "params.yaml")
        self.values["network"] |= {"widths": [4, 8], "hidden_width": 8}
        self.values["train"] |= {"epochs": 2, "batch_size": 16}
        self.values["data"]["validation_fraction"] = 0.2
        self.values["plot"] |= {"mistakes": 2, "dots_per_inch": 20}
        monkeypatch.chdir(folder)

    def use(self, batches: dict[str, Any]) -> None:
        """Make these batches the data set."""
        tiny_cifar10(self.folder / "source", self.monkeypatch, batches)
        self.values["data"]["sources"] = ["source"]

    def run(self, *stages: str) -> None:
        """Run stages, each to its end."""
        (self.folder / "params.yaml").write_text(yaml.safe_dump(self.values), encoding="utf-8")
        for stage in stages:
            self.monkeypatch.setattr(sys, "argv", [f"stages.{stage}"])
            importlib.import_module(f"stages.{stage}").main()

    def finish(self) -> None:
        """Have all stages run on the usual data; only the first of the tests runs them."""
        if self.finished.exists():
            shutil.copytree(self.finished, self.folder, dirs_exist_ok=True)
        else:
            self.run(*ALL)
            shutil.copytree(self.folder, self.finished)

    def fails(self, stage: str) -> str:
        """Run a stage that fails, and return the line that says why."""
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            self.run(stage)
        assert stopped.value.code == 1
        line = self.capsys.readouterr().err.removesuffix("\n")
        assert line.isprintable(), line
        assert line.startswith(f"{stage}: ")
        return line

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def results(self) -> dict[str, bytes]:
        """The files of the stages without checkpoints."""
        return {name: content for name, content in self.files().items() if not name.startswith("checkpoints/")}

    def files(self) -> dict[str, bytes]:
        """Return what the stages have written so far."""
        folders = ("data", "models", "metrics", "plots", "checkpoints")
        paths = [path for name in folders for path in (self.folder / name).rglob("*") if path.is_file()]
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that a test fills with the results of all stages."""
    return tmp_path_factory.mktemp("finished") / "workspace"


@pytest.fixture
def workspace(tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Workspace:
    workspace = Workspace(tmp_path, finished, monkeypatch, capsys)
    workspace.use(cifar10_batches(images_per_class=2))
    return workspace


ALL = ("download", "preprocess", "weights", "train", "evaluate", "plot")
OUTPUTS = {
    "download": ["data/raw/cifar-10-batches-py/data_batch_1"],
    "preprocess": [
        *(f"data/processed/{name}.safetensors" for name in ("train", "validation", "test")),
        "data/processed/dataset.json",
    ],
    "weights": ["models/pretrained/source.json"],
    "train": ["models/classifier.pt", "plots/learning_curve.csv", "metrics/train.json"],
    "evaluate": [
        "metrics/test.json",
        "plots/confusion_matrix.csv",
        "data/predictions.npz",
        "data/mistakes.npz",
        "data/mistakes.csv",
    ],
    "plot": [f"plots/{name}.png" for name in ("learning_curve", "confusion_matrix", "class_scores", "mistakes")],
}


def without(label: int, *names: str) -> Change:
    def change(batches: dict[str, Any]) -> None:
        for name in names:
            keep = np.array(batches[name]["labels"]) != label
            batches[name] |= {"data": batches[name]["data"][keep], "labels": np.array(batches[name]["labels"])[keep].tolist()}

    return change


TRAIN = [f"data_batch_{number}" for number in range(1, 6)]


@pytest.mark.parametrize("name", ["cifar100", "fashion_mnist"])
def test_a_hundred_classes_and_grey_images_pass_all_stages(workspace: Workspace, name: str) -> None:
    from torchvision.datasets import CIFAR100

    if name == "cifar100":
        contents = pickled(cifar100_batches())
        accept(workspace.monkeypatch, CIFAR100, contents)
        files = {f"{CIFAR100.base_folder}/{file}": content for file, content in contents.items()}
        workspace.values["data"]["validation_fraction"] = 0.5
    else:
        files = {f"FashionMNIST/raw/{file}": idx(array) for file, array in mnist_arrays().items()}
    write(workspace.folder / "source" / name, {f"{file}.gz": gzip.compress(content) for file, content in files.items()})
    register(workspace.monkeypatch, name, files)
    workspace.values["data"]["name"] = name
    workspace.values["evaluate"]["views"] = "shifted"
    workspace.run(*ALL)
    assert set(workspace.files()) >= {path for stage in ALL[1:] for path in OUTPUTS[stage]} | {
        f"data/raw/{file}" for file in files
    }
    recall = workspace.json("metrics/test.json")["recall"]
    with (workspace.folder / "plots/confusion_matrix.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(recall) ** 2
    assert {row["actual"] for row in rows} == set(recall)


def test_a_class_without_a_single_image_is_scored_as_nothing(workspace: Workspace) -> None:
    batches = cifar10_batches()
    without(3, *TRAIN, "test_batch")(batches)
    workspace.use(batches)
    workspace.run(*ALL)
    metrics = workspace.json("metrics/test.json")
    assert metrics["recall"]["cat"] == 0
    assert metrics["images"] == 18
    with (workspace.folder / "plots/confusion_matrix.csv").open() as file:
        assert sum(int(row["count"]) for row in csv.DictReader(file) if row["actual"] == "cat") == 0


def test_a_test_split_without_a_class_is_scored(workspace: Workspace) -> None:
    batches = cifar10_batches()
    without(0, "test_batch")(batches)
    workspace.use(batches)
    workspace.run(*ALL)
    assert workspace.json("metrics/test.json")["recall"]["airplane"] == 0


def test_a_test_split_of_one_image_is_scored(workspace: Workspace) -> None:
    batches = cifar10_batches()
    batches["test_batch"] = {"data": batches["test_batch"]["data"][:1], "labels": [4]}
    workspace.use(batches)
    workspace.run(*ALL)
    metrics = workspace.json("metrics/test.json")
    assert metrics["images"] == 1
    assert metrics["accuracy"] in (0, 1)
    assert 0 <= metrics["accuracy_low"] <= metrics["accuracy"] <= metrics["accuracy_high"] <= 1


def test_one_training_image_cannot_be_divided(workspace: Workspace) -> None:
    batches = cifar10_batches()
    for name in TRAIN:
        batches[name] = {"data": batches[name]["data"][:0], "labels": []}
    batches["data_batch_1"] = {"data": np.zeros((1, 3072), dtype=np.uint8), "labels": [0]}
    workspace.use(batches)
    workspace.run("download")
    assert "cannot hold out 0.2 of 1 images for validation" in workspace.fails("preprocess")


@contextmanager
def limited(what: int, limit: int) -> Iterator[None]:
    """Have this process do with less of a resource, a number of the module `resource`."""
    before = resource.getrlimit(what)
    resource.setrlimit(what, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(what, before)


def test_the_stages_run_without_what_only_linux_has(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_file(file: Any, *arguments: Any, **options: Any) -> Any:
        if str(file).startswith("/proc"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
        return opened(file, *arguments, **options)

    def fsync(descriptor: int) -> None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))  # as Windows does
        flush(descriptor)

    for stage in ALL:  # so that libraries are imported on the system that they were installed for
        importlib.import_module(f"stages.{stage}")
    importlib.import_module("classifier.data.sources")
    opened, flush = open, os.fsync
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(io, "open", open_file)
    monkeypatch.setattr("builtins.open", open_file)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.delattr(signal, "SIGHUP")
    for name in ("fcntl", "resource"):
        monkeypatch.setitem(sys.modules, name, None)
    workspace.run(*ALL)
    assert set(itertools.chain(*OUTPUTS.values())) <= workspace.files().keys()


@pytest.mark.parametrize("stage", ALL)
@pytest.mark.parametrize(("module", "step"), [(os, "fsync"), (Path, "replace")])
def test_a_disk_that_fills_up_at_any_file_leaves_all_results_of_before(
    workspace: Workspace, stage: str, module: object, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.finish()
    whole = workspace.results()
    if stage == "download":  # which has nothing to do where the files are right
        for path in filter(Path.is_file, (workspace.folder / "data/raw").rglob("*")):
            path.write_text("older")
    before = workspace.results()
    original = getattr(module, step)
    for full_at in itertools.count(1):
        calls = itertools.count(1)

        def full(*arguments: Any, calls: Iterator[int] = calls, full_at: int = full_at) -> Any:
            if next(calls) == full_at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(module, step, full)
            try:
                workspace.run(stage)
                break
            except SystemExit as failed:
                status = failed.code
        line = workspace.capsys.readouterr().err
        assert status == 1
        assert line.startswith(f"{stage}: ")
        assert line.endswith(": No space left on device\n")
        assert line.count("\n") == 1
        assert workspace.results() == before
        (workspace.folder / "checkpoints/train.pt").unlink(missing_ok=True)
    assert full_at > len(OUTPUTS[stage]), "each file in its turn was the one for which there is no room"
    after = workspace.results()
    assert {name for name in whole if after[name] != whole[name]} <= {"metrics/train.json"}, "which holds times"
    assert after.keys() == whole.keys()


def damages(content: bytes) -> Iterator[bytes]:
    """A file cut short, emptied, replaced by a page, and with one wrong bit at each of many places."""
    yield b""
    yield content[: len(content) // 2]
    yield b"<html>Please log in</html>"
    for place in np.random.default_rng(0).integers(len(content), size=20).tolist():
        yield content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("data/raw/cifar-10-batches-py/data_batch_1", "preprocess"),
        ("data/processed/train.safetensors", "train"),
        ("data/processed/validation.safetensors", "train"),
        ("data/processed/dataset.json", "train"),
        ("data/processed/test.safetensors", "evaluate"),
        ("models/classifier.pt", "evaluate"),
        ("data/predictions.npz", "plot"),
        ("data/mistakes.npz", "plot"),
    ],
)
def test_a_damaged_file_is_refused_or_does_not_change_the_result(workspace: Workspace, name: str, stage: str) -> None:
    workspace.finish()
    before = workspace.files()
    refused = 0
    for damaged in damages(before[name]):
        (workspace.folder / name).write_bytes(damaged)
        try:
            workspace.run(stage)
        except SystemExit:
            refused += 1
        after = workspace.files()
        assert {key for key in before if after[key] != before[key]} <= {name, "metrics/train.json"}
    assert refused >= 4
    (workspace.folder / name).write_bytes(b"")
    assert "run the" in workspace.fails(stage)


def test_a_training_that_diverges_names_epoch_and_step_and_keeps_what_was_there(workspace: Workspace) -> None:
    workspace.finish()
    before = workspace.files()
    workspace.values["train"] |= {"optimizer": "sgd", "learning_rate": 1000.0, "epochs": 9}
    line = workspace.fails("train")
    assert "epoch " in line
    assert "step " in line
    assert "train.learning_rate" in line
    after = workspace.files()
    after.pop("checkpoints/train.pt", None)
    assert after == before


@pytest.mark.parametrize(
    "options", [{}, {"patience": 2, "class_weights": "balanced", "temperature": "validation"}], ids=["default", "options"]
)
def test_a_training_that_failed_resumes_says_so_and_ends_with_the_same_bytes(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: dict[str, Any]
) -> None:
    from classifier.training.trainer import Training

    monkeypatch.setenv("CLASSIFIER_CHECKPOINT_SECONDS", "0")
    workspace.values["train"] |= {"epochs": 3, **options}
    workspace.run("download", "preprocess", "train")
    before = workspace.files()
    for done, epochs, steps in ((3, 0, 3), (5, 0, 5), (7, 1, 2), (12, 2, 2)):
        batch = Training._batch
        count = 0

        def stop(self: Training, *arguments: Any, after: int = done, batch: Any = batch) -> Any:
            nonlocal count
            count += 1
            if count > after:
                raise MemoryError
            return batch(self, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(Training, "_batch", stop)
            assert workspace.fails("train") == "train: out of memory"
        assert (workspace.folder / "checkpoints/train.pt").exists()
        workspace.run("train")
        assert f"{epochs} of 3 epochs done, and {steps} of 5 steps of the next" in capsys.readouterr().out
        after = workspace.files()
        assert {name for name in before if after[name] != before[name]} <= {"metrics/train.json"}
        assert after.keys() == before.keys(), "the checkpoint is gone"


def test_params_edited_while_a_training_runs_give_no_result_under_the_new_values(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from classifier.training.trainer import Training

    workspace.finish()
    before = workspace.files()
    params = workspace.folder / "params.yaml"
    epoch = Training.run_epoch

    def edit(training: Training, after_step: Callable[[int], object]) -> object:
        params.write_text(params.read_text().replace("confusions: 8", "confusions: 9").replace("seed: 3", "seed: 4"))
        return epoch(training, after_step)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "run_epoch", edit)
        workspace.run("train")  # what the training does not use may be edited
        workspace.values["train"]["seed"] = 3
        line = workspace.fails("train")
    assert "edited while the training ran: train.seed was 3, is 4" in line
    times = {"metrics/train.json", "checkpoints/train.pt"}
    assert {name: content for name, content in workspace.files().items() if name not in times} == {
        name: content for name, content in before.items() if name not in times
    }
    workspace.run("train")
    assert "2 of 2 epochs done" in capsys.readouterr().out


RESTARTING = """
import os, sys
from pathlib import Path
from classifier.runtime import load
load.SECONDS = load.RESTART_SECONDS = 0.0
starts = Path("starts")
with starts.open("a") as file:
    print(os.getpid(), os.environ.get(load.SPIN_COUNT), file=file)
lines = starts.read_text().splitlines()
def measure(self, threads):  # idle before PyTorch is imported, then busy; idle after a restart
    self.slowed = len(lines) == 1 and "torch" in sys.modules
load.Load._measure = measure
load.Load.seconds_of_restart = lambda self: 0.0 if self.restarted_at is None else 1000.0
from stages.train import main
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="restarts on Linux alone")
def test_a_training_that_restarts_to_let_its_threads_wait_differently_ends_with_the_same_bytes(workspace: Workspace) -> None:
    workspace.values["train"]["epochs"] = 3
    workspace.run("download", "preprocess")
    environment = os.environ | {"OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)}
    results = []
    for program in ("from stages.train import main; main()", RESTARTING):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        results.append(workspace.results())
    before, after = results
    assert {name for name in before if after[name] != before[name]} == {"metrics/train.json"}, "which holds times"
    assert after.keys() == before.keys()
    seconds, with_restarts = (json.loads(each["metrics/train.json"])["seconds"] for each in results)
    assert seconds < 1000, "or the next line shows nothing"
    assert with_restarts > 2000, "the time of both restarts counts"
    assert done.stdout.count("train: resuming from checkpoints/train.pt: ") == 2
    starts = [line.split() for line in (workspace.folder / "starts").read_text().splitlines()]
    assert [count for _, count in starts] == ["None", "0", "None"]
    assert len({process for process, _ in starts}) == 1, "the same process for DVC"


def fill_disk(patch: pytest.MonkeyPatch) -> None:
    """Leave no room for the model, so that the checkpoint of a whole training stays."""

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    patch.setattr("classifier.networks.model_file.save_model", full_disk)


def test_another_number_of_epochs_starts_over_and_says_why(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.run("download", "preprocess")
    with monkeypatch.context() as patch:
        fill_disk(patch)
        assert "No space left on device" in workspace.fails("train")
    workspace.values["train"]["epochs"] = 3
    workspace.run("train")
    assert "is of another training run (train.epochs was 2, is 3); starting over" in capsys.readouterr().out


def test_a_checkpoint_of_another_model_of_processor_starts_over_and_says_why(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.run("download", "preprocess")
    with monkeypatch.context() as patch:
        fill_disk(patch)
        patch.setattr("classifier.networks.device.processor_model", lambda: "Other CPU")
        workspace.fails("train")
    workspace.run("train")
    assert "is of another training run (processor was Other CPU, is " in capsys.readouterr().out


def test_the_scores_of_train_and_evaluate_are_those_of_float32_whatever_the_precision_of_the_training(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from classifier.networks import inference

    precisions: list[str] = []
    whole = inference.predict

    def predict(network: Any, images: Any, device: Any, *views: Any) -> Any:
        precisions.append(device.precision)
        return whole(network, images, device, *views)

    for module in ("classifier.networks.inference", "classifier.training.trainer"):
        monkeypatch.setattr(f"{module}.predict", predict)
    workspace.values["train"]["precision"] = "bfloat16"
    workspace.run("download", "preprocess", "train", "evaluate")
    # Two epochs, whose curve is that of the training's precision; then training and validation split, and the test split.
    assert precisions == ["bfloat16", "bfloat16", "float32", "float32", "float32"]
    assert {"training_accuracy", "validation_accuracy", "validation_loss", "processor"} <= set(
        workspace.json("metrics/train.json")
    )


def test_a_temperature_changes_loss_and_calibration_but_no_weight_and_no_prediction(workspace: Workspace) -> None:
    from classifier.networks.model_file import load_model

    results = []
    for name in ("none", "validation"):
        workspace.values["train"]["temperature"] = name
        workspace.run("download", "preprocess", "train", "evaluate")
        model = load_model(workspace.folder / "models/classifier.pt")
        results.append((model, workspace.json("metrics/test.json"), workspace.results()))
    (plain, before, files), (model, after, files_after) = results
    assert (plain.temperature, before["temperature"]) == (1, 1)
    assert model.temperature == after["temperature"] != 1
    assert all(torch.equal(model.weights[name], weight) for name, weight in plain.weights.items())
    for name in ("plots/learning_curve.csv", "plots/confusion_matrix.csv"):
        assert files_after[name] == files[name]
    assert after["accuracy"] == before["accuracy"]
    assert after["loss"] != before["loss"]
    assert after["calibration_error"] != before["calibration_error"]
    errors = {metrics["calibration_error_without_temperature"] for metrics in (before, after)}
    assert errors == {before["calibration_error"]}


def test_a_training_that_ends_early_counts_the_epochs_that_were_run(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("classifier.training.trainer.Training.seconds", 2.0)
    workspace.values["train"] |= {"epochs": 100, "patience": 1}
    workspace.run("download", "preprocess", "train")
    with (workspace.folder / "plots/learning_curve.csv").open() as file:
        epochs = len(list(csv.DictReader(file)))
    metrics = workspace.json("metrics/train.json")
    assert epochs == metrics["best_epoch"] + 1 < 100
    assert metrics["images_per_second"] == 80 * epochs / 2
    assert f"best epoch {epochs - 1} of {epochs}, " in capsys.readouterr().out


def test_classes_of_very_different_sizes_are_named_before_the_training(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.run("download", "preprocess", "train")
    assert "train.class_weights" not in capsys.readouterr().out
    batches = cifar10_batches()
    without(3, *TRAIN)(batches)
    workspace.use(batches)
    workspace.run("download", "preprocess", "train")
    expected = "train: airplane has 8 training images and cat 0: see train.class_weights in params.yaml and balanced_accuracy"
    assert expected in capsys.readouterr().out


def test_a_device_that_is_not_there_is_one_line(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    workspace.finish()
    workspace.values["train"]["device"] = "cuda"
    for stage in ("train", "evaluate"):
        assert "train.device: cuda is not available on this machine" in workspace.fails(stage)


def test_too_large_a_network_is_out_of_memory_in_one_line(workspace: Workspace) -> None:
    workspace.run("download", "preprocess")
    workspace.values["network"] |= {"widths": [4096], "hidden_width": 65536}
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    with limited(resource.RLIMIT_AS, used + 2**30):
        assert workspace.fails("train") == "train: out of memory"


@pytest.mark.parametrize("stage", ALL)
def test_help_says_what_a_stage_reads_and_writes(
    stage: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [f"stages.{stage}", "--help"])
    with pytest.raises(SystemExit, match="0"):
        importlib.import_module(f"stages.{stage}").main()
    shown = capsys.readouterr().out
    assert "reads " in shown
    assert "writes " in shown


def test_data_of_another_data_set_than_params_name_is_refused(workspace: Workspace) -> None:
    workspace.finish()
    workspace.values["data"]["name"] = "digits"
    for stage in ("train", "evaluate"):
        line = workspace.fails(stage)
        assert "images of 32x32x3, but data.name in params.yaml is digits, whose images are 8x8x1; run the download" in line


def test_no_setting_of_matplotlib_from_outside_changes_the_pictures(workspace: Workspace) -> None:
    workspace.finish()
    pictures = {name: workspace.files()[name] for name in OUTPUTS["plot"]}
    settings = "font.size: 20\nfigure.facecolor: black\ntext.usetex: True\nfont.family: serif\nbackend: Qt5Agg\n"
    home = workspace.folder / "home"
    for folder in (workspace.folder, home / ".config/matplotlib"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "matplotlibrc").write_text(settings)
    outside = {"HOME": str(home), "PYTHONPATH": str(ROOT), "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    command = [sys.executable, "-m", "stages.plot"]
    subprocess.run(command, cwd=workspace.folder, env=os.environ | outside, check=True, capture_output=True)
    assert {name: workspace.files()[name] for name in OUTPUTS["plot"]} == pictures
