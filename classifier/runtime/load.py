"""Load: how the idle threads of OpenMP wait, depending on what other programs do on the machine.

PyTorch divides an operation among threads. A thread that has finished its part waits for the others in a loop (it spins), which
is fastest on an idle machine, and takes the processor from the thread that it waits for on a busy one. How long a thread spins
before it sleeps is decided by GOMP_SPINCOUNT, which libgomp reads once, when it is loaded. It changes no result.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from classifier.runtime.console import log

SPIN_COUNT, WAIT_POLICY = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"  # environment variables of libgomp
RESTARTED = "CLASSIFIER_RESTARTED"  # environment variable: process and time of a restart
BUSY, IDLE = 0.5, 0.25  # processors that other programs take from the threads: from BUSY on they sleep, up to IDLE they spin
FIRST_SECONDS = 0.25  # of measuring the load before the training starts
SECONDS = 10.0  # between two measurements during the training
RESTART_SECONDS = 60.0  # the least time between two restarts, and the least that is left to train


class Load:
    """Watches the load of other programs during a training run, which starts again when its threads should wait differently.

    To be made before PyTorch is imported, since it sets GOMP_SPINCOUNT. What the user has set is kept. Outside Linux nothing is
    measured, and without libgomp nothing is restarted.
    """

    def __init__(self) -> None:
        process, _, since = os.environ.pop(RESTARTED, "").partition(":")
        self.restarted_at = float(since) if process == str(os.getpid()) else None
        self.may_change = self.restarted_at is not None or not {SPIN_COUNT, WAIT_POLICY} & os.environ.keys()
        self.sleeping = self.restarted_at is not None and SPIN_COUNT in os.environ
        self.slowed = self.sleeping
        self.sample = _sample()
        if self.sample and self.restarted_at is None and (threads := _expected_threads()) > 1:
            time.sleep(FIRST_SECONDS)
            self._measure(threads)
            if self.may_change and self.slowed:
                os.environ[SPIN_COUNT] = "0"
                self.sleeping = True

    def seconds_of_restart(self) -> float:
        """Return the time since this process restarted; 0 if it did not."""
        return 0.0 if self.restarted_at is None else time.perf_counter() - self.restarted_at

    def should_restart(self, threads: int, seconds_left: Callable[[], float]) -> bool:
        """Return whether the threads should wait differently, and enough of the training is left. To be asked after each step.

        Parameters
        ----------
        threads
            Number of threads of PyTorch; with a single one nobody waits.
        seconds_left
            Returns the estimated time to the end of the training.
        """
        if threads < 2 or not self.sample or time.perf_counter() - self.sample[0] < SECONDS:
            return False
        self._measure(threads)
        return (
            self.may_change
            and self.slowed != self.sleeping
            and (self.restarted_at is None or time.perf_counter() - self.restarted_at >= RESTART_SECONDS)
            and seconds_left() >= RESTART_SECONDS
            and _uses_libgomp()
        )

    def restart(self, stop_requested: Callable[[], bool]) -> None:
        """Start this process again, as the same process for its parent; return if a stop was requested or it is not possible.

        Signals that arrive in between are held back until the new program handles them (`stage`).
        """
        self.may_change = False  # if it fails, it will not be tried again
        environment = os.environ | {RESTARTED: f"{os.getpid()}:{time.perf_counter()}", SPIN_COUNT: "0"}
        if self.sleeping:
            del environment[SPIN_COUNT]
        sys.stdout.flush()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        with suppress(OSError):
            if not stop_requested():
                os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def _measure(self, threads: int) -> None:
        """Decide whether other programs slow this one since the last measurement, with a line when that has changed."""
        before, self.sample = self.sample, _sample()
        if not before or not self.sample:
            return
        elapsed, busy, own = (now - then for now, then in zip(self.sample, before, strict=True))
        others, processors = max(0.0, busy - own) / elapsed, len(os.sched_getaffinity(0))
        taken = others - max(0, processors - threads)
        slowed = taken > (IDLE if self.slowed else BUSY)
        if slowed and not self.slowed:
            log(f"train: other programs use {others:.1f} of {processors} processors, which slows the training")
        elif self.slowed and not slowed:
            log("train: other programs no longer slow the training")
        self.slowed = slowed


def _sample() -> tuple[float, float, float] | None:
    """Return the time, and the processor time used so far, in seconds: on the processors of this process, and by itself."""
    if sys.platform != "linux":
        return None
    names = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    ticks = 0
    try:
        for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
            name, *values = line.split()
            if name in names:
                user, nice, system, _, _, interrupts, soft_interrupts = map(int, values[:7])
                ticks += user + nice + system + interrupts + soft_interrupts
    except (OSError, ValueError):
        return None
    own = os.times()
    return time.perf_counter(), ticks / os.sysconf("SC_CLK_TCK"), own.user + own.system


def _expected_threads() -> int:
    """Return the number of threads that PyTorch will use."""
    text = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(text) if text.isdecimal() else len(os.sched_getaffinity(0))


def _uses_libgomp() -> bool:
    with suppress(OSError):
        return "libgomp" in Path("/proc/self/maps").read_text(encoding="utf-8")
    return False
