import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before PyTorch starts: on tiny data, threads wait for one another for the most part

from classifier.params import Params, read_params

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def params() -> Params:
    return read_params(ROOT / "params.yaml")


@pytest.fixture(autouse=True)
def signal_handlers() -> Iterator[None]:
    """Undo what a stage that runs in this process does with signals."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
