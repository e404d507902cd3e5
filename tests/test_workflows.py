"""The hosted-CI workflows, as far as they can be tested without their host."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from classifier.params import read_yaml
from tests.conftest import ROOT
from tools.markdown import MARKER

FOLDER = ROOT / ".github/workflows"
COMPARE: dict[str, Any] = read_yaml(FOLDER / "compare.yml")
JOBS: dict[str, Any] = COMPARE["jobs"]
COMMENT = JOBS["comment"]["steps"][-1]["run"]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.name)
def test_no_workflow_gives_its_secrets_to_the_code_of_a_fork_or_its_input_to_a_shell(path: Path) -> None:
    workflow = read_yaml(path)
    assert set(workflow["on"]) <= {"push", "pull_request"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert not [step["run"] for step in steps if "${{" in step.get("run", "")]


def test_actions_are_pinned_by_the_hash_of_a_commit_with_its_version_beside_it() -> None:
    uses = re.findall(r"uses: (.*)", (FOLDER / "compare.yml").read_text(encoding="utf-8"))
    assert len(uses) == 5
    assert [use for use in uses if not re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)] == []


def test_what_runs_the_code_of_a_pull_request_can_only_read_and_what_writes_runs_none_of_it() -> None:
    assert COMPARE["permissions"] == {}
    assert JOBS["compare"]["permissions"] == {"contents": "read"}
    checkout = JOBS["compare"]["steps"][0]
    assert checkout["with"]["persist-credentials"] is False
    assert JOBS["comment"]["permissions"] == {"pull-requests": "write"}
    assert "checkout" not in str(JOBS["comment"])
    assert all("GH_TOKEN" not in step.get("env", {}) for step in JOBS["compare"]["steps"])


def test_nothing_is_commented_from_a_fork() -> None:
    same_repository = "github.event.pull_request.head.repo.full_name == github.repository"
    assert JOBS["comment"]["if"] == f"${{{{ !cancelled() && {same_repository} }}}}"


def test_the_job_runs_digits_on_both_commits_and_compares_them() -> None:
    runs = "\n".join(step["run"] for step in JOBS["compare"]["steps"] if "run" in step)
    assert runs.count("make variant NAME=digits\n.venv/bin/dvc exp rename digits ") == 2
    assert 'tools.compare base head --markdown\ncat comparison/summary.md >> "$GITHUB_STEP_SUMMARY"\n' in runs
    uploads = [step["with"]["path"] for step in JOBS["compare"]["steps"] if "upload" in step.get("uses", "")]
    assert uploads == ["comparison", "report"]
    assert f'startswith("{MARKER}")' in COMMENT


@pytest.mark.skipif(os.name != "posix", reason="runs a shell script")
@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("", "--method POST repos/owner/name/issues/7/comments"),
        ("12\n34\n", "--method PATCH repos/owner/name/issues/comments/12"),
    ],
)
def test_one_comment_is_made_and_then_updated(tmp_path: Path, found: str, expected: str) -> None:
    """With a program in place of gh that prints what a listing finds, and keeps how it was called."""
    program = tmp_path / "gh"
    program.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\nprint({found!r} if '--paginate' in sys.argv else '', end='')\n"
        f"with pathlib.Path('calls').open('a') as file:\n    print(*sys.argv[2:], file=file)\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_REPOSITORY": "owner/name", "NUMBER": "7"}
    subprocess.run(["bash", "-e", "-c", COMMENT], cwd=tmp_path, env=environment, check=True)
    listing, change = (tmp_path / "calls").read_text().splitlines()
    assert listing.startswith("--paginate repos/owner/name/issues/7/comments --jq .[] | select(.user.login ==")
    assert change == f"{expected} --field body=@summary.md --silent"
