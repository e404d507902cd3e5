import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from classifier.runtime import load
from classifier.runtime.load import Load

Busy = Callable[[float], None]


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[Busy]:
    """A machine of two processors; sets how many of them other programs use from now on, in time that runs when it is asked."""
    now, own, by_others, busy = 1000.0, 0.0, 0.0, 0.0

    def sample() -> tuple[float, float, float]:
        nonlocal now, own, by_others
        now += load.SECONDS
        own += load.SECONDS
        by_others += load.SECONDS * busy
        return now, own + by_others, own

    def use(processors: float) -> None:
        nonlocal busy
        busy = processors

    for name in (load.SPIN_COUNT, load.WAIT_POLICY, load.RESTARTED):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(load, "_sample", sample)
    monkeypatch.setattr(load, "_uses_libgomp", lambda: True)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(time, "perf_counter", lambda: now + load.SECONDS)
    yield use
    os.environ.pop(load.SPIN_COUNT, None)


def hours() -> float:
    return 7200.0


def test_beside_other_programs_threads_sleep_and_a_line_says_so(others: Busy, capsys: pytest.CaptureFixture[str]) -> None:
    others(0.9)
    Load()
    assert os.environ[load.SPIN_COUNT] == "0"
    assert capsys.readouterr().out == "train: other programs use 0.9 of 2 processors, which slows the training\n"


@pytest.mark.parametrize(("busy", "threads"), [(0.0, "2"), (0.2, "2"), (1.0, "1")])
def test_alone_on_the_machine_nothing_is_set_and_nothing_said(
    others: Busy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, busy: float, threads: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    others(busy)
    Load()
    assert load.SPIN_COUNT not in os.environ
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("name", "value"), [("GOMP_SPINCOUNT", "2000"), ("OMP_WAIT_POLICY", "active")])
def test_what_the_user_set_is_kept_and_the_line_still_said(
    others: Busy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    others(1.0)
    watch = Load()
    assert {variable: os.environ.get(variable) for variable in (load.SPIN_COUNT, load.WAIT_POLICY)}[name] == value
    assert (load.SPIN_COUNT in os.environ) == (name == load.SPIN_COUNT)
    assert "which slows the training" in capsys.readouterr().out
    assert not watch.should_restart(2, hours)


def test_a_training_that_other_programs_begin_to_slow_restarts_and_says_so_once(
    others: Busy, capsys: pytest.CaptureFixture[str]
) -> None:
    others(0.0)
    watch = Load()
    assert not watch.should_restart(2, hours)
    others(0.7)
    assert watch.should_restart(2, hours)
    watch.should_restart(2, hours)
    assert capsys.readouterr().out.count("slows the training") == 1


def test_a_single_thread_or_processors_to_spare_are_no_reason_to_restart(others: Busy, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Load()
    others(1.0)
    assert not watch.should_restart(1, hours)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert not watch.should_restart(2, hours)


def test_no_restart_in_the_last_minute_of_training_or_without_libgomp(others: Busy, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Load()
    others(1.0)
    assert not watch.should_restart(2, lambda: 59.0)
    assert watch.should_restart(2, lambda: 60.0)
    monkeypatch.setattr(load, "_uses_libgomp", lambda: False)
    assert not watch.should_restart(2, hours)


def test_the_load_is_measured_every_ten_seconds(others: Busy, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Load()
    others(1.0)
    assert watch.sample
    monkeypatch.setattr(time, "perf_counter", lambda now=watch.sample[0]: now + 9.9)
    assert not watch.should_restart(2, hours)


@pytest.mark.parametrize(("sleeping", "busy", "restarts"), [("0", 1.0, False), ("0", 0.0, True), (None, 1.0, True)])
def test_a_restarted_process_keeps_its_count_for_a_minute_at_least(
    others: Busy, monkeypatch: pytest.MonkeyPatch, sleeping: str | None, busy: float, restarts: bool
) -> None:
    others(busy)
    monkeypatch.setenv(load.RESTARTED, f"{os.getpid()}:{time.perf_counter()}")
    if sleeping:
        monkeypatch.setenv(load.SPIN_COUNT, sleeping)
    watch = Load()
    assert load.RESTARTED not in os.environ, "which is for this process alone"
    assert os.environ.get(load.SPIN_COUNT) == sleeping
    answers = []
    while watch.seconds_of_restart() < 100:
        answer = watch.should_restart(2, hours)
        answers.append((watch.seconds_of_restart() >= load.RESTART_SECONDS, answer))
    assert len(answers) > 8
    assert all(answer == (restarts and late) for late, answer in answers)


@pytest.mark.parametrize("sleeping", [False, True])
def test_a_restart_runs_the_same_command_with_the_other_count(
    others: Busy, monkeypatch: pytest.MonkeyPatch, sleeping: bool
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *arguments: calls.append(arguments))
    others(float(sleeping))
    watch = Load()
    watch.restart(lambda: True)
    assert calls == [], "a stop was requested"
    watch.restart(lambda: False)
    ((program, arguments, environment),) = calls
    assert (program, arguments) == (sys.executable, [sys.executable, *sys.orig_argv[1:]])
    assert environment.get(load.SPIN_COUNT) == (None if sleeping else "0")
    assert environment[load.RESTARTED].startswith(f"{os.getpid()}:")
    others(float(not sleeping))
    assert not watch.should_restart(2, hours), "which failed, as the process is still there"


@pytest.mark.skipif(sys.platform != "linux", reason="measured on Linux alone")
def test_the_load_of_another_process_is_measured() -> None:
    before = load._sample()
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"], check=True)
    after = load._sample()
    assert before
    assert after
    elapsed, busy, own = (now - then for now, then in zip(after, before, strict=True))
    assert elapsed >= 0.5
    assert busy - own >= 0.25, "the other process has used a processor, and this one has waited"


def test_elsewhere_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert load._sample() is None
    assert not Load().should_restart(2, hours)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "cpu0 not numbers")
    assert load._sample() is None
