"""Hand results over to TensorBoard or MLflow: params, learning curve, scores, pictures and commit.

Without a revision, those of all experiments, or else of the workspace. A revision is what tools.compare takes. What was handed
over before is replaced. Needs the package tensorboard or mlflow, which set-up does not install.

  python -m tools.hand_over tensorboard
  python -m tools.hand_over mlflow initial 'augmented-seed-*'
"""

import argparse
import hashlib
import io
import json
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image

from classifier.params import flatten, read_yaml
from classifier.results.comparison import outdated
from classifier.results.learning_curve import Epoch, load_curve
from classifier.runtime.console import counted
from classifier.runtime.errors import InputError
from classifier.runtime.files import atomic_write, check_folder
from tools import experiments
from tools.compare import expand
from tools.experiments import WORKSPACE, git
from tools.revisions import fetch

FILES = ("params.yaml", "dvc.lock", "metrics/train.json", "metrics/test.json", "plots/learning_curve.csv")
PICTURES = tuple(f"plots/{name}.png" for name in ("learning_curve", "confusion_matrix", "class_scores", "mistakes"))
EVENTS = "events.out.tfevents.hand_over"  # the same name each time, so that events of another origin beside it are kept
EXPERIMENT = "classifier"  # what MLflow calls a group of runs
REVISION, CHECKSUM = "revision", "checksum"  # tags of a run of MLflow; the second is set when all is written
MOST_METRICS = 1000  # that MLflow takes at a time
MOST_CHARACTERS = 200  # of the name of a metric; MLflow takes 250
MOST_RUNS = 50_000  # that MLflow lists


@dataclass(frozen=True)
class Record:
    """What is handed over of a revision.

    commit
        Its hash; with `-dirty` where files are edited.
    time
        Of the commit, in seconds since 1970, which stands for the end of the training.
    params
        By key, such as `train.epochs`; lists as JSON.
    scores, facts
        Metrics by key, such as `test.recall.cat`: numbers, and others.
    pictures
        PNG files, by name without suffix.
    """

    name: str
    commit: str
    time: float
    params: dict[str, bool | int | float | str]
    curve: list[Epoch]
    scores: dict[str, float]
    facts: dict[str, str]
    pictures: dict[str, bytes]

    def time_of(self, epoch: Epoch) -> float:
        """Return the time at which an epoch ended, in seconds since 1970, if all took the same time."""
        return self.time - self.scores["train.seconds"] * (1 - epoch.epoch / len(self.curve))

    def checksum(self) -> str:
        """Return a checksum of all that is handed over."""
        pictures = {name: hashlib.sha256(content).hexdigest() for name, content in self.pictures.items()}
        text = json.dumps([self.commit, self.params, list(map(vars, self.curve)), self.scores, self.facts, pictures])
        return hashlib.sha256(text.encode()).hexdigest()


def main(command: Sequence[str] | None = None) -> None:
    """Run the tool with the given command line, by default that of the process."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.hand_over", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=TARGETS, help="to which")
    parser.add_argument("revisions", nargs="*", metavar="REVISION", help="as for tools.compare (default: all)")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where to write (default: tensorboard/ or mlruns/)")
    arguments = parser.parse_args(command)
    write, show = TARGETS[arguments.target]
    folder: Path = arguments.output or Path("mlruns" if arguments.target == "mlflow" else arguments.target)
    check_folder(folder)
    for revision in expand(arguments.revisions or experiments.names() or [WORKSPACE]):
        record = load(revision)
        new = write(record, folder)
        parts = f"{counted(len(record.curve), 'epoch')}, {counted(len(record.pictures), 'picture')}"
        print(f"hand_over: {revision}: {parts if new else 'unchanged'}", flush=True)
    print(f"hand_over: {show.format(folder.as_posix())} shows them")


def load(revision: str) -> Record:
    """Return what is handed over of a revision; InputError when it, or one of its results, is missing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fetch(revision, FILES, folder, optional=PICTURES)
        train, test = (json.loads((folder / f"metrics/{part}.json").read_text(encoding="utf-8")) for part in ("train", "test"))
        metrics = flatten({"train": train, "test": test})
        scores = {key: float(value) for key, value in metrics.items() if isinstance(value, int | float)}
        params = flatten(read_yaml(folder / "params.yaml"))
        if keys := outdated(read_yaml(folder / "dvc.lock"), params):
            print(f"hand_over: {revision}: params.yaml has other values than its results: {', '.join(keys)}")
        commit, seconds = commit_of(revision)
        return Record(
            name=revision,
            commit=commit,
            time=seconds,
            params={key: value if isinstance(value, int | float | str) else json.dumps(value) for key, value in params.items()},
            curve=load_curve(folder / "plots/learning_curve.csv"),
            scores=scores,
            facts={key: str(value) for key, value in metrics.items() if key not in scores},
            pictures={path.stem: path.read_bytes() for path in map(folder.joinpath, PICTURES) if path.exists()},
        )


def commit_of(revision: str) -> tuple[str, float]:
    """Return the hash of a revision, and the time of its commit."""
    if revision == WORKSPACE:
        commit, edited = git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    else:
        experiment = experiments.find(revision)
        commit, edited = experiment.commit if experiment else git("rev-parse", f"{revision}^{{commit}}"), False
    return f"{commit}-dirty" if edited else commit, float(git("show", "--no-patch", "--format=%ct", commit))


def write_events(record: Record, folder: Path) -> bool:
    """Write the events of a revision into a folder of its name for TensorBoard, in place of those written before."""
    try:
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams
    except ImportError:
        raise InputError(how_to_install("tensorboard")) from None

    scores = {key.replace(".", "/", 1): value for key, value in record.scores.items()}
    with tempfile.TemporaryDirectory() as name:
        writer: Any = SummaryWriter(name)
        for epoch in record.curve:
            when = record.time_of(epoch)
            for tag, value in curve_values(epoch).items():
                writer.add_scalar(tag, value, epoch.epoch, when)
        last = record.curve[-1].epoch
        for tag, value in scores.items():
            writer.add_scalar(tag, value, last, record.time)
        writer.add_text("commit", record.commit, last, record.time)
        for key, text in record.facts.items():
            writer.add_text(key.replace(".", "/", 1), text, last, record.time)
        for title, content in record.pictures.items():
            pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
            writer.add_image(f"pictures/{title}", pixels, last, record.time, dataformats="HWC")
        compared = {tag: value for tag, value in scores.items() if "/recall." not in tag}
        for summary in hparams(record.params, compared):  # type: ignore[no-untyped-call]
            writer.file_writer.add_summary(summary, last, record.time)
        writer.close()
        (written,) = Path(name).iterdir()
        with atomic_write(folder / quote(record.name, safe="~^@=,+") / EVENTS) as temporary:
            shutil.copyfile(written, temporary)
    return True


def write_run(record: Record, folder: Path) -> bool:
    """Write a revision as a run into the MLflow store in a folder, in place of an earlier one; return False if it is there."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would send over the network that it is used
    try:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param
    except ImportError:
        raise InputError(how_to_install("mlflow")) from None

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # of tables that it makes
    folder.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(f"sqlite:///{(folder / 'mlflow.db').absolute().as_posix()}")
    found = client.get_experiment_by_name(EXPERIMENT)
    artifacts = (folder / "artifacts").absolute().as_uri()
    experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT, artifacts)
    runs = [
        each for each in client.search_runs([experiment], max_results=MOST_RUNS) if each.data.tags.get(REVISION) == record.name
    ]
    checksum = record.checksum()
    if any(each.data.tags.get(CHECKSUM) == checksum for each in runs):
        return False
    for each in runs:
        client.delete_run(each.info.run_id)
    end = round(record.time * 1000)
    tags = {REVISION: record.name, "mlflow.source.git.commit": record.commit, **record.facts}
    start = round((record.time - record.scores["train.seconds"]) * 1000)
    run = client.create_run(experiment, start_time=start, tags=tags, run_name=record.name).info.run_id
    client.log_batch(run, params=[Param(key, str(value)) for key, value in record.params.items()])
    names = accepted_names(record.scores)
    metrics = [Metric(names[key], value, end, record.curve[-1].epoch) for key, value in record.scores.items()]
    for epoch in record.curve:
        when = round(record.time_of(epoch) * 1000)
        metrics += [Metric(tag.replace("/", "."), value, when, epoch.epoch) for tag, value in curve_values(epoch).items()]
    for first in range(0, len(metrics), MOST_METRICS):
        client.log_batch(run, metrics=metrics[first : first + MOST_METRICS])
    with tempfile.TemporaryDirectory() as name:
        for title, content in record.pictures.items():
            picture = Path(name, f"{title}.png")
            picture.write_bytes(content)
            client.log_artifact(run, str(picture), "pictures")
    client.set_tag(run, CHECKSUM, checksum)
    client.set_terminated(run, end_time=end)
    return True


def curve_values(epoch: Epoch) -> dict[str, float]:
    """Return the values of an epoch by their names: first the quantity, so that both splits share a chart or a group."""
    return {
        "loss/training": epoch.train_loss,
        "loss/validation": epoch.validation_loss,
        "accuracy/training": epoch.train_accuracy,
        "accuracy/validation": epoch.validation_accuracy,
        "learning_rate": epoch.learning_rate,
    }


def accepted_names(keys: Iterable[str]) -> dict[str, str]:
    """Return names of metrics that MLflow accepts, each different, by key: the name of a class may have any character."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for number, key in enumerate(keys):
        name = re.sub(r"[^\w. -]", "_", key)[:MOST_CHARACTERS]
        names[key] = f"{name}_{number}" if name in taken else name
        taken.add(names[key])
    return names


def how_to_install(package: str) -> str:
    """Return the line for a package that is missing."""
    installer = "pip" if find_spec("pip") else "uv pip"
    return f"{sys.executable} lacks {package}: run {sys.executable} -m {installer} install {package}"


# How a revision is written, and the command that shows a folder of them.
TARGETS: dict[str, tuple[Callable[[Record, Path], bool], str]] = {
    "tensorboard": (write_events, "tensorboard --logdir {}"),
    "mlflow": (write_run, "mlflow ui --backend-store-uri sqlite:///{}/mlflow.db"),
}


if __name__ == "__main__":
    main()
