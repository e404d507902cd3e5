"""Model cards of revisions, as tools.export and tools.publish write them."""

import csv
import json
import re
import tomllib
from pathlib import Path

from classifier.params import read_yaml
from classifier.results.model_card import model_card
from classifier.runtime.files import atomic_write, read_output
from classifier.variants import variant_names
from tools.experiments import WORKSPACE

CARD = "model_card.md"
# From the root of the project; a card is made of these.
SOURCES = ("dvc.lock", "metrics/train.json", "metrics/test.json", "plots/confusion_matrix.csv", "pyproject.toml")


def write_card(name: str, results: Path, target: Path, *, experiment: bool) -> None:
    """Write the card of a revision, for which SOURCES lie in the folder `results`.

    Parameters
    ----------
    name
        Of the revision.
    experiment
        Whether it is an experiment.

    Raises
    ------
    InputError
        When one of the files is missing or damaged.
    """
    with read_output(results / "metrics", "evaluate"):
        train, test = (json.loads((results / f"metrics/{part}.json").read_text(encoding="utf-8")) for part in ("train", "test"))
        with (results / "plots/confusion_matrix.csv").open(newline="", encoding="utf-8") as file:
            confusions = [(row["actual"], row["predicted"], int(row["count"])) for row in csv.DictReader(file)]
        version = tomllib.loads((results / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
        lock = read_yaml(results / "dvc.lock")
        card = model_card(name, lock, train, test, confusions, version, reproducing_command(name, experiment=experiment))
    with atomic_write(target) as temporary:
        temporary.write_text(card, encoding="utf-8")


def reproducing_command(name: str, *, experiment: bool) -> str:
    """Return the command that trains the model of a revision again."""
    variant, _, seed = name.partition("-seed-")
    if experiment and variant in variant_names() and re.fullmatch(r"\d*", seed):
        return f"python -m tools.variant {variant} --seeds {seed}" if seed else f"make variant NAME={variant}"
    if experiment:
        return f"dvc exp apply {name}\nmake repro"
    return "make repro" if name == WORKSPACE else f"git checkout {name}\nmake repro"
