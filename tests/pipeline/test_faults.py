"""The pipeline stopped in every way at many moments: no result is lost, and the next `dvc repro` ends with the same bytes."""

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
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import psutil
import pytest

from tests import preloaded
from tests.conftest import PATIENCE, ROOT
from tests.pipeline.repository import Repository

STAGES = ("download", "preprocess", "weights", "train", "evaluate", "plot")
KILLS = 4  # of each stage
TIMES = "metrics/train.json"  # holds the seconds of the training
FORKS = multiprocessing.get_context("forkserver")
MODULES = [path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in (ROOT / "classifier").rglob("*.py")]


@pytest.fixture(autouse=True)
def interruptible(signal_handlers: None) -> None:  # noqa: ARG001
    """Have what is started here obey signals, also where the tests themselves run in the background of a shell."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which nothing has run, whose training is longer and saves its state at every step."""
    repository = Repository(tmp_path_factory.mktemp("faults") / "fresh")
    repository.environment["CLASSIFIER_CHECKPOINT_SECONDS"] = "0"
    repository.set("train.epochs", "3")
    repository.commit("A longer training")
    return repository


@pytest.fixture(scope="module")
def finished(fresh: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The same, in another folder, after a run that nothing disturbed; its results are committed."""
    folder = tmp_path_factory.mktemp("undisturbed") / "another place"
    fresh.run("git", "clone", "--quiet", str(fresh.folder), str(folder))
    finished = fresh.at(folder)
    finished.run("git", "config", "user.name", "Tester")
    finished.run("git", "config", "user.email", "tester@example.com")
    finished.dvc("repro")
    finished.commit("Results")
    return finished


@pytest.fixture(scope="module")
def expected(finished: Repository) -> dict[str, str]:
    """The md5 of every output of a run that nothing disturbs."""
    return without_times(finished.hashes())


@pytest.fixture
def repository(fresh: Repository, tmp_path: Path) -> Repository:
    shutil.copytree(fresh.folder, tmp_path / "copy")
    return fresh.at(tmp_path / "copy")


@pytest.fixture
def with_results(finished: Repository, tmp_path: Path) -> Repository:
    shutil.copytree(finished.folder, tmp_path / "copy")
    return finished.at(tmp_path / "copy")


def without_times(hashes: dict[str, str]) -> dict[str, str]:
    return {path: md5 for path, md5 in hashes.items() if path != TIMES}


def outputs(repository: Repository) -> dict[str, bytes]:
    """The files that the stages wrote, without temporary ones."""
    paths = [path for name in ("data", "models", "metrics", "plots") for path in (repository.folder / name).rglob("*.*")]
    names = {str(path.relative_to(repository.folder)): path for path in paths if "-partial" not in str(path)}
    return {name: path.read_bytes() for name, path in names.items() if name != TIMES and path.is_file()}


def stages_of(running: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The stages that a run of DVC has started and that still run."""
    try:
        children = psutil.Process(running.pid).children(recursive=True)
        return [child for child in children if "stages." in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def handles_signals(process: psutil.Process) -> bool:
    """Return whether a process catches SIGTERM."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    caught = re.search(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)
    return bool(caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def stop(running: "subprocess.Popen[str]", way: str) -> str:
    """Stop DVC, the stage that it runs, or both, wait until neither runs, and return what they printed."""
    stages = stages_of(running)
    name, whom = way.split()
    number = getattr(signal, name)
    with suppress(ProcessLookupError):
        match whom:
            case "all":
                os.killpg(running.pid, number)
            case "dvc":
                running.send_signal(number)
            case "stage":
                for stage in stages:
                    stage.send_signal(number)
    output, _ = running.communicate(timeout=PATIENCE)
    assert "/stages/" not in output, f"a traceback of a stage, and not of DVC:\n{output}"
    _, alive = psutil.wait_procs(stages, timeout=PATIENCE)
    assert not alive, "a stage outlived the DVC that started it"
    return output


def nothing_left_behind(repository: Repository) -> bool:
    return not [*repository.folder.rglob("*-partial*"), *(repository.folder / "checkpoints").rglob("*.pt")]


def repro_on_a_full_disk(repository: Repository, limit: int) -> None:
    """Run DVC where no file can grow beyond this many bytes, its own not either."""
    setting = f"import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    running = "sys.argv = ['dvc', 'repro']; runpy.run_module('dvc', run_name='__main__')"
    output = repository.run(sys.executable, "-c", f"{setting}; {running}", fails=True)
    assert "Traceback" not in output
    assert re.search("too large|disk I/O error", output), output  # the second is DVC's own database


@pytest.mark.slow
def test_dvc_stopped_in_every_way_ends_with_the_same_bytes(repository: Repository, expected: dict[str, str]) -> None:
    chance = random.Random(5)  # noqa: S311
    for limit in (50_000, 100_000):
        repro_on_a_full_disk(repository, limit)
    for way in ("SIGKILL all", "SIGKILL dvc", "SIGKILL stage", "SIGINT all", "SIGTERM all", "SIGHUP all"):
        running = repository.start("dvc", "repro")
        with suppress(subprocess.TimeoutExpired):
            running.wait(chance.uniform(1, 4))
        stop(running, way)
    repository.dvc("repro")
    assert without_times(repository.hashes()) == expected
    assert nothing_left_behind(repository)
    assert repository.dvc("status").strip().endswith("up to date.")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to see whether a stage handles signals")
@pytest.mark.slow
def test_a_run_stopped_at_any_moment_leaves_every_output(with_results: Repository, expected: dict[str, str]) -> None:
    chance = random.Random(6)  # noqa: S311
    whole = outputs(with_results)
    ways = ("SIGINT all", "SIGTERM all", "SIGHUP all", "SIGTERM dvc", "SIGHUP dvc", "SIGTERM stage")
    for stage, way in zip(STAGES, ways, strict=True):
        running = with_results.start("dvc", "repro", "--force", "--single-item", stage)
        # DVC deletes the outputs some hundredths of a second before the stage handles signals; nothing can help then.
        while running.poll() is None and not any(map(handles_signals, stages_of(running))):
            time.sleep(0.01)
        with suppress(subprocess.TimeoutExpired):
            running.wait(chance.uniform(0, 2))
        output = stop(running, way)
        assert outputs(with_results) == whole, f"{stage}, {way}:\n{output}"
        assert (with_results.folder / TIMES).exists(), output
        assert not [*with_results.folder.rglob("*-partial*")]
    with_results.dvc("repro", "--force")
    assert outputs(with_results) == whole
    assert without_times(with_results.hashes()) == expected
    assert nothing_left_behind(with_results)


def test_a_python_without_the_packages_restores_what_git_has(with_results: Repository, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "python"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    shim.chmod(0o755)
    old = (with_results.folder / TIMES).read_bytes()
    path = with_results.environment["PATH"]
    without_packages = with_results.at(with_results.folder)
    without_packages.environment = with_results.environment | {"PATH": f"{shim.parent}{os.pathsep}{path}"}
    output = without_packages.real("dvc", "repro", "--force", "--single-item", "train", fails=True)
    (line,) = [line for line in output.splitlines() if line.startswith("train: ")]
    assert "run make setup" in line
    assert "dvc checkout restores the outputs" in line
    assert (with_results.folder / TIMES).read_bytes() == old
    assert not (with_results.folder / "models/classifier.pt").exists(), "DVC deleted it, or this test shows nothing"
    with_results.dvc("checkout")
    assert (with_results.folder / "models/classifier.pt").exists()


def test_make_repro_restores_what_a_stage_could_not(with_results: Repository, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\nif 'stages.train' in sys.orig_argv:\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    whole = outputs(with_results)
    old = (with_results.folder / TIMES).read_bytes()
    with_results = with_results.at(with_results.folder)
    with_results.environment = with_results.environment | {"PYTHONPATH": str(tmp_path)}
    with_results.real("tools.repro", "--force", "--single-item", "train", fails=True)
    assert outputs(with_results) == whole
    assert (with_results.folder / TIMES).read_bytes() == old


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of some megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no permission to mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(  # bytes; a checkpoint has 107 kB, a model 35 kB
    "left", [60_000, *(pytest.param(left, marks=pytest.mark.slow) for left in (150_000, 0))]
)
def test_a_disk_that_is_full_keeps_all_outputs(finished: Repository, small_disk: Path, left: int) -> None:
    shutil.copytree(finished.folder, small_disk / "copy")
    repository = finished.at(small_disk / "copy")
    whole = outputs(repository)
    filler = small_disk / "filler"
    for stage in ("preprocess", "train"):
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            file.write(bytes(max(0, shutil.disk_usage(small_disk).free - left)))
        output = repository.dvc("repro", "--force", "--single-item", stage, fails=None)
        assert "No space left on device" in output or stage != "train", "or this test shows nothing"
        assert "Traceback" not in output, output
        assert outputs(repository) == whole, output
        filler.unlink()
        (repository.folder / ".dvc/tmp/rwlock").unlink(missing_ok=True)  # DVC may leave an empty one
    repository.dvc("repro", "--force")
    assert outputs(repository) == whole


@pytest.mark.parametrize("tool", ["compare", "publish", "variant"])
def test_a_tool_on_a_full_disk_keeps_what_it_wrote_before(with_results: Repository, small_disk: Path, tool: str) -> None:
    (with_results.folder / "docs").symlink_to(small_disk)
    command = {
        "compare": ["tools.compare", "HEAD", "--output", str(small_disk)],
        "publish": ["tools.publish", "augmented=workspace"],
        "variant": ["tools.variant", "augmented", "--export", str(small_disk)],
    }[tool]
    with_results.python(*command)
    written = [path for path in small_disk.rglob("*") if path.is_file()]
    for path in written:
        path.write_text("old")
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free - 12_000))
    assert "No space left on device" in with_results.python(*command, fails=True)
    assert [path.read_bytes() for path in written] == [b"old"] * len(written)
    (small_disk / "filler").unlink()
    assert sorted(path for path in small_disk.rglob("*") if path.is_file()) == sorted(written)
    with_results.python(*command)
    assert b"old" not in [path.read_bytes() for path in written]


def run_stage(name: str, folder: Path) -> None:
    """Run a stage by hand; called in a process of its own."""
    os.chdir(folder)
    os.environ["CLASSIFIER_CHECKPOINT_SECONDS"] = "0"
    sys.argv = [f"stages.{name}"]
    with (folder / "output").open("a") as sys.stdout:
        import_module(f"stages.{name}").main()


def start_stage(name: str, folder: Path) -> multiprocessing.process.BaseProcess:
    """Start a stage by hand where everything is imported already, so that a kill meets its work and not its imports."""
    FORKS.set_forkserver_preload([__name__, "torch._dynamo", *MODULES, *(f"stages.{name}" for name in STAGES)])
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


@pytest.mark.slow
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
            assert outputs(repository) == whole, "each file is whole"
        run_stages(repository, name)
        assert outputs(repository) == whole
        assert nothing_left_behind(repository)
    repository.dvc("commit", "--force", "--quiet")
    assert without_times(repository.hashes()) == expected


def test_a_training_whose_dvc_was_killed_goes_on_from_its_checkpoint(with_results: Repository) -> None:
    with_results.set("train.epochs", "100000")  # far from done, however late the kill comes
    with_results.kill_at("train: epoch 3/", "dvc", "repro")
    output = with_results.kill_at("train: epoch ", "dvc", "repro")
    resumed = re.search(r"^train: resuming from checkpoints/train.pt: (\d+) of 100,000 epochs done", output, re.MULTILINE)
    assert resumed, output
    assert int(resumed[1]) >= 2
    assert f"train: epoch {int(resumed[1]) + 1}/100000" in output


def test_two_runs_at_once_end_with_right_results(repository: Repository, expected: dict[str, str]) -> None:
    runs = [repository.start("dvc", "repro", interpreter=preloaded.python()) for _ in range(2)]
    outputs = [run.communicate(timeout=PATIENCE)[0] for run in runs]
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


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("argparse", signal.SIGTERM),
        ("classifier.params", signal.SIGINT),
        ("numpy.random", signal.SIGTERM),
        ("torch.nn", signal.SIGHUP),
    ],
)
def test_a_stage_stopped_while_it_imports_is_one_line(
    fresh: Repository, tmp_path: Path, module: str, number: signal.Signals
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        f"""
import signal, sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == "{module}":
            signal.raise_signal({number:d})

sys.meta_path.insert(0, Interrupt())
"""
    )
    running = subprocess.run(
        [sys.executable, "-m", "stages.evaluate"],
        cwd=fresh.folder,
        env=fresh.environment | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (running.returncode, running.stderr) == (
        128 + number,
        "evaluate: interrupted; python -m stages.evaluate continues\n",
    )
