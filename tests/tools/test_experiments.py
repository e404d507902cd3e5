"""Experiments of real DVC in a small repository: those of one name on several commits, and a branch of the same name."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from classifier.runtime.errors import InputError
from tests import preloaded
from tools.experiments import Experiment, accept, all_experiments, dvc, find, git, interrupt, names, remove


def commit(message: str) -> str:
    """Commit everything, and return the hash."""
    git("add", "--all")
    git("commit", "--quiet", "--message", message)
    return git("rev-parse", "HEAD")


def save(name: str, value: int) -> Experiment:
    """Save the value as an experiment on HEAD, and take it back from the workspace."""
    Path("params.yaml").write_text(f"value: {value}\n")
    dvc("exp", "save", "--name", name)
    git("checkout", "--", ".")
    git("clean", "--quiet", "--force")
    head = git("rev-parse", "HEAD")[2:]
    return next(each for each in all_experiments() if each.name == name and head in each.reference)


def value(experiment: Experiment | None) -> str:
    assert experiment
    return git("show", f"{experiment.commit}:params.yaml")


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", preloaded.python())
    for variable in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(variable, raising=False)
    git("init", "--quiet", "--initial-branch=main")
    git("config", "user.name", "Tester")
    git("config", "user.email", "tester@example.com")
    dvc("init")
    Path("params.yaml").write_text("value: 0\n")
    Path("dvc.yaml").write_text("stages:\n  one:\n    cmd: echo\n    params: [value]\n")
    commit("Start")
    return tmp_path


def test_an_experiment_replaces_all_of_its_name_on_whatever_commit() -> None:
    for number in (1, 2):
        save("mine", number)
        git("commit", "--quiet", "--allow-empty", "--message", f"Commit {number}")
    assert len(all_experiments()) == 2
    new = save("mine-pending", 3)
    assert accept("mine")
    (only,) = all_experiments()
    assert (only.name, only.commit, value(only)) == ("mine", new.commit, "value: 3")
    assert not accept("mine"), "nothing is pending any more"
    assert git("status", "--porcelain") == ""


def test_a_branch_and_a_tag_of_the_same_name_stay_and_are_not_taken_for_it() -> None:
    git("branch", "mine")
    git("tag", "mine")
    save("mine-pending", 3)
    assert accept("mine")
    save("mine-pending", 4)
    assert accept("mine")
    assert value(find("mine")) == "value: 4"
    assert git("show", "refs/heads/mine:params.yaml") == git("show", "refs/tags/mine:params.yaml") == "value: 0"


def test_of_several_the_one_on_head_is_found_and_otherwise_their_hashes_are_listed() -> None:
    old = save("mine", 1)
    git("commit", "--quiet", "--allow-empty", "--message", "Next")
    assert find("mine") == old
    new = save("mine", 2)
    assert find("mine") == new
    git("commit", "--quiet", "--allow-empty", "--message", "Next but one")
    with pytest.raises(InputError, match="mine: an experiment on several commits; use a hash") as caught:
        find("mine")
    assert old.commit[:10] in str(caught.value)
    assert new.commit[:10] in str(caught.value)
    assert find("other") is None


def test_what_a_killed_run_left_is_listed_nowhere_and_goes() -> None:
    save("mine", 1)
    save("mine-pending", 2)
    save("other-pending", 3)
    assert names() == ["mine"]
    remove(["mine-pending"])
    assert sorted(each.name for each in all_experiments()) == ["mine", "other-pending"]


def test_a_command_that_fails_is_one_line() -> None:
    with pytest.raises(InputError, match=r"^dvc exp rename: .*refs/exps/none.*$"):
        dvc("exp", "rename", "refs/exps/none", "other")
    with pytest.raises(InputError, match=r"^git show: fatal: .*none.*$"):
        git("show", "none:none")


@pytest.mark.skipif(os.name == "nt", reason="needs process groups")
@pytest.mark.parametrize("disposition", [signal.SIG_DFL, signal.SIG_IGN])
def test_an_interruption_ends_what_was_started_also_where_ctrl_c_is_ignored(disposition: signal.Handlers) -> None:
    before = signal.signal(signal.SIGINT, disposition)
    try:
        with subprocess.Popen(["sleep", "1000000"], process_group=0) as process:
            interrupt(process)
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.returncode == -(signal.SIGINT if disposition == signal.SIG_DFL else signal.SIGTERM)


def test_no_reference_is_written_by_hand() -> None:
    """Those that a killed DVC left, refs/exps/exec, are deleted."""
    for path in (Path(__file__).parents[2] / "tools").glob("*.py"):
        assert '"update-ref"' not in path.read_text().replace('"update-ref", "-d"', "")
