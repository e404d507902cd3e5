"""The pipeline stopped in every way at many moments: the next `dvc repro` goes on as if nothing had happened."""

import ctypes
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import psutil
import pytest

from tests.pipeline.repository import Repository

STAGES = ("download", "preprocess", "train", "evaluate", "plot")
KILLS = 6  # of each stage
TIMES = "metrics/train.json"  # holds the seconds of the training
FORKS = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module", autouse=True)
def interruptible() -> None:
    """Have what is started here obey Ctrl-C, also where the tests themselves run in the background of a shell."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which nothing has run, whose training takes some seconds and is saved after every step."""
    repository = Repository(tmp_path_factory.mktemp("faults") / "fresh")
    repository.set("train.epochs", "6")
    repository.environment["CLASSIFIER_CHECKPOINT_SECONDS"] = "0"
    repository.commit("A longer training")
    return repository


@pytest.fixture(scope="module")
def expected(fresh: Repository, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The md5 of every output of a run that nothing disturbs, in another clone than those of the tests."""
    folder = tmp_path_factory.mktemp("undisturbed") / "another place"
    fresh.run("git", "clone", "--quiet", str(fresh.folder), str(folder))
    undisturbed = fresh.at(folder)
    undisturbed.dvc("repro")
    return without_times(undisturbed.hashes())


@pytest.fixture
def repository(fresh: Repository, tmp_path: Path) -> Repository:
    shutil.copytree(fresh.folder, tmp_path / "copy")
    return fresh.at(tmp_path / "copy")


def without_times(hashes: dict[str, str]) -> dict[str, str]:
    return {path: md5 for path, md5 in hashes.items() if path != TIMES}


def stages_of(running: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The stages that a run of DVC has started and that still run."""
    try:
        children = psutil.Process(running.pid).children(recursive=True)
        return [child for child in children if "stages." in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def stop(running: "subprocess.Popen[str]", way: str) -> None:
    """Stop DVC, the stage that it runs, or both, and wait until neither runs."""
    stages = stages_of(running)
    match way:
        case "kill all":
            kill_group(running, signal.SIGKILL)
        case "kill dvc":
            running.kill()
        case "kill stage":
            for stage in stages:
                stage.kill()
        case "interrupt all":
            kill_group(running, signal.SIGINT)
        case "terminate all":
            kill_group(running, signal.SIGTERM)
    output, _ = running.communicate(timeout=60)
    assert "/stages/" not in output, f"a traceback of a stage, and not of DVC:\n{output}"
    _, alive = psutil.wait_procs(stages, timeout=30)
    assert not alive, "a stage outlived the DVC that started it"


def kill_group(running: "subprocess.Popen[str]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(running.pid, number)


def nothing_left_behind(repository: Repository) -> bool:
    return not [*repository.folder.rglob("*-partial*"), *(repository.folder / "checkpoints").rglob("*.pt")]


def repro_on_a_full_disk(repository: Repository, limit: int) -> None:
    """Run DVC where no file can grow beyond this many bytes, its own not either."""
    setting = f"import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    running = "sys.argv = ['dvc', 'repro']; runpy.run_module('dvc', run_name='__main__')"
    output = repository.run(sys.executable, "-c", f"{setting}; {running}", fails=True)
    assert "Traceback" not in output
    assert re.search("too large|disk I/O error", output), output  # the second is DVC's own database


def test_dvc_stopped_in_every_way_ends_with_the_same_bytes(repository: Repository, expected: dict[str, str]) -> None:
    chance = random.Random(5)  # noqa: S311
    for limit in (50_000, 100_000):
        repro_on_a_full_disk(repository, limit)
    for way in ("kill all", "kill dvc", "kill stage", "interrupt all", "terminate all"):
        running = repository.start("dvc", "repro")
        with suppress(subprocess.TimeoutExpired):
            running.wait(chance.uniform(1, 4))
        stop(running, way)
    repository.dvc("repro")
    assert without_times(repository.hashes()) == expected
    assert nothing_left_behind(repository)
    assert repository.dvc("status").strip().endswith("up to date.")


def run_stage(name: str, folder: Path) -> None:
    """Run a stage by hand; called in a process of its own."""
    os.chdir(folder)
    os.environ["CLASSIFIER_CHECKPOINT_SECONDS"] = "0"
    sys.argv = [f"stages.{name}"]
    with (folder / "output").open("a") as sys.stdout:
        import_module(f"stages.{name}").main()


def start_stage(name: str, folder: Path) -> multiprocessing.process.BaseProcess:
    """Start a stage by hand where everything is imported already, so that a kill meets its work and not its imports."""
    FORKS.set_forkserver_preload([__name__, "torch._dynamo", *(f"stages.{name}" for name in STAGES)])
    stage = FORKS.Process(target=run_stage, args=(name, folder))
    stage.start()
    return stage


def run_stages(repository: Repository, *names: str) -> float:
    """Run stages by hand, each to its end, and return how many seconds they took."""
    start = time.perf_counter()
    for name in names:
        stage = start_stage(name, repository.folder)
        stage.join()
        assert stage.exitcode == 0
    return time.perf_counter() - start


def test_stages_killed_at_many_moments_end_with_the_same_bytes(repository: Repository, expected: dict[str, str]) -> None:
    chance = random.Random(6)  # noqa: S311
    run_stages(repository, *STAGES)
    whole = outputs(repository)
    for name in STAGES:
        seconds = run_stages(repository, name)
        killed = 0
        while killed < KILLS:
            stage = start_stage(name, repository.folder)
            stage.join(chance.uniform(0, seconds))
            stage.kill()
            stage.join()
            killed += stage.exitcode == -signal.SIGKILL
            assert outputs(repository) == whole, "half an output is never seen"
        run_stages(repository, name)
        assert outputs(repository) == whole
        assert nothing_left_behind(repository)
    repository.dvc("commit", "--force", "--quiet")
    assert without_times(repository.hashes()) == expected


def outputs(repository: Repository) -> dict[str, bytes]:
    """What stands at the places of outputs."""
    paths = [path for name in ("data", "models", "metrics", "plots") for path in (repository.folder / name).rglob("*.*")]
    names = {str(path.relative_to(repository.folder)): path for path in paths if "-partial" not in path.name}
    return {name: path.read_bytes() for name, path in names.items() if name != TIMES}


def test_a_training_whose_dvc_was_killed_goes_on_from_its_checkpoint(repository: Repository) -> None:
    repository.set("train.epochs", "100000")  # far from done, however late the kill comes
    repository.kill_at("train: epoch 3/", "dvc", "repro")
    output = repository.kill_at("train: epoch ", "dvc", "repro")
    resumed = re.search(r"^train: resuming from checkpoints/train.pt: (\d+) of 100000 epochs done", output, re.MULTILINE)
    assert resumed, output
    assert int(resumed[1]) >= 2
    assert f"train: epoch {int(resumed[1]) + 1}/100000" in output


def test_two_runs_at_once_end_with_right_results(repository: Repository, expected: dict[str, str]) -> None:
    runs = [repository.start("dvc", "repro") for _ in range(2)]
    outputs = [run.communicate(timeout=120)[0] for run in runs]
    codes = [run.returncode for run in runs]
    assert 0 in codes, outputs
    for code, output in zip(codes, outputs, strict=True):
        assert code == 0 or "ERROR" in output, output
        assert "Traceback" not in output
    repository.dvc("repro")
    assert without_times(repository.hashes()) == expected


def obey_permissions() -> None:
    """Take from this process and those that it starts the privilege of root to write wherever it likes."""
    pr_capbset_drop, cap_dac_override = 24, 1  # of prctl.h and capability.h
    ctypes.CDLL(None).prctl(pr_capbset_drop, cap_dac_override, 0, 0, 0)


def test_a_checkout_that_may_not_be_written_is_one_line(repository: Repository) -> None:
    repository.python("stages.download")
    paths = [repository.folder, *repository.folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        for stage in ("download", "preprocess"):
            done = subprocess.run(
                [sys.executable, "-B", "-m", f"stages.{stage}"],
                cwd=repository.folder,
                env=repository.environment,
                preexec_fn=obey_permissions,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 1
            assert done.stderr.count("\n") == 1
            assert "ermission denied" in done.stderr
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stage_interrupted_before_it_can_say_so_is_one_line(
    fresh: Repository, tmp_path: Path, number: signal.Signals
) -> None:
    # Neither is ignored at the start, whatever the tests before this one left to what they start.
    (tmp_path / "sitecustomize.py").write_text(
        f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)

class Interrupt:
    def find_spec(self, name, *_):
        if name == "classifier.runtime.stage":
            os.kill(os.getpid(), {number:d})

sys.meta_path.insert(0, Interrupt())
"""
    )
    running = subprocess.run(
        [sys.executable, "-m", "stages.plot"],
        cwd=fresh.folder,
        env=fresh.environment | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (running.returncode, running.stderr) == (130, "interrupted\n")


def test_a_stage_interrupted_while_it_still_imports_is_one_line(fresh: Repository) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        running = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", "stages.train"],
            cwd=fresh.folder,
            env=fresh.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert running.stderr
        for line in running.stderr:
            if line.endswith(" stages\n"):  # whose import says what becomes of an interruption; PyTorch comes next
                break
        time.sleep(0.3)
        running.send_signal(number)
        _, errors = running.communicate(timeout=30)
        lines = [line for line in errors.splitlines() if not line.startswith("import time")]
        assert lines in (["interrupted"], ["train: interrupted"]), lines
        assert running.returncode in (130, -signal.SIGINT)
