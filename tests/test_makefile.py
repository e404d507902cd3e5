"""The Makefile, with a stand-in for Python that notes how it was called."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(not MAKE, reason="needs make")
TARGETS = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "a project"
    for name in (".venv/bin/python", "bin/python3"):
        python = folder / name
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\necho "{name} $*"; echo "PATH=$PATH"; printf "<%s>" "$@"\n')
        python.chmod(0o755)
    shutil.copy(ROOT / "Makefile", folder)
    return folder


def make(project: Path, *arguments: str) -> str:
    """Run make in the environment of a new user, and return what it printed."""
    assert MAKE
    environment = {"PATH": f"{project}/bin:/usr/bin:/bin"}
    return subprocess.run(
        [MAKE, *arguments], cwd=project, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


@pytest.mark.parametrize("target", TARGETS)
def test_commands_of_the_environment_are_called_by_their_path(project: Path, target: str) -> None:
    # GNU make 3.81 looks for the others in the PATH that it was started with, where there are none or those of the system.
    commands = make(project, "--dry-run", target).replace("\\\n", "").splitlines()
    assert commands
    assert {command.split()[0] for command in commands} <= {".venv/bin/python", "awk", "echo"}


def test_every_target_but_help_sets_up_first(project: Path) -> None:
    for target in set(TARGETS) - {"help"}:
        assert make(project, "--dry-run", target).splitlines()[0].strip() == ".venv/bin/python -m tools.setup", target


def test_what_dvc_runs_finds_the_python_of_the_environment(project: Path) -> None:
    lines = make(project, "repro").splitlines()
    assert lines[0] == ".venv/bin/python -m tools.setup"
    assert lines[-2] == f"PATH={project}/.venv/bin:{project}/bin:/usr/bin:/bin"


def test_set_up_takes_a_build_of_pytorch_and_begins_with_any_python(project: Path) -> None:
    assert make(project, "setup", "TORCH=cpu").startswith(".venv/bin/python -m tools.setup --torch cpu\n")
    for target in ("setup", "test"):
        assert make(project, target, "EXPORT=1").startswith(".venv/bin/python -m tools.setup --export\n")
    shutil.rmtree(project / ".venv")
    assert make(project, "setup").startswith("bin/python3 -m tools.setup\n")


@pytest.mark.parametrize("text", ["two words", "a;echo b", "*", "a&b"])
def test_a_name_and_a_folder_are_passed_as_one_argument_and_nothing_of_them_is_run(project: Path, text: str) -> None:
    assert make(project, "variant", f"NAME={text}").splitlines()[-1].endswith(f"<{text}>")
    assert make(project, "study", f"OUTPUT={text}", "JOBS=2;3").splitlines()[-1].endswith(f"<--jobs><2;3><--compare><{text}>")
    assert "<--seeds><0><1;2><--jobs><1>" in make(project, "study", "SEEDS=0 1;2").splitlines()[-1]


def test_without_a_name_and_a_folder_there_are_defaults(project: Path) -> None:
    assert make(project, "variant").splitlines()[-1].endswith("<--help>")
    assert make(project, "study").splitlines()[-1].endswith("<augmented><--jobs><1><--compare><comparison>")


def test_a_report_is_that_of_the_study_and_the_workspace_or_of_the_revisions_that_are_named(project: Path) -> None:
    expected = "<--existing><initial><initial-seed-*><batchnorm><batchnorm-seed-*><augmented><augmented-seed-*><workspace>"
    assert make(project, "report").splitlines()[-1].endswith(expected)
    assert make(project, "report", "REVISIONS=mine other-*").splitlines()[-1].endswith("<tools.report><mine><other-*>")


def test_help_lists_every_target(project: Path) -> None:
    assert re.findall(r"^  (\w+) +\w", make(project), re.MULTILINE) == TARGETS
