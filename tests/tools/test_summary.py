import json
from pathlib import Path

import pytest

from tools.summary import summary


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (False, "dvc plots diff digits digits        its curves and matrix as a page\n"),
        (True, "dvc plots diff digits               curves and matrices beside those of the workspace\n"),
    ],
)
def test_the_next_steps_say_what_they_show_also_where_the_workspace_has_no_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: bool, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, values in {
        "test": {"accuracy": 0.98, "accuracy_low": 0.97, "accuracy_high": 0.99},
        "train": {"seconds": 3.0, "best_epoch": 2},
    }.items():
        Path("demo/metrics").mkdir(parents=True, exist_ok=True)
        Path(f"demo/metrics/{name}.json").write_text(json.dumps(values))
    if results:
        Path("plots").mkdir()
        Path("plots/learning_curve.csv").touch()
    assert expected in summary(Path("demo"), "digits")
