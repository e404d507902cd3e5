from pathlib import Path

import pytest

from tools.experiments import git
from tools.publish import restore


def test_where_nothing_is_published_set_up_names_what_makes_experiments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(variable, raising=False)
    git("init", "--quiet")
    Path("params.yaml").touch()
    git("add", "--all")
    git("-c", "user.name=Tester", "-c", "user.email=tester@example.com", "commit", "--quiet", "--message", "Start")
    assert restore() == "no experiments are published in docs/study/experiments; make study runs those of the study"
