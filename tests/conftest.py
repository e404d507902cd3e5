import os
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
