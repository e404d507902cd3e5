import os
import signal
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before PyTorch starts: on tiny data, threads wait for one another for the most part

from classifier.params import Params, flatten, parse_params, parse_yaml
from classifier.runtime.errors import InputError

ROOT = Path(__file__).parents[1]
PATIENCE = 1800  # seconds after which something that should end or happen counts as hanging, on the slowest of machines


@cache
def parameters() -> str:
    """Return params.yaml with the committed values, which `dvc exp run -S` changes; with new keys, as it is."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    shown = subprocess.run(["git", "show", "HEAD:params.yaml"], cwd=ROOT, capture_output=True, check=False)
    committed = shown.stdout.decode("utf-8") if shown.returncode == 0 else text
    try:
        same_keys = flatten(parse_yaml(committed, "")).keys() == flatten(parse_yaml(text, "")).keys()
    except InputError:
        return text
    return committed if same_keys else text


# The files whose tests take longest, the longest first: they begin first, so that both processes end at about the same time.
LONGEST = [
    *(f"tests/pipeline/test_{name}.py" for name in ("variants", "pipeline", "faults", "published")),
    "tests/stages/test_stages.py",
    "tests/tools/test_setup.py",
]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {ROOT / path: place for place, path in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def params() -> Params:
    return parse_params(parse_yaml(parameters(), "params.yaml"), "params.yaml")


@pytest.fixture(autouse=True)
def signal_handlers() -> Iterator[None]:
    """Undo what a stage that runs in this process does with signals.

    What is started obeys signals, also where the tests themselves run in the background of a shell, which ignores SIGINT.
    """
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number in (number for number in numbers if before[number] == signal.SIG_IGN):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
