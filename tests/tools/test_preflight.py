"""The checks before hours of work, and the repair of what a killed DVC leaves, in a small repository of real DVC."""

import errno
import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from classifier.runtime.errors import InputError
from tests import preloaded
from tests.conftest import ROOT, parameters
from tools import table, variant
from tools.experiments import dvc, git
from tools.preflight import (
    check_experiments,
    check_names,
    check_no_other_run,
    check_project,
    repair,
    running,
)

PYTHON = sys.executable  # the fixture below puts another in its place
STAGE = "stages:\n  one:\n    cmd: echo 1 > one\n    deps: [params.yaml]\n    outs: [one]\n"


def commit(message: str) -> None:
    git("add", "--all")
    git("commit", "--quiet", "--message", message)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "repository"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "executable", preloaded.python())
        for variable in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
            patch.delenv(variable, raising=False)
        git("init", "--quiet", "--initial-branch=main")
        git("config", "user.name", "Tester")
        git("config", "user.email", "tester@example.com")
        dvc("init")
        Path("params.yaml").write_text(parameters())
        Path("dvc.yaml").write_text(STAGE)
        for module in ("classifier/__init__.py", "stages/train.py"):
            Path(module).parent.mkdir()
            Path(module).touch()
        dvc("repro")
        commit("Start")
    return folder


@pytest.fixture(autouse=True)
def repository(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a repository with one commit and one run."""
    subprocess.run(["cp", "-r", str(made), str(tmp_path / "copy")], check=True)
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setattr(sys, "executable", preloaded.python())
    for variable in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(variable, raising=False)
    return Path.cwd()


def check() -> None:
    check_project()
    check_experiments()
    check_names(["mine"])


@contextmanager
def refused(line: str) -> Iterator[None]:
    with pytest.raises(InputError, match=line) as caught:
        yield
    assert "\n" not in str(caught.value)


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    check()
    assert repair() == []
    assert git("status", "--porcelain") == ""


def test_a_folder_other_than_the_root_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("stages")
    with refused("stages is not the repository's root"):
        check()


def test_a_misspelt_section_is_refused() -> None:
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("\nevaluate:", "\nevalute:"))
    with refused("params.yaml: evalute: unknown key"):
        check()


def test_without_git_or_a_commit_the_commands_are_named(repository: Path) -> None:
    (repository / ".git").rename(repository.parent / "git")
    with refused("not a Git repository, .*run git init"):
        check()
    git("init", "--quiet")
    with refused("no commit yet, .*run git add --all, git commit"):
        check()


def test_a_shallow_clone_names_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git("commit", "--quiet", "--allow-empty", "--message", "Next")
    git("clone", "--quiet", "--depth", "1", Path.cwd().as_uri(), str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    with refused("run git fetch --unshallow"):
        check()
    git("fetch", "--quiet", "--unshallow")
    check()


def test_a_repository_with_sha_256_is_refused(tmp_path: Path) -> None:
    Path(".git").rename(tmp_path / "git")
    git("init", "--quiet", "--object-format=sha256")
    git("config", "user.name", "Tester")
    git("config", "user.email", "tester@example.com")
    commit("Start")
    with refused("use one with SHA-1"):
        check()


def test_an_identity_is_needed_only_for_edited_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    git("config", "--unset", "user.name")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for part in ("NAME", "EMAIL"):
        monkeypatch.delenv(f"GIT_COMMITTER_{part}", raising=False)
    check()
    Path("stages/train.py").write_text("# edited\n")
    with refused('stages/train.py is edited, .*git config user.name "Your Name"'):
        check()


def test_a_cache_whose_path_is_not_ascii_is_refused(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "größe").mkdir()
    repository.rename(tmp_path / "größe/copy")
    monkeypatch.chdir(tmp_path / "größe/copy")
    with refused("größe.*ASCII.*dvc cache dir --local FOLDER"):
        check()
    dvc("cache", "dir", "--local", str(tmp_path / "cache"))
    check()


@pytest.mark.parametrize("name", ["HEAD", "workspace", "main", "v1", "a name", "a..b", ".hidden", "a]", "x.lock", "a" * 201])
def test_a_name_that_git_or_dvc_would_take_for_something_else_is_refused(name: str) -> None:
    git("tag", "v1")
    with refused("rename the variant's file"):
        check_names([name])


def test_a_branch_made_of_an_experiment_stops_nothing() -> None:
    Path("params.yaml").write_text(Path("params.yaml").read_text() + "# edited\n")
    dvc("exp", "save", "--name", "mine")
    git("branch", "mine")
    check_names(["mine", "digits-train.epochs=3"])


@pytest.mark.parametrize(
    "statement", ["import classifier.new", "from classifier import new", "from classifier.new import X", "from . import new"]
)
def test_an_imported_module_that_git_does_not_know_is_refused(statement: str) -> None:
    Path("classifier/new.py").touch()
    check()
    Path("classifier/old.py").write_text(f"def f() -> None:\n    {statement}\n")
    git("add", "classifier/old.py")
    with refused("classifier/new.py is imported .*git add classifier/new.py"):
        check()
    git("add", "classifier/new.py")
    check()


@pytest.mark.parametrize("folder", ["models", "data/processed"])
def test_a_link_to_another_disk_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "disk").mkdir()
    Path(folder).parent.mkdir(exist_ok=True)
    Path(folder).symlink_to(tmp_path / "disk")
    with refused(f"{folder} is a link to .*/disk, outside of the repository.*dvc cache dir"):
        check()
    Path(folder).unlink()
    Path("elsewhere").mkdir()
    Path(folder).symlink_to(Path("elsewhere").resolve())
    check()


def test_a_disk_that_cannot_be_written_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(dir: Path) -> None:  # noqa: A002
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), dir)

    monkeypatch.setattr("tempfile.TemporaryFile", fail)
    with refused(r"copy cannot be written \(Read-only file system\)"):
        check()


def test_a_file_system_without_locks_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", flock)
        with refused(r"refuses locks \(No locks available\).*dvc config --local core.hardlink_lock true"):
            check()
    dvc("config", "--local", "core.hardlink_lock", "true")
    monkeypatch.setattr(fcntl, "flock", flock)
    check()


def test_a_damaged_rwlock_fails_every_run_and_is_removed() -> None:
    lock = Path(".dvc/tmp/rwlock")
    for content in ("", "{", "[]"):
        lock.write_text(content)
        with pytest.raises(InputError, match="RWLock-file"):
            dvc("repro", "--force")
        assert repair() == ["removed .dvc/tmp/rwlock, left by a run that was killed or by a full disk"]
        dvc("repro", "--force")
    assert repair() == []


def test_an_entry_of_the_run_cache_fails_or_costs_a_run_wherever_it_is_cut_until_it_is_removed() -> None:
    (entry,) = Path(".dvc/cache/runs").glob("*/*/*")
    whole = entry.read_text()
    last = whole.index("md5: ", whole.index("\nouts:")) + len("md5: ")
    for end in [0, whole.index("deps:"), whole.index("outs:"), whole.index("outs:") + 6, last, last + 31, last + 32]:
        entry.write_text(whole[:end])
        assert repair() == [f"removed {entry.resolve()}, left by a run that was killed or by a full disk"]
        assert not entry.parent.exists()
        entry.parent.mkdir()
    entry.write_text(whole[: whole.index("outs:")])
    Path("dvc.lock").unlink()
    with pytest.raises(InputError, match="failed to reproduce 'one'"):
        dvc("repro")
    repair()
    assert "Running stage" in dvc("repro")
    assert repair() == []
    entry.unlink()
    assert repair() == [f"removed {entry.parent.resolve()}, left by a run that was killed or by a full disk"]
    entry.parent.mkdir()
    entry.write_text(whole[: last + 33])  # DVC repairs this by itself
    assert repair() == []


def test_what_a_killed_experiment_left_is_removed() -> None:
    git("update-ref", "refs/exps/exec/EXEC_BASELINE", "HEAD")
    assert repair() == ["removed refs/exps/exec/EXEC_BASELINE, left by an experiment that was killed"]
    assert git("for-each-ref", "refs/exps/exec") == ""
    folder = Path(".dvc/tmp/exps/standalone/tmpz5u1cd3b")
    (folder / "data/raw").mkdir(parents=True)
    assert repair() == [f"removed {folder}, left by an experiment that was interrupted or killed"]
    assert not folder.exists()


def test_an_experiment_killed_as_it_started_is_not_run_by_the_next_one() -> None:
    Path("params.yaml").write_text(Path("params.yaml").read_text() + "# edited\n")
    head = git("rev-parse", "HEAD")
    message = f"commit: dvc-exp:{head}:{head}:killed-pending"
    stash = ["update-ref", "--create-reflog", "-m", message, "refs/exps/stash", git("stash", "create")]
    git(*stash)
    assert "'killed-pending'" in dvc("exp", "run", "--temp", "--name", "first"), "or this test shows nothing"
    git(*stash)
    assert repair() == ["removed refs/exps/stash, left by an experiment that was killed"]
    assert "'killed-pending'" not in dvc("exp", "run", "--temp", "--name", "second")


def test_the_table_lists_experiments_that_a_killed_one_would_hide(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("params.yaml").write_text(Path("params.yaml").read_text() + "# edited\n")
    old = git("rev-parse", "HEAD")
    commit("Next")
    Path("params.yaml").write_text(Path("params.yaml").read_text() + "# edited again\n")
    dvc("exp", "save", "--name", "mine")
    git("update-ref", "refs/exps/exec/EXEC_BASELINE", old)
    assert "mine" not in dvc("exp", "list"), "or this test shows nothing"
    monkeypatch.setattr(sys, "argv", ["table"])
    table.main()
    printed = capsys.readouterr().out
    assert re.match("table: removed refs/exps/exec/EXEC_BASELINE, .*left by an experiment that was killed\n", printed)
    assert re.search("^  mine ", printed, re.MULTILINE)


def test_params_that_are_no_mapping_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["table"])
    Path("params.yaml").write_text("- 1\n")
    with refused(r"params.yaml: should consist of keys and values, got \[1\]"):
        table.main()
    commit("A list")
    Path("params.yaml").write_text(parameters())
    with refused(r"the committed params.yaml: should consist of keys and values, got \[1\]"):
        variant.committed_params()


def test_an_rwlock_of_a_number_that_is_now_another_process_is_removed() -> None:
    lock = Path(".dvc/tmp/rwlock")
    held = json.dumps({"write": {str(Path("one").absolute()): {"pid": os.getppid(), "cmd": "dvc repro"}}})
    lock.write_text(held)
    with pytest.raises(InputError, match="manually remove"):
        dvc("repro", "--force")
    assert repair() == ["removed .dvc/tmp/rwlock, left by a run that was killed or by a full disk"]
    dvc("repro", "--force")
    lock.write_text(held.replace(str(os.getppid()), "4194305"))  # no process has this number: DVC sees that itself
    assert repair() == []
    dvc("repro", "--force")


@contextmanager
def process_like(arguments: str, folder: Path | str = ".") -> Iterator[psutil.Process]:
    """A process whose command line ends with these arguments."""
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(1000)", *arguments.split()]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()


@pytest.mark.parametrize(("folder", "arguments"), [(".", "dvc repro"), ("stages", "dvc repro train"), (".", "dvc exp run")])
def test_a_second_run_of_the_pipeline_names_the_first(folder: str, arguments: str) -> None:
    with process_like(arguments, folder) as process:
        line = f"process {process.pid} .*{arguments}.* already runs the pipeline in .*end it: kill {process.pid}$"
        with refused(line):
            check_no_other_run()


def test_of_two_that_start_at_the_same_time_the_first_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with process_like("tools.repro") as process:
        check_no_other_run()
        with monkeypatch.context() as patch:
            patch.setattr(psutil.Process, "create_time", lambda each: each.pid != process.pid)  # that one started first
            with refused(f"process {process.pid} .*tools.repro"):
                check_no_other_run()


@pytest.mark.parametrize(
    ("folder", "arguments"), [(".", "dvc exp run --temp"), (".", "dvc exp show"), (".dvc/tmp/exps/copy", "dvc repro")]
)
def test_an_experiment_in_a_temporary_folder_and_other_commands_do_not_collide(folder: str, arguments: str) -> None:
    Path(".dvc/tmp/exps/copy/.dvc").mkdir(parents=True)
    with process_like(arguments, folder):
        check_no_other_run()


@pytest.fixture(params=["", ".dvc/tmp/exps/standalone/tmp"])
def busy(request: pytest.FixtureRequest) -> Iterator[psutil.Process]:
    """A process that looks like DVC, in the checkout or one of its temporary runs."""
    folder = Path.cwd() / request.param
    folder.mkdir(parents=True, exist_ok=True)
    with process_like("dvc repro", folder) as process:
        yield process


def test_nothing_is_removed_while_a_process_runs_dvc_here(busy: psutil.Process) -> None:
    assert running("dvc") == [busy]
    Path(".dvc/tmp/rwlock").write_text("")
    git("update-ref", "refs/exps/exec/EXEC_BASELINE", "HEAD")
    with refused(f".dvc/tmp/rwlock is damaged, but process {busy.pid} runs DVC in .*: wait for its end, or end it"):
        repair()
    assert Path(".dvc/tmp/rwlock").read_text() == ""
    Path(".dvc/tmp/rwlock").unlink()
    assert repair() == [], "the references are in use"
    assert git("for-each-ref", "refs/exps/exec")
    assert Path(busy.cwd()).is_dir()


def test_of_another_user_only_a_dvc_that_holds_the_lock_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def cwd(process: psutil.Process) -> str:
        raise psutil.AccessDenied(process.pid)

    lock = Path(".dvc/tmp/rwlock")
    held = json.dumps({"write": {str(Path("one").absolute()): {"pid": 0, "cmd": "dvc repro"}}})
    monkeypatch.setattr(psutil.Process, "cwd", cwd)
    removed = [f"removed {lock}, left by a run that was killed or by a full disk"]
    for arguments, lines in {"dvc repro": [], "sleep": removed}.items():
        with process_like(arguments) as process:
            assert running("dvc") == []
            lock.write_text(held.replace('"pid": 0', f'"pid": {process.pid}'))
            assert repair() == lines
            assert lock.exists() == (not lines)


def test_dvc_elsewhere_does_not_count(tmp_path: Path) -> None:
    with process_like("dvc repro", tmp_path):
        assert running("dvc") == []
        check_no_other_run()


PROGRAMS = [
    f"{part}.{path.stem}"
    for part in ("stages", "tools", "benchmarks")
    for path in sorted((ROOT / part).glob("*.py"))
    if "if __name__" in path.read_text() and path.stem not in {"setup", "summary"}  # which need no packages
]


@pytest.mark.parametrize("module", PROGRAMS)
def test_without_its_packages_a_program_says_in_one_line_how_to_get_them(module: str) -> None:
    command = [PYTHON, "-S", "-m", module]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    line = rf"(\w+: )?{PYTHON} lacks the package \w+: run make setup, then \. \.venv/bin/activate\n"
    assert done.returncode == 1
    assert re.fullmatch(line, done.stderr), done.stderr


@pytest.mark.parametrize("command", [["-S", "stages/train.py"], ["tools/variant.py"]], ids=" ".join)
def test_a_script_run_by_its_path_is_one_line(command: list[str]) -> None:
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"run it as a module, .*: python -m \w+\.\w+\n", done.stderr), done.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--export params.yaml", r"params.yaml/metrics: \S+params.yaml is no folder: name another one, or remove it"),
        ("--export results", r"results/plots: \S+results/plots is no folder: name another one, or remove it"),
        ("--compare params.yaml", r"params.yaml: \S+params.yaml is no folder: name another one, or remove it"),
        ("--jobs 0", "--jobs 0: should be 1 or more"),
    ],
)
def test_a_command_line_that_cannot_work_is_refused_before_any_work(
    arguments: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("results").mkdir()
    Path("results/plots").touch()
    monkeypatch.setattr(sys, "argv", ["variant", "digits", *arguments.split()])
    with refused(line):
        variant.main()
