from pathlib import Path

import pytest

from tools.experiments import dvc, git
from tools.publish import FOLDER, restore

CURVE = Path("plots/learning_curve.csv")


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Git repository with one file."""
    monkeypatch.chdir(tmp_path)
    for variable in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(variable, raising=False)
    git("init", "--quiet")
    Path("params.yaml").touch()
    commit()


def commit() -> None:
    git("add", "--all")
    git("-c", "user.name=Tester", "-c", "user.email=tester@example.com", "commit", "--quiet", "--message", "Change")


def test_where_nothing_is_published_set_up_names_what_makes_experiments() -> None:
    assert restore() == "no experiments are published in docs/study/experiments; make study runs those of the study"


def test_a_curve_that_a_pull_left_behind_is_named_with_the_command_that_replaces_it() -> None:
    dvc("init")
    Path(".gitignore").write_text(f"{CURVE}\n")
    published = "published experiments on this commit: initial"
    for content in ("first\n", "second\n"):
        for folder in (Path(), Path(FOLDER, "initial")):
            (folder / CURVE).parent.mkdir(parents=True, exist_ok=True)
            (folder / "dvc.lock").write_text(f"# {content}")
        Path(FOLDER, "initial", CURVE).write_text(content)
        git("add", "--force", f"{FOLDER}/initial/{CURVE}")
        commit()  # as `git pull` brings it
        outdated = f"; plots/ is not that of this commit; to replace it: dvc checkout {CURVE}"
        assert restore() == published + (outdated if content == "second\n" else "")
        assert CURVE.read_text() == "first\n"
    Path("dvc.lock").write_text("# results that were made here\n")
    assert restore() == published
