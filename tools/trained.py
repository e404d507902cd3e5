"""Trained models that tools use: that of the workspace, of another revision, or a bare file, with its views."""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from classifier.networks.model_file import Model, load_model
from classifier.params import Views
from classifier.runtime.errors import InputError
from classifier.runtime.files import read_output
from tools.experiments import WORKSPACE

MODEL = Path("models/classifier.pt")
METRICS = Path("metrics/test.json")
RESULTS = ("params.yaml", "dvc.lock", "metrics/train.json", METRICS.as_posix(), "plots/confusion_matrix.csv", "pyproject.toml")
PREDICTIONS = Path("data/predictions.npz")


@dataclass(frozen=True)
class Trained:
    """A trained model as it is to be used.

    views
        Versions of an image whose logits are averaged.
    results
        Folder in which metrics and other results of the revision lie, as far as there are any; None for a bare model file.
    name
        Of the revision or of the file.
    """

    model: Model
    views: Views
    results: Path | None
    name: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose a model."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--model", type=Path, metavar="FILE", help=f"a model file (default: {MODEL} of the workspace)")
    source.add_argument("--rev", metavar="REVISION", help="experiment, tag, branch or commit whose model is taken")
    parser.add_argument(
        "--views", choices=get_args(Views), help="versions of an image (default: as in the metrics of the revision, or plain)"
    )


@contextmanager
def open_model(arguments: argparse.Namespace) -> Iterator[Trained]:
    """Yield the model that the options of `add_arguments` choose.

    Raises
    ------
    InputError
        When there is no such revision or file, or the file is damaged.
    """
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.model:
            folder, path, name = None, arguments.model, str(arguments.model)
        elif arguments.rev and arguments.rev != WORKSPACE:
            folder, name = Path(temporary), arguments.rev
            path = folder / MODEL
            from tools.revisions import fetch  # DVC takes a second to import

            fetch(name, [MODEL.as_posix()], folder, optional=[*RESULTS, PREDICTIONS.as_posix()])
        else:
            folder, path, name = Path(), MODEL, WORKSPACE
        if not path.exists():
            raise InputError(f"{path}: no such file; make repro trains a model, and --rev NAME takes that of an experiment")
        yield Trained(load_model(path), arguments.views or _views(folder), folder, name)


def _views(folder: Path | None) -> Views:
    """Return the views with which a revision was evaluated, or `plain`."""
    if folder is None:
        return "plain"
    if not (folder / METRICS).exists():
        print(f"{METRICS} is missing: views are plain; dvc repro evaluates the model", file=sys.stderr)
        return "plain"
    with read_output(folder / METRICS, "evaluate"):
        views: Views = json.loads((folder / METRICS).read_text(encoding="utf-8")).get("views", "plain")
        if views not in get_args(Views):
            raise ValueError(f"views {views}")
        return views
