import pytest

from tools import experiments
from tools.compare import known_experiments


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["augmented", "initial"], " (did you mean augmented?); there are augmented, initial"),
        (["initial"], "; there are initial"),
        ([], "; there are no experiments: make study runs those of the study"),
    ],
)
def test_an_unknown_name_lists_the_experiments_and_the_nearest(
    monkeypatch: pytest.MonkeyPatch, names: list[str], expected: str
) -> None:
    monkeypatch.setattr(experiments, "names", lambda: names)
    assert known_experiments("augmentd") == expected
