import pytest

from tests.conftest import ROOT
from tools.model_card import reproducing_command


@pytest.mark.parametrize(
    ("name", "experiment", "command"),
    [
        ("workspace", False, "make repro"),
        ("initial", True, "make variant NAME=initial"),
        ("augmented-seed-2", True, "python -m tools.variant augmented --seeds 2"),
        ("initial-train.epochs=3", True, "dvc exp apply initial-train.epochs=3\nmake repro"),
        ("classifier@v1.0.0", False, "git checkout classifier@v1.0.0\nmake repro"),
    ],
)
def test_a_card_names_the_command_that_trains_the_model_again(
    monkeypatch: pytest.MonkeyPatch, name: str, experiment: bool, command: str
) -> None:
    monkeypatch.chdir(ROOT)
    assert reproducing_command(name, experiment=experiment) == command
