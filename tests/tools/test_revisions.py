from pathlib import Path
from typing import Any

import pytest

from classifier.runtime.errors import InputError
from tests.conftest import ROOT
from tools import experiments, revisions


class EmptyFileSystem:
    """A revision whose outputs are in no cache."""

    def __init__(self, **_: Any) -> None:
        pass

    def get_file(self, path: str, _: str) -> None:
        raise FileNotFoundError(path)


@pytest.mark.parametrize(
    ("name", "command"), [("initial", "make variant NAME=initial"), ("mine", "dvc exp apply mine; make repro")]
)
def test_a_revision_without_its_model_names_the_command_that_makes_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, command: str
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(revisions, "DVCFileSystem", EmptyFileSystem)
    monkeypatch.setattr(experiments, "find", lambda name: experiments.Experiment(f"refs/exps/aa/bbbb/{name}", "0" * 40))
    monkeypatch.setattr(experiments, "git", lambda *_: "")
    with pytest.raises(InputError) as raised:
        revisions.fetch(name, ["models/classifier.pt"], tmp_path)
    assert str(raised.value) == (
        f"{name}: its results are not here (models/classifier.pt); dvc pull may bring them, or run it again: {command}"
    )
